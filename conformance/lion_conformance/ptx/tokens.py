"""PTX text cut into tokens, each with the line that it stands on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from lion_conformance.ptx.syntax import SourceError

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+ | //[^\n]* | /\*.*?\*/)
  | (?P<string>"[^"\n]*")
  | (?P<number>0[fF][0-9a-fA-F]{8}\b | 0[dD][0-9a-fA-F]{16}\b | 0[xX][0-9a-fA-F]+U?\b
      | 0[bB][01]+U?\b | \d+\.\d*(?:[eE][+-]?\d+)? | \d+[eE][+-]?\d+\b | \d+U?(?![\w$.]))
  | (?P<word>[A-Za-z_$%.](?:[\w$.]|::)*)
  | (?P<mark>[{}()\[\]<>,;:@!|+\-=*])
    """,
    re.VERBOSE | re.DOTALL,
)
_TO_END_OF_LINE: Final = re.compile(r"[^\n]*")


@dataclass(frozen=True, slots=True)
class Token:
    """A word, number, string or mark, where it begins in the text and on which line."""

    kind: str
    text: str
    start: int
    line: int


def line_of(text: str, line: int) -> str:
    """What stands on this line, without the blanks around it."""
    return text.splitlines()[line - 1].strip()


def tokens(text: str) -> list[Token]:
    """All tokens of the text; what says where code came from is left out, with its line."""
    found: list[Token] = []
    position, line = 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise SourceError(f"line {line}: not PTX: {line_of(text, line)}")
        piece = match.group()
        if piece in {".loc", ".file"}:
            end = _TO_END_OF_LINE.match(text, position)
            position = end.end() if end else len(text)
            continue
        if match.lastgroup != "space":
            found.append(Token(str(match.lastgroup), piece, position, line))
        line += piece.count("\n")
        position = match.end()
    return found
