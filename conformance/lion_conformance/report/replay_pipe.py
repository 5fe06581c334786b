"""A program behind a pipe, for a reproduction; its source is copied as that of `replay` is."""

import struct
import subprocess
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
        ran = subprocess.run(
            self.words,
            input="\n".join(lines) + "\n",
            capture_output=True,
            text=True,
            timeout=self.timeout,
            check=False,
        )
        _, _, answer = ran.stdout.partition("\nready\n")
        pairs = [line.split() for line in answer.splitlines()]
        if not pairs or pairs.pop() != ["end"] or [len(x) for x in pairs] != [2] * param.size:
            said = (ran.stdout[-300:] + ran.stderr[-300:]).strip()
            raise RuntimeError(f"the program gave no answer, status {ran.returncode}: {said}")
        results = []
        for i, given in enumerate((param, momentum)):
            words = [int(pair[i], 16) for pair in pairs]
            unsigned = np.array(words, f"u{given.dtype.itemsize}")
            results.append(unsigned.view(given.dtype).reshape(given.shape))
        return results[0], results[1]
