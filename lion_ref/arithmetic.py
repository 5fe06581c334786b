"""IEEE 754 operations that NumPy lacks, and the environment they need (SPEC C9, C15, C17, C18).

Everything here is correctly rounded, to nearest, ties to even, and works on whole arrays.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lion_ref.rational import round_fraction

Array = NDArray[Any]
Mask = NDArray[np.bool_]

STICKY: Final = 120
"""Binary places beyond which, of product and addend, the smaller decides by its sign alone.

The product of two significands in [1/2, 1) is a multiple of 2**-106, an addend one of 2**-53.
"""

_UNSIGNED = {2: np.uint16, 4: np.uint32, 8: np.uint64}


@lru_cache(maxsize=64)
def name_of(dtype: np.dtype[Any]) -> str:
    """dtype.name, which NumPy puts together anew each time that it is asked for.

    >>> name_of(np.dtype(np.float32))
    'float32'
    """
    return dtype.name


def bits(array: Array) -> Array:
    """The array's bit patterns, as unsigned integers of its width; same shape, native byte order.

    >>> bits(np.float32([1.0, -0.0])).tolist()
    [1065353216, 2147483648]
    """
    native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return native.view(_UNSIGNED[array.dtype.itemsize]).reshape(array.shape)


def same_bits(first: Array, second: Array) -> NDArray[np.bool_]:
    """Element by element: equal bit patterns, where any NaN equals any NaN (SPEC C11).

    >>> same_bits(np.float32([0.0, np.nan]), np.float32([-0.0, -np.nan])).tolist()
    [False, True]
    """
    with np.errstate(invalid="ignore"):  # a signalling bfloat16 NaN raises the flag in isnan
        both_nan: NDArray[np.bool_] = np.isnan(first) & np.isnan(second)
    equal: NDArray[np.bool_] = (bits(first) == bits(second)) | both_nan
    return equal


def all_same_bits(first: Array, second: Array) -> bool:
    """Whether two arrays have the same bits in every element, as `same_bits` compares them.

    >>> all_same_bits(np.float32([1.0, np.nan]), np.float32([1.0, -np.nan]))
    True
    """
    alike = first.dtype == second.dtype and first.shape == second.shape
    # The bytes say it at once, unless there are NaNs.
    return (alike and first.tobytes() == second.tobytes()) or bool(same_bits(first, second).all())


def round_to(values: Array | np.generic, dtype: np.dtype[Any]) -> Array:
    """Round float32 or float64 values once, to nearest even, to any storage dtype (SPEC C9).

    Only float64 to bfloat16 needs care: the cast that NumPy finds there goes by way of float32 and
    rounds twice. Rounding to odd first keeps what the second rounding has to know.

    >>> from lion_ref.dtypes import STORAGE_DTYPES
    >>> float(round_to(np.array(1 + 2**-8 + 2**-40), STORAGE_DTYPES["bfloat16"]))
    1.0078125
    """
    array = np.asarray(values)
    if name_of(dtype) == "bfloat16" and array.dtype.itemsize == 8:
        array = _to_odd_float32(array)
    if array.dtype == dtype:  # nothing is rounded
        return array.astype(dtype)
    with np.errstate(all="ignore"):
        return array.astype(dtype)


def _to_odd_float32(values: Array) -> Array:
    """float64 to float32, rounded to odd: inexact results get an odd last bit."""
    with np.errstate(all="ignore"):
        nearest = np.asarray(values.astype(np.float32))
        # Truncate toward zero, then set the last bit where something was cut off. An overflow
        # truncates to the largest finite number, whose last bit is odd: it then rounds to inf.
        too_far = np.abs(nearest.astype(np.float64)) > np.abs(values)
        truncated = np.where(too_far, np.nextafter(nearest, np.float32(0)), nearest)
        inexact = np.isfinite(values) & (truncated.astype(np.float64) != values)
    pattern = np.asarray(truncated, dtype=np.float32).view(np.uint32) | inexact.astype(np.uint32)
    return np.asarray(pattern).view(np.float32)


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """s = a ⊕ b and the exact error a + b - s (Knuth); exact wherever s does not overflow."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """p = a ⊗ b and the exact error a·b - p in float64 (Dekker, Veltkamp's splitting).

    Exact while |a|, |b| < 2**996 and |a·b| > 2**-968; the callers see to that.
    """
    splitter = 134217729.0  # 2**27 + 1
    p = a * b
    a_big, b_big = splitter * a, splitter * b
    a_high, b_high = a_big - (a_big - a), b_big - (b_big - b)
    a_low, b_low = a - a_high, b - b_high
    error = ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low
    return p, error


def _add_to_odd(a: Array, b: Array) -> Array:
    """a + b in float64, rounded to odd, for finite results."""
    s, error = two_sum(a, b)
    even = (s.view(np.int64) & 1) == 0
    # Away from or toward zero, the odd neighbour lies on the error's side.
    toward = np.where(error > 0, np.inf, -np.inf)
    return np.where((error != 0) & even, np.nextafter(s, toward), s)


def fma(a: Array, b: Array, c: Array) -> Array:
    """a·b + c rounded once, for float32 or float64 arrays of one dtype (SPEC C17).

    >>> x = np.float32([1 + 2**-12])
    >>> float(fma(x, x, -(x * x))[0]) == 2.0**-24
    True
    """
    a, b, c = np.broadcast_arrays(a, b, c)
    if not a.dtype == b.dtype == c.dtype or a.dtype not in (np.float32, np.float64):
        raise TypeError(
            f"fma takes three arrays of float32 or of float64; got {a.dtype}, {b.dtype}, {c.dtype}"
        )
    with np.errstate(all="ignore"):
        return _fma32(a, b, c) if a.dtype == np.float32 else _fma64(a, b, c)


def _fma32(a: Array, b: Array, c: Array) -> Array:
    product = a.astype(np.float64) * b.astype(np.float64)  # exact: 48 bits
    addend = c.astype(np.float64)
    total = product + addend
    # Rounded to odd with 53 >= 24 + 2 bits, the second rounding gives what one would have given.
    odd = _add_to_odd(product, addend)
    result: Array = np.where(np.isfinite(total) & (total != 0), odd, total).astype(np.float32)
    return result


def _fma64(a: Array, b: Array, c: Array) -> Array:
    """Boldo and Melquiond's emulation on significands; exact rationals where the result underflows.

    Scaled by powers of two, no term of theirs can overflow or underflow. A result that is normal,
    or overflows, is scaled back without another rounding.
    """
    (fa, ea), (fb, eb), (fc, ec) = (np.frexp(x) for x in (a, b, c))
    exponent = np.asarray(ea + eb)
    beyond = np.where(c == 0, 0, ec - exponent)
    exponent = exponent + np.maximum(beyond - STICKY, 0)
    fc = np.ldexp(fc, np.clip(beyond, -STICKY, STICKY))
    high, low = two_product(fa, fb)
    t_high, t_low = two_sum(fc, low)
    v_high, v_low = two_sum(high, t_high)
    scaled = np.asarray(v_high + _add_to_odd(t_low, v_low))
    result = np.ldexp(scaled, exponent)
    finite_product = np.isfinite(a) & np.isfinite(b)
    finite = finite_product & np.isfinite(c)
    plain = np.asarray(a * b + c)
    # A finite product leaves an infinite c alone, even one that overflows when it is rounded.
    result = np.where(finite, result, np.where(finite_product, c, plain))
    # A zero factor leaves one operation, or a sum of zeros whose sign the plain form has.
    zero_factor = finite & ((a == 0) | (b == 0))
    result = np.where(zero_factor, plain, result)
    result = np.where(finite & ~zero_factor & (scaled == 0), 0.0, result)  # x - x is +0
    underflows = finite & ~zero_factor & (scaled != 0) & (np.abs(result) <= 2.0**-1022)
    for index in np.argwhere(underflows):
        result[tuple(index)] = _fma_exact(
            float(a[tuple(index)]), float(b[tuple(index)]), float(c[tuple(index)])
        )
    return np.asarray(result)


def _fma_exact(a: float, b: float, c: float) -> float:
    """a·b + c, which is not zero, though it may be when it is rounded: its sign is of use then."""
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    return math.copysign(float(round_fraction(exact, "float64")), 1 if exact > 0 else -1)


def _float32(*patterns: int) -> Array:
    """Numbers by their bits: no conversion that a thread's environment could change."""
    return np.array(patterns, np.uint32).view(np.float32)


# Products that are subnormal, of a subnormal and of normal numbers; sums at and beyond a tie.
_FACTORS = _float32(0x3F800000, 0x00800000), _float32(0x00000001, 0x3F000000)
_PRODUCTS = _float32(0x00000001, 0x00400000).tobytes()
_TERMS = (
    _float32(0x3F800000, 0x3F800000, 0xBF800000),
    _float32(0x33800000, 0x33C00000, 0xB3C00000),
)
_SUMS = _float32(0x3F800000, 0x3F800001, 0xBF800001).tobytes()
# A product that rounds up to the smallest normal number.
_NEARLY_NORMAL = _float32(0x00800001), _float32(0x3F7FFFFE)
_NORMAL = _float32(0x00800000).tobytes()


def require_default_environment() -> None:
    """FloatingPointError unless this thread rounds to nearest and keeps subnormals (SPEC C15)."""
    if np.multiply(*_FACTORS).tobytes() != _PRODUCTS:
        raise FloatingPointError(
            "this thread flushes subnormals, so no reference bits can be computed in it; legal: "
            "the default floating-point environment. torch.set_flush_denormal(True) sets the flag, "
            "and so does loading a library built with -ffast-math: unset it, or compute in a "
            "thread that began before"
        )
    require_rounding_to_nearest()


def require_late_flush() -> None:
    """FloatingPointError unless `flushed` has its bits in this thread (SPEC C33).

    It rounds to nearest, and keeps subnormals or flushes what is tiny after rounding.
    """
    require_rounding_to_nearest()
    if np.multiply(*_NEARLY_NORMAL).tobytes() != _NORMAL:
        raise FloatingPointError(
            "this thread flushes subnormals before it rounds, as Arm's processors do, so "
            "subnormals='flush' would have other bits in it; legal: the default floating-point "
            "environment"
        )


def require_rounding_to_nearest() -> None:
    """FloatingPointError unless this thread rounds to nearest (SPEC C15)."""
    if np.add(*_TERMS).tobytes() != _SUMS:
        raise FloatingPointError(
            "this thread does not round to nearest, so no reference bits can be computed in it; "
            "legal: the default floating-point environment (fesetround(FE_TONEAREST))"
        )
