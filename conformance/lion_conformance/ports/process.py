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

from lion_conformance.ports.protocol import PortError, RaisedError
from lion_conformance.ports.transcript import ELSEWHERE, LONGEST_LINE, Form, Heard, quoted

_GRACE: Final = 2.0
"""Seconds for a program to end by itself, and for its last words to arrive."""

_MOMENT: Final = 1.0
"""Seconds in which an answer that was held back arrives, once the program's input is closed."""

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
        self._form: Form | None = None
        self.requests = 0
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
            after = "" if self._form is None else f" after {self._form.what}"
            legal = f"legal: nothing until it is asked; {ELSEWHERE}"
            raise self.failed(f"wrote {quoted(self._pending)}{after}, unasked; {legal}")
        self.requests += 1
        self._to_write.put(data)

    def until(self, form: Form, timeout: float) -> bytes:
        """The lines before the one that closes what is said; a PortError if they do not come."""
        self._form, heard = form, Heard(form)
        if self._closes(heard, timeout):
            return heard.lines
        status = self._process.poll()
        if status is not None:  # and what it has started holds its output
            raise self.failed(f"ended with status {status}: {heard.so_far()}")
        raise self._hung(heard, timeout)

    def _closes(self, heard: Heard, within: float) -> bool:
        """Whether the closing line comes in time; a PortError if it cannot come."""
        deadline = time.monotonic() + within
        while True:
            try:
                chunk = self._out.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return False
            if not chunk:
                self._out.put(b"")  # the end stays the end
                raise self.failed(f"{self._how_it_ended()}: {heard.so_far()}")
            if heard.closes(chunk):
                self._pending = heard.rest
                return True
            if heard.problem:
                failed = self.failed(heard.problem)
                raise RaisedError(str(failed)) if heard.refused else failed

    def _hung(self, heard: Heard, timeout: float) -> HungError:
        """Why the program is silent: one that answers once its input is closed kept its answer."""
        errors = self._errors_in_words()  # before it says anything of its closed input
        self._to_write.put(None)
        try:
            late = self._closes(heard, _MOMENT)
        except PortError:
            late = False  # it ended, as it has to when its input does
        if late:
            last = repr(heard.form.last)
            what = (
                f"wrote its line {last} only when its input was closed, after {timeout:g} s: most "
                f"likely its output is buffered; legal: flushed after each line {last}, as with "
                "fflush(stdout), setvbuf or flush=True"
            )
        elif self._threads[0].is_alive():
            what = "hung: " + heard.so_far(f" within {timeout:g} s; it has not read all its input")
        else:
            what = "hung: " + heard.so_far(f" within {timeout:g} s, nor when its input was closed")
        return HungError(f"the program {what}{errors}")

    def _how_it_ended(self) -> str:
        try:
            return f"ended with status {self._process.wait(_GRACE)}"
        except subprocess.TimeoutExpired:
            return "closed its output"

    def failed(self, what: str) -> PortError:
        """What the program did wrong, in one line, with the last that it wrote to stderr."""
        return PortError(f"the program {what}{self._errors_in_words()}")

    def _errors_in_words(self) -> str:
        self._threads[-1].join(0.2 if self._process.poll() is None else _GRACE)
        said = " ".join(b" ".join(self._errors).decode("utf-8", "backslashreplace").split())
        return f"; its stderr: {said[-300:]}" if said else ""

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
