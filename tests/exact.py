"""IEEE 754's operations on two or three numbers, exactly, and their one rounding.

`round_fraction`, which tests/lion_ref/test_rational.py holds to the definition of rounding, does
the rounding; infinities, NaNs and the signs of zeros follow the standard's tables, written out.
"""

from __future__ import annotations

import math
from fractions import Fraction

from lion_ref.rational import round_fraction

Exact = tuple[Fraction | float, bool]
"""A result before rounding, a float where it is not finite; and whether a zero would be -0."""


def exact_product(a: float, b: float) -> Exact:
    """a·b: a zero has the signs' product."""
    negative = (math.copysign(1, a) < 0) != (math.copysign(1, b) < 0)
    if math.isfinite(a) and math.isfinite(b):
        return Fraction(a) * Fraction(b), negative
    if math.isnan(a) or math.isnan(b) or 0 in (a, b):
        return math.nan, negative
    return -math.inf if negative else math.inf, negative


def exact_sum(a: float, b: float) -> Exact:
    """a + b: x - x is +0, and -0 is the sum of two negative zeros alone."""
    if math.isfinite(a) and math.isfinite(b):
        both_negative = math.copysign(1, a) < 0 and math.copysign(1, b) < 0
        return Fraction(a) + Fraction(b), both_negative
    if math.isnan(a) or math.isnan(b) or (math.isinf(a) and math.isinf(b) and a != b):
        return math.nan, False
    return a if math.isinf(a) else b, False


def rounded(exact: Fraction | float, negative_zero: bool, dtype: str) -> float:
    if isinstance(exact, float):
        return exact
    nearest = float(round_fraction(exact, dtype))
    if nearest == 0:
        return math.copysign(0.0, -1.0 if exact < 0 or (exact == 0 and negative_zero) else 1.0)
    return nearest


def exact_fma(a: float, b: float, c: float) -> Exact:
    """a·b + c: the sum's rules for the exact product."""
    product, negative = exact_product(a, b)
    if isinstance(product, float):
        return exact_sum(product, c)
    if not math.isfinite(c):
        return c, False
    return product + Fraction(c), negative and math.copysign(1, c) < 0
