"""Storing a result: one rounding to nearest even in every namespace (SPEC C9).

Array libraries narrow float64 to float16 and bfloat16 by way of float32: twice rounded. NumPy alone
does not, and for float16 alone.
"""

from __future__ import annotations

from typing import Any

from lion_array_api.checks import dtype_name
from lion_ref.rational import FORMATS, Format


def stored(xp: Any, values: Any, dtype: Any) -> Any:
    """values, in the compute dtype, rounded once to dtype."""
    name = dtype_name(dtype)
    if dtype_name(values.dtype) == "float64" and name in ("float16", "bfloat16"):
        values = _by_float32(xp, values, FORMATS[name])
    return xp.astype(values, dtype, copy=False)


def _by_float32(xp: Any, values: Any, target: Format) -> Any:
    """float64 values as float32, such that the target rounds no value that float32 has rounded.

    A value that float32 holds exactly is left to the target. No other is a tie of the target, so
    any rounding to nearest to its number of bits gives the one right result, and float32 holds it.
    """
    precision, magnitude = 53, xp.abs(values)
    # To the target's number of bits: Veltkamp's splitting, which may only break ties wrongly.
    scaled = magnitude * (2.0 ** (precision - target.precision) + 1)
    normal = scaled - (scaled - magnitude)
    # Below the smallest normal number, to a multiple of the smallest subnormal: it is the last bit
    # of this sum.
    smallest = target.min_exponent - target.precision + 1
    shift = 1.5 * 2.0 ** (smallest + precision - 1)
    subnormal = (magnitude + shift) - shift
    nearest = xp.where(magnitude < 2.0**target.min_exponent, subnormal, normal)
    # The splitting may overflow here, where the result does anyway.
    nearest = xp.where(magnitude < 2.0 ** (target.max_exponent + 2), nearest, magnitude)
    nearest = xp.where(values < 0, -nearest, nearest)
    plain = xp.astype(values, xp.float32)
    result = xp.where(
        xp.astype(plain, values.dtype) == values, plain, xp.astype(nearest, xp.float32)
    )
    # Where subnormals are flushed, one can still round up to the smallest normal number; tiny is
    # what is so with unbounded exponent range (SPEC C18), and float32 then makes a zero of it.
    unbounded = xp.astype(normal, xp.float32)
    return xp.where(unbounded == 0, plain * 0.0, result)
