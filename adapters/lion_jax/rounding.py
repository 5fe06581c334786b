"""Widening to the compute dtype and storing from it, with one rounding each (SPEC C3, C9, C18)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from lion_jax.fence import fence, signed_bits

_LOW_29 = (1 << 29) - 1


def load(x: jax.Array, compute: Any) -> jax.Array:
    """x in the compute dtype, as it is stored.

    The fence comes before the widening: x is often the result of an operation in the same
    computation, in which XLA may have kept more precision than x's dtype has.
    """
    return fence(x).astype(compute)


def store(x: jax.Array, dtype: Any) -> jax.Array:
    """x rounded once to dtype.

    No fence: a step that follows in the same computation loads the result, and that has one.
    """
    if x.dtype == dtype:
        return x
    if x.dtype == jnp.float64:
        if dtype == jnp.bfloat16:
            x = _to_bfloat16_precision(x)
        elif dtype == jnp.float16:
            x = _to_odd(x)
    return x.astype(dtype)


# XLA converts float64 to the 16-bit dtypes by way of float32: two roundings. Each function below
# makes the conversion that follows exact enough for one.


def _to_bfloat16_precision(x: jax.Array) -> jax.Array:
    """x rounded to bfloat16; the conversions that follow are exact, or flush."""
    rounded: jax.Array = lax.platform_dependent(
        x, cpu=_to_eight_bits, default=_to_eight_bits_or_subnormal
    )
    return rounded


def _to_eight_bits(x: jax.Array) -> jax.Array:
    """x rounded to bfloat16's precision, with unbounded exponent.

    What is still below the smallest normal number is tiny, and then flushed (SPEC C18).
    """
    return lax.reduce_precision(x, exponent_bits=11, mantissa_bits=7)


def _to_eight_bits_or_subnormal(x: jax.Array) -> jax.Array:
    """x rounded to bfloat16's precision, or to a multiple of its smallest subnormal, 2**-133."""
    # Numbers between 1·2**-81 and 2·2**-81 are 2**-133 apart: adding rounds, and the fence holds.
    shift = x.dtype.type(1.5 * 2.0**-81)
    subnormal = jnp.copysign(fence(x + shift) - shift, x)
    return jnp.where(jnp.abs(x) < x.dtype.type(2.0**-126), subnormal, _to_eight_bits(x))


@jax.custom_jvp
def _to_odd(x: jax.Array) -> jax.Array:
    """x rounded to odd at float32's precision, so that rounding that again rounds as if once.

    float16 is so much narrower than float32, in precision and in range, that this holds for every
    x, its subnormals included.
    """
    pattern = signed_bits(x)
    low = pattern & jnp.int64(_LOW_29)
    sticky = (low != 0).astype(jnp.int64) << 29
    return lax.bitcast_convert_type((pattern ^ low) | sticky, x.dtype)


@_to_odd.defjvp
def _to_odd_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    return _to_odd(*primals), tangents[0]
