"""A program behind a pipe, for a reproduction; its source is copied as that of `replay` is."""

import contextlib
import struct
import subprocess
import tempfile
import threading
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class PipedProgram:
    """A program that speaks lion-pipe 1, asked for one step: a process for each call."""

    def __init__(self, words: list[str], timeout: float) -> None:
        self.words, self.timeout = words, timeout

    def __call__(
        self,
        param: Array,
        momentum: Array,
        grad: Array,
        *,
        lr: float,
        beta1: float,
        beta2: float,
        weight_decay: float,
    ) -> tuple[Array, Array]:
        """(θ', m'); RuntimeError for an answer that is none."""
        arrays = [np.ascontiguousarray(x).reshape(-1) for x in (param, momentum, grad)]
        patterns = [x.view(f"u{x.dtype.itemsize}").tolist() for x in arrays]
        digits = [2 * x.dtype.itemsize for x in arrays]
        doubles = " ".join(struct.pack(">d", x).hex() for x in (lr, beta1, beta2, weight_decay))
        dtypes = " ".join(x.dtype.name for x in arrays)
        lines = [f"step {dtypes} {param.size} {doubles}"]
        lines += [
            " ".join(f"{x:0{n}x}" for x, n in zip(element, digits, strict=True))
            for element in zip(*patterns, strict=True)
        ]
        said, how_it_ended = self.asked("\n".join(lines) + "\n")
        _, _, answer = said.partition("\nready\n")
        pairs = [line.split() for line in answer.splitlines()]
        if not pairs or pairs.pop() != ["end"] or [len(x) for x in pairs] != [2] * param.size:
            raise RuntimeError(f"the program gave no answer, {how_it_ended}")
        results = []
        for i, given in enumerate((param, momentum)):
            words = [int(pair[i], 16) for pair in pairs]
            unsigned = np.array(words, f"u{given.dtype.itemsize}")
            results.append(unsigned.view(given.dtype).reshape(given.shape))
        return results[0], results[1]

    def asked(self, request: str) -> tuple[str, str]:
        """What the program says while its input is open, as the judge leaves it; how it ended."""
        said: list[str] = []

        def write() -> None:
            with contextlib.suppress(OSError):  # one that has ended says so by its silence
                process.stdin.write(request)
                process.stdin.flush()

        def listen() -> None:
            for line in process.stdout:
                said.append(line)
                if line == "end\n":
                    return

        with tempfile.TemporaryFile("w+", errors="backslashreplace") as errors:
            pipe = subprocess.PIPE
            process: Any = subprocess.Popen(
                self.words, stdin=pipe, stdout=pipe, stderr=errors, text=True
            )
            listener, writer = (threading.Thread(target=x, daemon=True) for x in (listen, write))
            listener.start()
            writer.start()
            listener.join(self.timeout)
            ended = "but other lines"
            if listener.is_alive():
                ended = f"in {self.timeout:g} s, with its input open"
            elif said[-1:] != ["end\n"]:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(2)
                ended = f"status {process.poll()}"
            process.kill()
            process.wait()
            errors.seek(0)
            text = "".join(said)
            return text, f"{ended}: {(text[-300:] + errors.read()[-300:]).strip()}"
