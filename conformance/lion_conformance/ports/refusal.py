"""A refusal: legal values of a scalar that a port does not take (SPEC C13), as a plain value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

SCALARS: Final = ("lr", "weight_decay", "beta1", "beta2")


@dataclass(frozen=True, slots=True)
class Refusal:
    """The values of one scalar, from least to greatest, at which a port raises.

    Args:
        argument: "lr", "weight_decay", "beta1" or "beta2"; "" for scalars that are refused
            together, though the port takes each of them beside others.
        least: the smallest value that was refused.
        greatest: the largest value that was refused.
        cases: how many cases it was seen in.
        words: what the port raised, for one of them.

    >>> Refusal("lr", 0.0, 0.0).describe()
    'lr = 0'
    """

    argument: str
    least: float
    greatest: float
    cases: int = 0
    words: str = ""

    def __post_init__(self) -> None:
        """ValueError for an argument that there is none of, or an interval without a number."""
        if self.argument not in (*SCALARS, ""):
            raise ValueError(
                f"argument={self.argument!r} is not legal; legal: {', '.join(SCALARS)}"
            )
        for name in ("least", "greatest"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name}={value!r} is not legal; legal: a number")
            if not 0 <= value < (1 if self.argument.startswith("beta") else math.inf):
                legal = "in [0, 1)" if self.argument.startswith("beta") else "finite, >= 0"
                what = self.argument or "scalars"
                raise ValueError(f"{name}={value!r} is not legal for {what}; legal: {legal}")
        if self.least > self.greatest:
            raise ValueError(
                f"least={self.least!r} is not legal with greatest={self.greatest!r}; legal: a "
                "number that is no larger"
            )

    def describe(self) -> str:
        """The values in words."""
        if not self.argument:
            return "some scalars together that it takes apart"
        if self.least == self.greatest:
            return f"{self.argument} = {_number(self.greatest)}"
        return f"{self.argument} from {_number(abs(self.least))} to {_number(self.greatest)}"

    def covers(self, other: Refusal) -> bool:
        """Whether all that the other refuses is refused here too."""
        return (
            self.argument == other.argument
            and self.least <= other.least
            and other.greatest <= self.greatest
        )

    def holds(self, argument: str, value: float) -> bool:
        """Whether this value of this scalar is refused."""
        return argument == self.argument and self.least <= value <= self.greatest


def _number(value: float) -> str:
    """A number in six digits, unless that makes a whole number of one that is none."""
    short = f"{value:g}"
    return repr(value) if float(short) == 1 != value else short
