"""Correct rounding of an exact rational into any storage dtype.

Integers only: this module is the ground under `oracle` and under the rare cases that floating
point arithmetic cannot decide in `arithmetic`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final


@dataclass(frozen=True, slots=True)
class Format:
    """An IEEE 754 binary format: precision p (with the hidden bit) and exponent range."""

    precision: int
    min_exponent: int  # of the smallest normal number, as in 2**min_exponent
    max_exponent: int  # of the largest finite numbers

    @property
    def smallest_subnormal(self) -> Fraction:
        """The number that all others are multiples of."""
        return Fraction(2) ** (self.min_exponent - self.precision + 1)


FORMATS: Final[dict[str, Format]] = {
    "float16": Format(11, -14, 15),
    "bfloat16": Format(8, -126, 127),
    "float32": Format(24, -126, 127),
    "float64": Format(53, -1022, 1023),
}


def _floor_log2(value: Fraction) -> int:
    """The e with 2**e <= value < 2**(e+1), for value > 0."""
    estimate = value.numerator.bit_length() - value.denominator.bit_length()
    return estimate if Fraction(2) ** estimate <= value else estimate - 1


def round_fraction(value: Fraction, dtype: str) -> Fraction | float:
    """value rounded to nearest even; a Fraction, or ±inf (a float) where it overflows.

    A result of zero is Fraction(0): a rational has no signed zero, the caller knows the sign.

    >>> round_fraction(Fraction(1, 10), "bfloat16")
    Fraction(205, 2048)
    >>> round_fraction(Fraction(65520), "float16")
    inf
    """
    if value == 0:
        return Fraction(0)
    target = FORMATS[dtype]
    magnitude = abs(value)
    exponent = max(_floor_log2(magnitude), target.min_exponent)
    quantum = Fraction(2) ** (exponent - target.precision + 1)
    # round() of a Fraction is to nearest, ties to even.
    rounded = round(magnitude / quantum) * quantum
    if rounded >= Fraction(2) ** (target.max_exponent + 1):
        return float("inf") if value > 0 else float("-inf")
    return rounded if value > 0 else -rounded
