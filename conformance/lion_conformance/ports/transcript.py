"""What a program has said since it was asked, and which line of it is out of place.

Somebody else's debugging output is the usual fault, so the line that is shown is the first one
that is not legal where it stands, and not the one at which the count no longer fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lion_conformance.ports.hexadecimal import MalformedLine

MORE_LINES: Final = 1000
"""Lines that may come before the last where their number is not known."""

LONGEST_LINE: Final = 10_000
"""Bytes that a line may have; those of an answer have 33 at most."""

ELSEWHERE: Final = "anything else belongs on stderr"


@dataclass(frozen=True, slots=True)
class Form:
    """What a program has to say next."""

    what: str
    """Its greeting, or its answer to which request."""
    last: str
    """The line that closes it."""
    fault: Callable[[bytes], MalformedLine | None]
    """The first of some complete lines that is not legal."""
    count: int | None = None
    """How many lines come before the last; None where that is not known."""

    def misplaced(self, index: int, line: bytes | str, legal: str) -> str:
        """A line that is not legal where it stands, and where that is."""
        where = f"line {index + 1} of {self.what}"
        if index == self.count:
            legal = repr(self.last)
        return f"wrote {quoted(line)} as {where}; legal: {legal}; {ELSEWHERE}"


class Heard:
    """What has been said, up to the line that closes it."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self._text = bytearray(b"\n")  # so that the closing line may also be the first
        self._newline = 0
        """Where the newline before the first incomplete line is."""
        self._count = 0
        self.lines = b""
        self.rest = b""
        self.problem = ""
        self.refused = False
        """Whether the problem is that the program said it does not take what it was given."""

    def closes(self, chunk: bytes) -> bool:
        """Take more; whether the closing line has come. If it cannot come, `problem` says so."""
        self._text += chunk
        if b"\n" not in chunk:
            if len(self._text) - self._newline > LONGEST_LINE:
                begin = quoted(self._text[self._newline + 1 :])
                where = f"line {self._count + 1} of {self.form.what}"
                self.problem = f"wrote more than {LONGEST_LINE} characters as {where}: {begin}…"
            return False
        closing = f"\n{self.form.last}\n".encode()
        at = self._text.find(closing, self._newline)
        stop = at if at >= 0 else self._text.rfind(b"\n")
        fresh = bytes(self._text[self._newline + 1 : stop + 1])
        self._newline = stop
        self._count += fresh.count(b"\n")
        self.problem = self._refusal(fresh) or self._too_many()
        if at < 0 or self.problem:
            return False
        self.lines = self._complete()
        self.rest = bytes(self._text[at + len(closing) :])
        return True

    def _complete(self) -> bytes:
        return bytes(self._text[1 : self._newline + 1])

    def _refusal(self, fresh: bytes) -> str:
        """The program's own refusal: a line `error`, with words behind it or none."""
        for line in fresh.split(b"\n") if b"error" in fresh else ():
            if line == b"error" or line.startswith(b"error "):
                self.refused = True
                words = " ".join(line[5:].decode("utf-8", "backslashreplace").split())
                return f"refused: {words[:200] or 'it does not say why'}"
        return ""

    def _too_many(self) -> str:
        most = MORE_LINES if self.form.count is None else self.form.count
        if self._count <= most:
            return ""
        line = self._complete().split(b"\n")[most]
        return self._out_of_place() or self.form.misplaced(most, line, repr(self.form.last))

    def _out_of_place(self) -> str:
        fault = self.form.fault(self._complete())
        return "" if fault is None else self.form.misplaced(fault.index, fault.line, fault.legal)

    def so_far(self, when: str = "") -> str:
        """How much has come, and what of it is no part of what was asked for."""
        found = self._out_of_place()
        return self._how_much() + when + (f"; it {found}" if found else "")

    def _how_much(self) -> str:
        last, fault = self.form.last, self.form.fault(self._complete())
        if self.form.count is not None:
            count = min(self.form.count, self._count if fault is None else fault.index)
            return f"{count} of {self.form.count} answers and no line {last!r}"
        others = "other" if self._count == 1 else "others"
        return f"no line {last!r} after {self._count} {others}"


def quoted(line: bytes | bytearray | str) -> str:
    """The first line of what was said, as text to be read."""
    text = line if isinstance(line, str) else line.decode("ascii", "backslashreplace")
    return repr(text.split("\n")[0][:80])
