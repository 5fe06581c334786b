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


def whole(token: Token) -> int:
    """A whole number as PTX writes it: decimal, hexadecimal, octal or binary."""
    digits = token.text.removesuffix("U")
    octal = len(digits) > 1 and digits[0] == "0" and digits.isdigit()
    try:
        return int(digits, 8 if octal else 0)
    except ValueError:
        pass
    raise SourceError(f"line {token.line}: a whole number expected, not {token.text!r}")


class Cursor:
    """A place in the tokens of a text, from which they are taken one by one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.at = 0

    def peek(self) -> str:
        """The next token's text, which stays; "" at the end."""
        return self.tokens[self.at].text if self.at < len(self.tokens) else ""

    def ahead(self) -> Token:
        """The next token, which stays."""
        if self.at >= len(self.tokens):
            last = self.tokens[-1].line if self.tokens else 1
            raise SourceError(f"line {last}: the file ends in the middle of something")
        return self.tokens[self.at]

    def token(self) -> Token:
        """The next token."""
        token = self.ahead()
        self.at += 1
        return token

    def next(self) -> str:
        """The next token's text."""
        return self.token().text

    def take(self, mark: str) -> bool:
        """Whether this is next; it is taken if so."""
        if self.peek() == mark:
            self.at += 1
            return True
        return False

    def expect(self, mark: str) -> None:
        """Take this, or raise an error."""
        if not self.take(mark):
            raise self.error(f"{mark!r} expected")

    def error(self, why: str) -> SourceError:
        """The error for what is next: its line, and what stands there."""
        place = self.tokens[min(self.at, len(self.tokens) - 1)]
        return SourceError(f"line {place.line}: {why}: {line_of(self.text, place.line)}")

    def number(self) -> int:
        """A whole number."""
        sign = -1 if self.take("-") else 1
        if self.at >= len(self.tokens) or self.tokens[self.at].kind != "number":
            raise self.error("a whole number expected")
        return sign * whole(self.token())

    def skip_to(self, mark: str) -> None:
        """Go past the next of these."""
        while self.next() != mark:
            pass

    def skip_block(self) -> None:
        """Go past everything in braces."""
        self.expect("{")
        depth = 1
        while depth:
            piece = self.next()
            depth += (piece == "{") - (piece == "}")
