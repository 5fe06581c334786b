"""The one rounding: from a binary64 that stands for an exact result to a narrower format.

It stands for it if it is exact, or lies on the same side of every number that the format holds, or
would hold with one bit more. A product of two numbers of at most 24 bits is exact; a sum rounded to
odd stands for the sum; and so does the nearest binary64 of a quotient or a square root, which come
no nearer than 2**-50 of themselves to a number of 25 bits without being it. To nearest the nearest
binary64 of a sum does, too: 53 bits are twice 24 and two more [Figueroa 1995].
"""

from __future__ import annotations

from typing import Final

import numpy as np

from lion_conformance.operations.patterns import (
    BITS,
    NUMBERS,
    SIGNS,
    Array,
    Evaluator,
    format_of,
)
from lion_ref.arithmetic import round_to, two_sum

_TOWARD: Final = {"rz": 0.0, "rm": -np.inf, "rp": np.inf}
"""Where each directed rounding goes."""


def sum_to_odd(a: Array, b: Array) -> Array:
    """a + b in binary64, rounded to odd: an inexact sum has an odd last bit."""
    total, error = two_sum(a, b)
    # Not `!= 0`: of an infinity or a NaN the error is a NaN, and the sum stands as it is.
    even = ((total.view(np.uint64) & np.uint64(1)) == 0) & ((error > 0) | (error < 0))
    return np.where(even, np.nextafter(total, np.where(error > 0, np.inf, -np.inf)), total)


def rounder(kind: str, rounding: str, *, ftz: bool, saturate: bool) -> Evaluator:
    """From a binary64 that stands for the result to the bits of a narrower type."""
    nearest = _nearest(kind) if rounding in {"", "rn"} else _directed(kind, rounding)
    bits = BITS[kind]
    if not (ftz or saturate):
        return lambda wide: nearest(wide).view(bits)
    is_tiny, sign, cut = _tiny(kind, rounding), SIGNS[kind], saturated(kind)

    def finished(wide: Array) -> Array:
        pattern = nearest(wide).view(bits)
        if ftz:
            pattern = np.where(is_tiny(wide), pattern & sign, pattern)
        return cut(pattern) if saturate else pattern

    return finished


def saturated(kind: str) -> Evaluator:
    """Bits in, bits out: cut to [0, 1]; what is not above 0, so -0 and NaN, becomes +0."""
    numbers, bits = NUMBERS[kind], BITS[kind].type
    zero, one = numbers.type(0), numbers.type(1)
    pattern_of_one = one.view(bits)

    def cut(pattern: Array) -> Array:
        values = pattern.view(numbers)
        return np.where(values > zero, np.where(values < one, pattern, pattern_of_one), bits(0))

    return cut


def _nearest(kind: str) -> Evaluator:
    dtype = NUMBERS[kind]
    if kind == "bf16":  # NumPy's cast goes by way of binary32 and rounds twice
        return lambda wide: round_to(wide, dtype)
    return lambda wide: wide.astype(dtype)


def _directed(kind: str, rounding: str) -> Evaluator:
    nearest, toward = _nearest(kind), NUMBERS[kind].type(_TOWARD[rounding])

    def directed(wide: Array) -> Array:
        near = nearest(wide)
        back = near.astype(np.float64)
        if rounding == "rz":
            past = np.abs(back) > np.abs(wide)
        else:
            past = back > wide if rounding == "rm" else back < wide
        return np.where(past, np.nextafter(near, toward), near)

    return directed


def _tiny(kind: str, rounding: str) -> Evaluator:
    """Whether the result, rounded as if there were no least exponent, is below the normal numbers.

    That is tininess after rounding, as SPEC C18 has it.
    """
    form = format_of(kind)
    normal = 2.0**form.min_exponent
    # The largest number below it, and what rounds to it: a tie would go up, to the even one.
    below = normal * (1 - 2.0**-form.precision)
    tie = normal * (1 - 2.0 ** -(form.precision + 1))
    if rounding in {"", "rn"}:
        return lambda wide: np.abs(wide) < tie
    if rounding == "rz":
        return lambda wide: np.abs(wide) < normal
    if rounding == "rm":
        return lambda wide: (wide < normal) & (wide >= -below)
    return lambda wide: (wide <= below) & (wide > -normal)
