"""Fences: values that no compiler may look through (SPEC C5, C9).

XLA turns a product and a sum into one fused multiply-add, folds (x·c)·k into x·(c·k) when both
stand in one computation, and skips the rounding to bfloat16 between two operations. Each changes
bits. A fence between two operations stops all three: the value passes through the integers, where
the smaller of its bits and a NaN's are taken, as signed numbers. Only NaNs lie above that NaN, so
nothing changes but one NaN into another, and any NaN equals any NaN (SPEC C11). To remove it, a
compiler would have to prove that the value is no such NaN. It takes nothing but the value itself,
so it holds wherever the value is not a constant. A constant is folded, rounded as it should be;
what XLA makes of a sum with one is `kernel`'s concern.

That is one integer operation inside the loop it guards: no pass over memory, no temporary.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

_SIGNED = {2: jnp.int16, 4: jnp.int32, 8: jnp.int64}
_NAN = {"float16": 0x7E00, "bfloat16": 0x7FC0, "float32": 0x7FC00000, "float64": 0x7FF8 << 48}


def signed_bits(x: jax.Array) -> jax.Array:
    """The bit patterns of a floating-point array, as signed integers of its width."""
    return lax.bitcast_convert_type(x, _SIGNED[x.dtype.itemsize])


# The passage through the integers has no derivative of its own: without these rules a gradient
# taken through a step would silently be zero.


@jax.custom_jvp
def fence(x: jax.Array) -> jax.Array:
    """x, opaque to the compiler: what lies before and after is never merged."""
    pattern = signed_bits(x)
    nan = pattern.dtype.type(_NAN[x.dtype.name])
    return lax.bitcast_convert_type(lax.min(pattern, jnp.full_like(pattern, nan)), x.dtype)


@fence.defjvp
def _fence_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    return fence(*primals), tangents[0]


@jax.custom_jvp
def fence_after(x: jax.Array, earlier: jax.Array) -> jax.Array:
    """x behind a fence that stands only once `earlier`, of the same shape, is computed.

    The bits of `earlier` may raise the NaN to compare with, never lower it: whatever they are, the
    fence changes nothing.
    """
    pattern = signed_bits(x)
    nan = pattern.dtype.type(_NAN[x.dtype.name])
    other = signed_bits(earlier).astype(pattern.dtype)
    # Its highest bits stay the highest: were it known to be small, the compiler need not wait.
    other = other << max(0, 8 * (pattern.dtype.itemsize - earlier.dtype.itemsize))
    limit = lax.max(other, jnp.full_like(other, nan))
    return lax.bitcast_convert_type(lax.min(pattern, limit), x.dtype)


@fence_after.defjvp
def _fence_after_jvp(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    return fence_after(*primals), tangents[0]


def computed_once(x: jax.Array) -> jax.Array:
    """x, as a value that XLA's CPU compiler stores and reads again rather than compute it twice.

    It repeats a conversion, and all before it, in every loop that needs the result; a select it
    does not repeat. Nothing hangs on it but speed and memory.
    """
    return jnp.where(jnp.isnan(x), jnp.full_like(x, jnp.nan), x)
