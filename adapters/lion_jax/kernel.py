"""The update of one array: SPEC C5's operations, with a fence after every product."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from lion_jax.fence import computed_once, fence, ordered_after
from lion_jax.rounding import load, store


@partial(jax.jit, inline=True)
def update(theta: jax.Array, m: jax.Array, g: jax.Array, scalars: Any) -> tuple[Any, Any]:
    """(-e, m'): what to add to θ, in the compute dtype, and the new momentum.

    -e is not narrowed to θ's dtype: θ ⊕ (-e) in the compute dtype, rounded once, is the canonical
    θ' (SPEC C9), and that is what optax.apply_updates forms.
    """
    compute = scalars.lr.dtype
    wide_m, wide_g = load(m, compute), load(g, compute)
    e = _decrement(load(theta, compute), wide_m, wide_g, scalars)
    x, y = _decayed_terms(wide_m, wide_g, scalars)
    return -e, store(x + y, m.dtype)


@partial(jax.jit, inline=True)
def step(theta: jax.Array, m: jax.Array, g: jax.Array, scalars: Any) -> tuple[Any, Any]:
    """(θ', m'), where m' waits for θ'.

    Both read m, and m' is to be written over it. Unordered, XLA would copy m first.
    """
    compute = scalars.lr.dtype
    wide_theta, wide_m, wide_g = load(theta, compute), load(m, compute), load(g, compute)
    e = _decrement(wide_theta, wide_m, wide_g, scalars)
    new_theta = computed_once(store(wide_theta - e, theta.dtype))
    x, y = _decayed_terms(wide_m, wide_g, scalars)
    new_m = ordered_after(x, new_theta) + y
    return new_theta, store(new_m, m.dtype)


def _decrement(theta: jax.Array, m: jax.Array, g: jax.Array, scalars: Any) -> jax.Array:
    """e = η ⊗ (sign(c) ⊕ λ ⊗ θ)."""
    a = fence(scalars.beta1 * m)
    b = fence(scalars.one_minus_beta1 * g)
    u = _sign(a + b)
    d = fence(scalars.weight_decay * theta)
    s = u + d
    return fence(scalars.lr * s)


def _decayed_terms(m: jax.Array, g: jax.Array, scalars: Any) -> tuple[jax.Array, jax.Array]:
    return fence(scalars.beta2 * m), fence(scalars.one_minus_beta2 * g)


def _sign(c: jax.Array) -> jax.Array:
    """-1, +0, +1 or NaN; jnp.sign keeps the sign of a zero (SPEC C7)."""
    return jnp.where(c == 0, jnp.zeros_like(c), jnp.sign(c))
