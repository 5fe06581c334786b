"""One instruction of SASS: what it rounds, and how."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

_ARITHMETIC: Final = re.compile(r"U?([FDH])(ADD|MUL|FMA)(?:2|32I|2_32I)?\Z")
_CONVERSION: Final = re.compile(r"U?(?:F2F|F2FP|I2F|I2FP|FRND)\Z")
_LITERAL: Final = re.compile(r"[-+]?(?:\d|INF|QNAN)")

DIRECTED: Final = {"RZ": "towards zero", "RM": "down", "RP": "up"}
"""What the modifiers of a rounding that is not to the nearest say."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, as "FFMA.FTZ" with its operands."""

    address: int
    name: str
    operands: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} {', '.join(self.operands)}"

    @property
    def _parts(self) -> list[str]:
        return self.name.split(".")

    @property
    def short(self) -> str:
        """Its name without the comparison that it makes."""
        return re.sub(r"SETP\.\w+", "SETP", self.name).removesuffix(".AND")

    @property
    def arithmetic(self) -> tuple[str, str] | None:
        """("F", "FMA"): of float32, a product and a sum; D float64, H both 16-bit types."""
        found = _ARITHMETIC.match(self._parts[0])
        return (found[1], found[2]) if found else None

    @property
    def role(self) -> str:
        """What it rounds: a "product", a "sum", "both" at once, a "conversion"; "" where it moves.

        ptxas writes sums as x·1 + y and products as x·y + 0, which round as these do, and
        constants as 0·0 + y.
        """
        if self.arithmetic is None:
            return "conversion" if _CONVERSION.match(self._parts[0]) else ""
        values = _paired(self.operands[1:]) if self.arithmetic[0] == "H" else self.operands[1:]
        match self.arithmetic[1], *values:
            case "ADD", *terms:
                return "" if any(map(_is_zero, terms)) else "sum"
            case "MUL", *factors:
                return "" if any(_is_zero(x) or _is_one(x) for x in factors) else "product"
            case "FMA", *factors, term:
                if any(map(_is_zero, factors)):
                    return ""
                if any(map(_is_one, factors)):
                    return "" if _is_zero(term) else "sum"
                return "product" if _is_zero(term) else "both"
        return ""

    @property
    def flushes(self) -> bool:
        """Subnormals become zeros; where a float is cut to a whole number, they do anyway."""
        return "FTZ" in self._parts and not {"F2I", "TRUNC"} <= set(self._parts)

    @property
    def directed(self) -> str:
        """How it rounds, where that is not to the nearest."""
        if self.arithmetic is None and not _CONVERSION.match(self._parts[0]):
            return ""
        if self._parts[0].startswith("I2F"):  # ptxas divides whole numbers so
            return ""
        return next((DIRECTED[x] for x in self._parts if x in DIRECTED), "")

    @property
    def saturates(self) -> bool:
        """A result is cut to [0, 1]."""
        return self.arithmetic is not None and "SAT" in self._parts

    @property
    def approximates(self) -> bool:
        """It is from the unit that approximates."""
        return self._parts[0] == "MUFU"


def _paired(operands: Iterable[str]) -> Iterator[str]:
    """The operands, two 16-bit constants as the one that both are, or as neither 0 nor 1."""
    left = iter(operands)
    for one in left:
        if _LITERAL.match(one):
            other = next(left, one)
            yield one if other == one else "unequal"
        else:
            yield one


def _number(operand: str) -> float | None:
    """The number that stands there; RZ is the register that is zero."""
    if operand.strip("-|").split(".")[0] in ("RZ", "URZ"):
        return 0.0
    return float(operand) if _LITERAL.match(operand) and "NAN" not in operand else None


def _is_zero(operand: str) -> bool:
    return _number(operand) == 0


def _is_one(operand: str) -> bool:
    return _number(operand) in (1, -1)
