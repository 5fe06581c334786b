"""`round_fraction`, the ground under the oracle and under `arithmetic`'s rare cases.

What it must do is said by the patterns of a dtype alone: read as integers, positive numbers are in
order, so between neighbours n and n+1 the middle goes to the even one of the two, and everything
else to the nearer. Infinity is the pattern after the largest number: where the next would be.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from lion_ref.arithmetic import bits
from lion_ref.dtypes import STORAGE_DTYPES
from lion_ref.rational import FORMATS, round_fraction

Rounding = Callable[[Fraction, str], Fraction | float]

INFINITY = {"float16": 0x7C00, "bfloat16": 0x7F80, "float32": 0x7F80_0000, "float64": 0x7FF << 52}
MANTISSA_BITS = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}
SMALLEST = {"float16": -24, "bfloat16": -133, "float32": -149, "float64": -1074}


def value(pattern: int, dtype: str) -> Fraction:
    """The number of a positive pattern; for infinity's, what would come next."""
    field, mantissa = divmod(pattern, 1 << MANTISSA_BITS[dtype])
    if field:
        mantissa += 1 << MANTISSA_BITS[dtype]
    return mantissa * Fraction(2) ** (SMALLEST[dtype] + max(field - 1, 0))


def first_fault(rounding: Rounding, dtype: str, patterns: Iterable[int]) -> str:
    """What is wrong between the patterns and their successors; "" if nothing is."""
    for pattern in patterns:
        below, above = value(pattern, dtype), value(pattern + 1, dtype)
        middle, little = (below + above) / 2, (above - below) / 2**60
        results = {
            below: below,
            below + little: below,
            middle - little: below,
            middle: above if pattern % 2 else below,
            middle + little: above,
            above - little: above,
        }
        for exact, nearest in results.items():
            expected: Fraction | float = nearest
            if nearest is above and pattern + 1 == INFINITY[dtype]:
                expected = float("inf")
            if rounding(exact, dtype) != expected or rounding(-exact, dtype) != -expected:
                return f"{exact} in {dtype}: {rounding(exact, dtype)}, expected {expected}"
    return ""


def sample(dtype: str) -> list[int]:
    """Random patterns and both ends of each binade, or of one in eight of float64's."""
    rng = np.random.default_rng(0)
    anywhere = [int(p) for p in rng.integers(0, INFINITY[dtype], 2000)]
    step = max(1, (INFINITY[dtype] >> MANTISSA_BITS[dtype]) // 256) << MANTISSA_BITS[dtype]
    starts = [*range(0, INFINITY[dtype], step), 1 << MANTISSA_BITS[dtype], INFINITY[dtype]]
    return anywhere + [
        p + o for p in starts for o in (-2, -1, 0, 1) if 0 <= p + o < INFINITY[dtype]
    ]


@pytest.mark.clause("C5", "C9")
@pytest.mark.parametrize("dtype", FORMATS)
def test_to_nearest_ties_to_even(dtype: str) -> None:
    assert first_fault(round_fraction, dtype, sample(dtype)) == ""


@pytest.mark.slow
@pytest.mark.clause("C5", "C9")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_to_nearest_ties_to_even_between_all_neighbours(dtype: str) -> None:
    assert first_fault(round_fraction, dtype, range(INFINITY[dtype])) == ""


@pytest.mark.parametrize("dtype", STORAGE_DTYPES)
def test_the_patterns_are_the_dtypes(dtype: str) -> None:
    """The table of this file against NumPy's and ml_dtypes' idea of each format."""
    patterns = np.array(sample(dtype), dtype=f"u{STORAGE_DTYPES[dtype].itemsize}")
    numbers = patterns.view(STORAGE_DTYPES[dtype]).astype(np.float64).tolist()
    assert all(value(int(p), dtype) == Fraction(x) for p, x in zip(patterns, numbers, strict=True))
    infinity = np.array(np.inf).astype(STORAGE_DTYPES[dtype])
    assert int(bits(infinity)) == INFINITY[dtype]


def _away_from_zero_at_ties(exact: Fraction, dtype: str) -> Fraction | float:
    quantum = Fraction(2) ** (SMALLEST[dtype] - 40)
    return round_fraction(exact + (quantum if exact > 0 else -quantum if exact else 0), dtype)


def _toward_zero(exact: Fraction, dtype: str) -> Fraction | float:
    nearest = round_fraction(exact, dtype)
    if abs(float(nearest)) <= abs(exact):
        return nearest
    return round_fraction(exact * (1 - Fraction(1, 2**12)), dtype)


def _subnormals_flushed(exact: Fraction, dtype: str) -> Fraction | float:
    nearest = round_fraction(exact, dtype)
    return (
        nearest
        if abs(float(nearest)) >= Fraction(2) ** FORMATS[dtype].min_exponent
        else Fraction(0)
    )


def _twice(exact: Fraction, dtype: str) -> Fraction | float:
    once = round_fraction(exact, "float64")
    return round_fraction(Fraction(once), dtype)


def _saturating(exact: Fraction, dtype: str) -> Fraction | float:
    nearest = round_fraction(exact, dtype)
    largest = value(INFINITY[dtype] - 1, dtype)
    return max(-largest, min(largest, nearest))


@pytest.mark.parametrize(
    "wrong", [_away_from_zero_at_ties, _toward_zero, _subnormals_flushed, _twice, _saturating]
)
def test_a_wrong_rounding_is_found(wrong: Rounding) -> None:
    ends = [*range(64), *range(0x400 - 4, 0x400 + 4), *range(0x7C00 - 4, 0x7C00)]
    assert first_fault(wrong, "float16", ends) != ""


@settings(derandomize=True, deadline=None, database=None)
@given(st.fractions(), st.integers(-1100, 1100))
def test_float64_is_pythons_division(fraction: Fraction, exponent: int) -> None:
    """int / int is correctly rounded in CPython."""
    exact = fraction * Fraction(2) ** exponent
    try:
        expected = exact.numerator / exact.denominator
    except OverflowError:
        expected = float("inf") if exact > 0 else float("-inf")
    assert round_fraction(exact, "float64") == expected


@settings(derandomize=True, deadline=None, database=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_narrow_dtypes_are_pythons_struct(number: float) -> None:
    """struct packs binary64 into binary16 and binary32, to nearest even; it refuses overflow."""
    for code, dtype in (("e", "float16"), ("f", "float32")):
        try:
            (expected,) = struct.unpack(code, struct.pack(code, number))
        except OverflowError:
            expected = float("inf") if number > 0 else float("-inf")
        assert round_fraction(Fraction(number), dtype) == expected
