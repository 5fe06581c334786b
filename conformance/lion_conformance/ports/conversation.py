"""A process that is spoken to line by line, and that cannot hold up whoever speaks to it.

Reading, writing and stderr each have a thread, so that a program that answers while it is still
being asked cannot block. What it says is bounded in time, in lines and in the length of a line, and
it is ended with all processes that it has started: a shell that runs a program is no program.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from typing import IO, Final

from lion_conformance.port import PortError

MORE_LINES: Final = 1000
"""Lines that may come before the last where their number is not known."""

LONGEST_LINE: Final = 10_000
"""Bytes that a line may have; those of an answer have 33 at most."""

_GRACE: Final = 2.0
"""Seconds for a program to end by itself, and for its last words to arrive."""

_CHUNK: Final = 1 << 20
_CHUNKS: Final = 16
"""So many chunks are read ahead; a program that says more waits."""


class HungError(PortError):
    """The program did not answer in time."""


class Conversation:
    """One process and its three threads."""

    def __init__(self, words: list[str]) -> None:
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # a group of its own, which `stop` can end as a whole
            )
        except (OSError, ValueError) as error:
            raise PortError(f"the program {words[0]} cannot be started: {error}") from error
        self._out: queue.Queue[bytes] = queue.Queue(_CHUNKS)
        self._to_write: queue.Queue[bytes | None] = queue.Queue()
        self._errors: deque[bytes] = deque(maxlen=8)
        self._pending = b""
        self._stopped = False
        into, out, errors = self._pipes = _pipes(self._process)
        self._threads = [
            threading.Thread(target=target, args=(pipe,), daemon=True)
            for target, pipe in (
                (self._write_input, into),
                (self._read_output, out),
                (self._read_errors, errors),
            )
        ]
        for thread in self._threads:
            thread.start()

    def _read_output(self, out: IO[bytes]) -> None:
        held = b""
        while not self._stopped and (chunk := out.read(_CHUNK)):
            chunk = held + chunk
            # The second half of a line's end may still be to come.
            held = b"\r" if chunk.endswith(b"\r") else b""
            if complete := chunk.removesuffix(held).replace(b"\r\n", b"\n"):
                self._out.put(complete)  # never empty, which is the end
        self._out.put(b"")

    def _read_errors(self, errors: IO[bytes]) -> None:
        last = b""
        while chunk := errors.read(_CHUNK):
            *lines, last = (last[-LONGEST_LINE:] + chunk).split(b"\n")
            self._errors.extend(line[:200] for line in lines if line.strip())
        if last.strip():
            self._errors.append(last[:200])

    def _write_input(self, into: IO[bytes]) -> None:
        # A program that ended is found out by the silence behind its last words.
        with contextlib.suppress(OSError):
            while (data := self._to_write.get()) is not None:
                rest = memoryview(data)
                while rest:
                    rest = rest[into.write(rest) :]
        with contextlib.suppress(OSError):
            into.close()

    def send(self, data: bytes) -> None:
        """Hand data to the program; it is written while the answer is being read."""
        if not self._out.empty():
            said = self._out.get()
            self._pending += said
            if not said:
                self._out.put(b"")  # the end stays the end
        if self._pending:
            raise self.failed(f"spoke without being asked: {_quoted(self._pending)}")
        self._to_write.put(data)

    def until(self, last: str, timeout: float, *, sizes: int | None = None) -> bytes:
        """The lines before the line `last`; a PortError if they do not come.

        sizes: how many lines there have to be; unknown if omitted.
        """
        deadline = time.monotonic() + timeout
        heard = _Heard(last, sizes)
        while True:
            try:
                chunk = self._out.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                status = self._process.poll()
                if status is not None:  # and what it has started holds its output
                    raise self.failed(f"ended with status {status}: {heard}") from None
                raise HungError(str(self.failed(f"hung: {heard} within {timeout:g} s"))) from None
            if not chunk:
                self._out.put(b"")  # the end stays the end
                raise self.failed(f"{self._how_it_ended()}: {heard}")
            if heard.closes(chunk):
                self._pending = heard.rest
                return heard.lines
            if heard.problem:
                raise self.failed(heard.problem)

    def _how_it_ended(self) -> str:
        try:
            return f"ended with status {self._process.wait(_GRACE)}"
        except subprocess.TimeoutExpired:
            return "closed its output"

    def failed(self, what: str) -> PortError:
        """What the program did wrong, in one line, with the last that it wrote to stderr."""
        self._threads[-1].join(0.2 if self._process.poll() is None else _GRACE)
        said = " ".join(b" ".join(self._errors).decode("utf-8", "backslashreplace").split())
        return PortError(f"the program {what}" + (f"; its stderr: {said[-300:]}" if said else ""))

    def stop(self, *, kill: bool) -> None:
        """End the process, what it has started, and the threads."""
        self._stopped = True
        self._to_write.put(None)
        if not kill:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE)
        # An end that nobody holds up needs no signal, and its number may be another's by now.
        if self._process.poll() is None or not self._threads_end(0.2):
            _kill_group(self._process)
        self._process.wait()
        self._threads_end(_GRACE)
        for thread, pipe in zip(self._threads, self._pipes, strict=True):
            if not thread.is_alive():  # else a process of another group still holds it
                with contextlib.suppress(OSError):
                    pipe.close()

    def _threads_end(self, within: float) -> bool:
        """Whether they do within so many seconds, with nobody listening any more."""
        deadline = time.monotonic() + within
        for thread in self._threads:
            while thread.is_alive() and time.monotonic() < deadline:
                with contextlib.suppress(queue.Empty):
                    while True:  # the reader may wait for room
                        self._out.get_nowait()
                thread.join(0.02)
        return not any(thread.is_alive() for thread in self._threads)


class _Heard:
    """What a program has said since it was asked, up to the line that closes it."""

    def __init__(self, last: str, sizes: int | None) -> None:
        self._last, self._sizes = last, sizes
        self._text = bytearray(b"\n")  # so that the closing line may also be the first
        self._newline = 0
        """Where the newline before the first incomplete line is."""
        self._count = 0
        self.lines = b""
        self.rest = b""
        self.problem = ""

    def closes(self, chunk: bytes) -> bool:
        """Take more; whether the closing line has come. If it cannot come, `problem` says so."""
        self._text += chunk
        if b"\n" not in chunk:
            if len(self._text) - self._newline > LONGEST_LINE:
                self.problem = f"wrote a line of more than {LONGEST_LINE} characters"
            return False
        closing = f"\n{self._last}\n".encode()
        at = self._text.find(closing, self._newline)
        stop = at if at >= 0 else self._text.rfind(b"\n")
        fresh = bytes(self._text[self._newline + 1 : stop + 1])
        self._newline = stop
        self._count += fresh.count(b"\n")
        self.problem = self._refusal(fresh) or self._too_many(fresh)
        if at < 0 or self.problem:
            return False
        self.lines = bytes(self._text[1 : at + 1])
        self.rest = bytes(self._text[at + len(closing) :])
        return True

    def _refusal(self, fresh: bytes) -> str:
        """The program's own refusal: a line `error`, with words behind it or none."""
        for line in fresh.split(b"\n") if b"error" in fresh else ():
            if line == b"error" or line.startswith(b"error "):
                words = " ".join(line[5:].decode("utf-8", "backslashreplace").split())
                return f"refused: {words[:200] or 'it does not say why'}"
        return ""

    def _too_many(self, fresh: bytes) -> str:
        most = MORE_LINES if self._sizes is None else self._sizes
        if self._count <= most:
            return ""
        line = fresh.split(b"\n")[most - self._count + fresh.count(b"\n")]
        return f"wrote line {most + 1} as {_quoted(line)}; legal: {self._last!r}"

    def __str__(self) -> str:
        if self._sizes is not None:
            return f"{self._count} of {self._sizes} answers and no line {self._last!r}"
        others = "other" if self._count == 1 else "others"
        return f"no line {self._last!r} after {self._count} {others}"


def _quoted(line: bytes) -> str:
    """The first line of what was said, as text to be read."""
    return repr(line.split(b"\n")[0].decode("ascii", "backslashreplace")[:80])


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise RuntimeError("a process without pipes")
    return process.stdin, process.stdout, process.stderr


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and what it has started, which may outlive it."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
