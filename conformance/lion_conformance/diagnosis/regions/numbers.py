"""Numbers as one would write them: the roundest in an interval, and its spelling."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

_SUPERSCRIPTS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_DIGITS: Final = ((1,), (5, 2), (3, 4, 6, 7, 8, 9))
_SHORT: Final = 12
"""Powers of two up to this one are written out."""
LARGEST: Final = 2.0**1023
_DECADES: Final = 8
_GROUPED: Final = 10_000_000


def round_between(low: float, high: float) -> list[float]:
    """Numbers in [low, high] that one would write, the roundest first.

    >>> round_between(0.97, 2.3)[:2], round_between(700.0, 1020.0)[:1]
    ([1.0, 2.0], [1000.0])
    """
    if low <= 0 <= high:
        return [0.0]
    low, high = max(low, -LARGEST), min(high, LARGEST)
    if high < 0:
        return [-x for x in round_between(-high, -low)]
    found = {x: cost for cost, x in _costed(low, high) if low <= x <= high}
    return sorted(found, key=lambda x: (found[x], x))


def _costed(low: float, high: float) -> Iterator[tuple[int, float]]:
    """Costs and numbers, of which some lie outside the interval; the cheapest of a number last."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    exponents = range(first, last + 1)
    few = len(exponents) <= _DECADES
    for exponent in exponents if few else ():
        yield from ((4, _decimal(digits, exponent - 1)) for digits in range(10, 100))
    if low < 1 and high <= 1:
        yield from ((3, 1 - _decimal(d, e)) for e in range(-16, 0) for d in range(9, 0, -1))
    for exponent in range(math.floor(math.log2(low)), math.ceil(math.log2(high)) + 1):
        yield (1 if abs(exponent) <= _SHORT else 2), math.ldexp(1.0, exponent)
    for cost, digits in reversed(tuple(enumerate(_DIGITS))):
        for exponent in exponents:
            yield from ((cost, _decimal(d, exponent)) for d in digits)


def _decimal(digits: int, exponent: int) -> float:
    return float(f"{digits}e{exponent}")


def spelled(number: float) -> str:
    """A number in a sentence.

    >>> [spelled(x) for x in (65536, 2.0, 1e-05, 2.0**40, 2.0**-20, 0.99, 1e30, -3)]
    ['65,536', '2', '1e-5', '2⁴⁰', '2⁻²⁰', '0.99', '1e30', '-3']
    """
    mantissa, exponent = math.frexp(abs(number))
    if number < 0:
        return f"-{spelled(-number)}"
    if number < _GROUPED and number == int(number):
        return f"{int(number):,}"
    if mantissa == 1 / 2 and abs(exponent - 1) > _SHORT:
        return "2" + str(exponent - 1).translate(_SUPERSCRIPTS)
    if np.isinf(number):
        return "∞"
    kind = np.float32 if float(np.float32(number)) == number else np.float64
    if 1e-3 <= number < _GROUPED:
        return np.format_float_positional(kind(number), trim="-")
    digits = np.format_float_scientific(kind(number), trim="-")
    left, _, right = digits.partition("e")
    return f"{left}e{int(right)}" if right else left


def ordinal(number: int) -> str:
    """In a sentence: every seventh is written "7th".

    >>> [ordinal(x) for x in (2, 3, 7, 21, 4096, 112)]
    ['second', '3rd', '7th', '21st', '4,096th', '112th']
    """
    if number == 2:
        return "second"
    teens = number % 100 in (11, 12, 13)
    ending = "th" if teens else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"
