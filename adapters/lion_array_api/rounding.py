"""Storing a result: one rounding to nearest even in every namespace (SPEC C9).

Array libraries narrow float64 to float16 and bfloat16 by way of float32: twice rounded. NumPy alone
does not, and for float16 alone.
"""

from __future__ import annotations

from typing import Any

from lion_array_api.namespaces import dtype_name
from lion_ref.rational import FORMATS, Format


def stored(xp: Any, values: Any, dtype: Any) -> Any:
    """values, in the compute dtype, rounded once to dtype."""
    name = dtype_name(dtype)
    if dtype_name(values.dtype) == "float64" and name in ("float16", "bfloat16"):
        values = xp.astype(_prepared(xp, values, FORMATS[name]), xp.float32, copy=False)
    return xp.astype(values, dtype, copy=False)


def _prepared(xp: Any, values: Any, target: Format) -> Any:
    """float64 values that the way by float32 rounds once.

    A value that float32 holds exactly is left to that. No other is a tie of the narrower dtype, so
    any rounding to nearest of as many bits gives the one right result, which float32 then holds.
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
    by_float32 = xp.astype(xp.astype(values, xp.float32), values.dtype)
    return xp.where(by_float32 == values, values, xp.where(values < 0, -nearest, nearest))
