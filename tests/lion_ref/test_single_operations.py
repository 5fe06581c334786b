"""Each operation of SPEC C5 alone, as NumPy does it, for float16 values.

`make test` takes one in seven and both ends of each binade, `make slow` all 65,536.

The exact side is `round_fraction`, which tests/lion_ref/test_rational.py holds to the definition of
rounding; infinities, NaNs and the signs of zeros follow IEEE 754's tables (tests/exact.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from lion_ref.arithmetic import Array, bits, round_to, same_bits
from lion_ref.dtypes import STORAGE_DTYPES
from lion_ref.rational import FORMATS, round_fraction
from tests.exact import exact_product, exact_sum, rounded

Operation = Any  # of one array and one number

ALL = np.arange(1 << 16).astype(np.uint16).view(np.float16)
"""Every float16, infinities and 2,046 NaNs among them."""


ENDS = (np.arange(0, 1 << 16, 1 << 10)[:, None] + np.arange(-2, 3)) % (1 << 16)
"""Where an exponent begins: zeros, subnormals, infinities and NaNs are beside those."""
SOME = np.concatenate([ALL[::7], ALL[ENDS.ravel()]])

VALUES = pytest.mark.parametrize(
    "values", [SOME, pytest.param(ALL, marks=pytest.mark.slow)], ids=["some", "all"]
)


def all_right(
    operation: Operation,
    partner: float,
    dtype: str,
    exact: Callable[..., Any],
    values: Array = SOME,
) -> bool:
    """Whether operation(x, partner) is exact(x, partner), rounded once to dtype, for every x."""
    wide = values.astype(dtype)
    with np.errstate(all="ignore"):
        results = operation(wide, wide.dtype.type(partner))
    assert results.dtype == dtype
    expected = []
    for x in wide.tolist():
        value, negative_zero = exact(x, partner)
        expected.append(rounded(value, negative_zero, dtype))
    return bool(same_bits(results, np.array(expected).astype(dtype)).all())


def f32(number: float) -> float:
    return float(np.float32(number))


# A plain scalar, and scalars that make every product subnormal, or overflow.
SCALARS = [
    ("float32", f32(0.9)),
    ("float32", f32(1.7e-40)),
    ("float32", f32(3e38)),
    ("float64", 0.99),
    ("float64", 1.3e-310),
]
# Ties and cancellation; a partner below every float16; one whose sums are all inexact.
PARTNERS = [
    ("float32", 1.0 + 2.0**-23),
    ("float32", f32(-1 / 3)),
    ("float32", 2.0**13 + 2.0**-10),
    ("float32", 2.0**-149),
    ("float64", -0.1),
]


@pytest.mark.clause("C5", "C6", "C11")
@VALUES
@pytest.mark.parametrize(("dtype", "scalar"), SCALARS)
def test_product(dtype: str, scalar: float, values: Array) -> None:
    assert all_right(np.multiply, scalar, dtype, exact_product, values)


@pytest.mark.clause("C5", "C6", "C11")
@VALUES
@pytest.mark.parametrize(("dtype", "partner"), PARTNERS)
def test_sum(dtype: str, partner: float, values: Array) -> None:
    assert all_right(np.add, partner, dtype, exact_sum, values)


@pytest.mark.clause("C5", "C11")
@VALUES
@pytest.mark.parametrize("partner", [0.0, -0.0, math.inf, -math.inf, math.nan, 1.5])
def test_difference(partner: float, values: Array) -> None:
    """Partner minus every value, since θ ⊖ e has the array of interest behind the sign."""
    assert all_right(
        lambda x, y: np.subtract(y, x), partner, "float32", lambda x, y: exact_sum(y, -x), values
    )


@pytest.mark.clause("C7", "C11")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sign(dtype: str) -> None:
    expected = [math.nan if math.isnan(x) else (x > 0) - (x < 0) for x in ALL.tolist()]
    assert same_bits(np.sign(ALL.astype(dtype)), np.array(expected, dtype=dtype)).all()


@pytest.mark.parametrize(
    ("wrong", "partner", "exact"),
    [
        (
            lambda x, y: (x.astype(np.float64) * float(y) * (1 - 2.0**-30)).astype(np.float32),
            f32(0.9),
            0,
        ),
        (lambda x, y: (x.astype(np.float16) * np.float16(y)).astype(np.float32), 0.75, 0),
        (lambda x, y: np.where(abs(x * y) < 2.0**-126, 0 * x, x * y), f32(1.7e-40), 0),
        (lambda x, y: np.where(x * y == 0, np.float32(0), x * y), 0.75, 0),
        (lambda x, y: np.nan_to_num(x * y, nan=0.0, posinf=np.inf, neginf=-np.inf), 0.0, 0),
        (lambda x, y: np.nextafter(x + y, np.float32(0)), 1.5, 1),
        (lambda x, y: np.where(x + y == 0, -np.float32(0), x + y), -1.0, 1),
    ],
    ids=["rounded", "in float16", "flushed", "+0 for -0", "NaN as 0", "truncated", "x-x = -0"],
)
def test_a_wrong_operation_is_found(wrong: Operation, partner: float, exact: int) -> None:
    assert not all_right(wrong, partner, "float32", (exact_product, exact_sum)[exact])


# --- widening and narrowing -------------------------------------------------------------------


@pytest.mark.clause("C3")
@pytest.mark.parametrize("wide", ["float32", "float64"])
@pytest.mark.parametrize("narrow", ["float16", "bfloat16"])
def test_widening_is_exact(narrow: str, wide: str) -> None:
    patterns = np.arange(1 << 16)
    array = patterns.astype(np.uint16).view(STORAGE_DTYPES[narrow])
    with np.errstate(invalid="ignore"):  # signalling NaNs
        widened = array.astype(wide)
    mantissa_bits = FORMATS[narrow].precision - 1
    field, mantissa = np.divmod(patterns & 0x7FFF, 1 << mantissa_bits)
    smallest = FORMATS[narrow].min_exponent - mantissa_bits
    hidden = np.where(field > 0, 1 << mantissa_bits, 0)
    magnitude = np.ldexp(
        (mantissa + hidden).astype(np.float64), smallest + np.maximum(field - 1, 0)
    )
    top = (1 << (15 - mantissa_bits)) - 1
    magnitude = np.where(field == top, np.where(mantissa, np.nan, np.inf), magnitude)
    expected = np.where(patterns >> 15, -magnitude, magnitude).astype(wide)
    assert same_bits(widened, expected).all()


def first_wrong(narrowing: Operation, wide: str, narrow: str) -> str:
    """All neighbours in a 16-bit dtype, their middle, and the numbers just beside the middle.

    Read as integers, patterns are in order: the middle goes to the even one of two.
    """
    dtype = STORAGE_DTYPES[narrow]
    infinity = int(bits(np.array(np.inf).astype(dtype)))
    below = np.arange(infinity)
    lower = below.astype(np.uint16).view(dtype).astype(np.float64)
    # In infinity's place stands the number that would come next.
    upper = np.append(lower[1:], 2.0 ** (FORMATS[narrow].max_exponent + 1))
    middle, lower = ((lower + upper) / 2).astype(wide), lower.astype(wide)
    up, down = np.array([np.inf, 0.0], dtype=wide)
    even = below + below % 2
    for values, expected in (
        (lower, below),
        (np.nextafter(lower, up), below),
        (np.nextafter(middle, down), below),
        (middle, even),
        (np.nextafter(middle, up), below + 1),
    ):
        for sign in (0, 1):
            results = bits(narrowing(-values if sign else values, dtype))
            wrong = np.flatnonzero(results != expected + (sign << 15))
            if wrong.size:
                i = wrong[0]
                return f"{values[i]!r}: {results[i]:#x}, expected {expected[i] + (sign << 15):#x}"
    return ""


NARROWINGS = [(w, n) for w in ("float32", "float64") for n in ("float16", "bfloat16")]


@pytest.mark.clause("C9")
@pytest.mark.parametrize(("wide", "narrow"), NARROWINGS)
def test_narrowing_rounds_once_to_nearest_even(wide: str, narrow: str) -> None:
    assert first_wrong(round_to, wide, narrow) == ""


@pytest.mark.clause("C9", "C11")
@pytest.mark.parametrize(("wide", "narrow"), [*NARROWINGS, ("float64", "float32")])
def test_narrowing_keeps_infinities_and_nans(wide: str, narrow: str) -> None:
    values = np.array([np.inf, -np.inf, np.nan, -np.nan, 1e38, -0.0], dtype=wide)
    expected = [
        math.inf,
        -math.inf,
        math.nan,
        math.nan,
        rounded(Fraction(float(values[4])), False, narrow),
    ]
    narrowed = round_to(values, STORAGE_DTYPES[narrow])
    assert same_bits(narrowed, np.array([*expected, -0.0]).astype(STORAGE_DTYPES[narrow])).all()


@pytest.mark.clause("C9")
def test_float64_to_float32() -> None:
    """Too many for all: random numbers of every binade, and the middles beside them."""
    rng = np.random.default_rng(0)
    lower = rng.integers(0, 0x7F80_0000, 20_000).astype(np.uint32).view(np.float32)
    upper = np.nextafter(lower, np.float32(np.inf)).astype(np.float64)
    upper[np.isinf(upper)] = 2.0**128
    middle = (lower.astype(np.float64) + upper) / 2
    values = np.concatenate([middle, np.nextafter(middle, 0), np.nextafter(middle, np.inf)])
    expected = [float(round_fraction(Fraction(x), "float32")) for x in values.tolist()]
    narrowed = round_to(values, STORAGE_DTYPES["float32"])
    assert same_bits(narrowed, np.array(expected).astype(np.float32)).all()


def _plain_cast(values: Array, dtype: np.dtype[Any]) -> Array:
    with np.errstate(all="ignore"):
        return values.astype(dtype)


def _truncated(values: Array, dtype: np.dtype[Any]) -> Array:
    with np.errstate(all="ignore"):
        return (bits(values.astype(np.float32)) >> 16).astype(np.uint16).view(dtype)


def _without_subnormals(values: Array, dtype: np.dtype[Any]) -> Array:
    result = round_to(values, dtype)
    with np.errstate(all="ignore"):
        wide = result.astype(np.float64)
    return np.where(np.abs(wide) < 2.0**-14, result * dtype.type(0), result).astype(dtype)


@pytest.mark.parametrize(
    ("wrong", "wide", "narrow"),
    [
        (_plain_cast, "float64", "bfloat16"),  # by way of float32
        (_truncated, "float32", "bfloat16"),
        (_without_subnormals, "float32", "float16"),
    ],
)
def test_a_wrong_narrowing_is_found(wrong: Operation, wide: str, narrow: str) -> None:
    assert first_wrong(wrong, wide, narrow) != ""
