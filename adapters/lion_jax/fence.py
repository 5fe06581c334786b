"""Fences: values that no compiler may look through (SPEC C5, C9).

XLA turns a product and a sum into one fused multiply-add, folds (x·c)·k into x·(c·k) when both
stand in one computation, and skips float32 → bfloat16 → float32. Each changes bits. A fence between
two operations stops all three: the value passes through the integers, where its last bit is set if
it is a NaN. To remove that, a compiler would have to prove that the value is never a NaN; setting
the bit is harmless, since any NaN equals any NaN (SPEC C11). The fence takes its condition from the
value itself, so it holds wherever the value is not a constant, and a constant needs none.

The few integer operations stay inside the loop that they guard: no pass over memory, no temporary.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

_UNSIGNED = {2: jnp.uint16, 4: jnp.uint32, 8: jnp.uint64}
_INFINITY = {"float16": 0x7C00, "bfloat16": 0x7F80, "float32": 0x7F800000, "float64": 0x7FF << 52}


def bits(x: jax.Array) -> jax.Array:
    """The bit patterns of a floating-point array, as unsigned integers of its width."""
    return lax.bitcast_convert_type(x, _UNSIGNED[x.dtype.itemsize])


# The passage through the integers has no derivative of its own: without these rules a gradient
# taken through a step would silently be zero.


@jax.custom_jvp
def fence(x: jax.Array) -> jax.Array:
    """x, opaque to the compiler: what lies before and after is never merged."""
    pattern = bits(x)
    unsigned = pattern.dtype
    magnitude_mask = unsigned.type((1 << (8 * unsigned.itemsize - 1)) - 1)
    is_nan = (pattern & magnitude_mask) > unsigned.type(_INFINITY[x.dtype.name])
    return lax.bitcast_convert_type(pattern | is_nan.astype(unsigned), x.dtype)


@fence.defjvp
def _fence_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    return fence(*primals), tangents[0]


@jax.custom_jvp
def ordered_after(x: jax.Array, earlier: jax.Array) -> jax.Array:
    """x, opaque to the compiler and available only once `earlier`, of the same shape, is.

    i·(i+1) is even for every i. Nothing hangs on a compiler not knowing that but speed: x may then
    be computed first, and a buffer that both need may be copied.
    """
    pattern = bits(x)
    i = bits(earlier)
    even = (i * (i + i.dtype.type(1))) & i.dtype.type(1)
    return lax.bitcast_convert_type(pattern | even.astype(pattern.dtype), x.dtype)


@ordered_after.defjvp
def _ordered_after_jvp(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    return ordered_after(*primals), tangents[0]


def computed_once(x: jax.Array) -> jax.Array:
    """x, as a value that XLA's CPU compiler stores and reads again rather than compute it twice.

    It repeats a conversion, and all before it, in every loop that needs the result; a select it
    does not repeat. Again nothing hangs on it but speed and memory.
    """
    return jnp.where(jnp.isnan(x), jnp.full_like(x, jnp.nan), x)
