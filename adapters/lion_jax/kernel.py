"""The update of one array: SPEC C5's operations, with a fence after every product.

θ' reads m, and m' is to be written over it where buffers are donated. Nothing in the mathematics
orders the two, and unordered XLA's CPU compiler copies m first, which costs more than the step. So
both functions make m' wait, each for what it has.

Where b is a constant +0, XLA takes a + b for a, and then -0 + +0 is -0 (SPEC C5). The gradient of a
parameter that the loss does not use is such a constant. So one summand waits for the other wherever
that zero's sign would show: what depends on an array that is no constant is none itself.

With `flush`, a program for a platform that keeps subnormals has other operations (SPEC C33).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from lion_jax.fence import computed_once, fence, fence_after
from lion_jax.operations import Operations, operations, where_flushing
from lion_jax.rounding import load


@partial(jax.jit, inline=True, static_argnames=("stored", "flush"))
def update(
    theta: jax.Array, m: jax.Array, g: jax.Array, scalars: Any, *, stored: bool, flush: bool
) -> tuple[Any, Any]:
    """(-e, m'): what to add to θ, in the compute dtype, and the new momentum.

    Unless stored, -e is not narrowed to θ's dtype: θ ⊕ (-e) in the compute dtype, rounded once, is
    the canonical θ' (SPEC C9), and that is what optax.apply_updates forms. Stored it is narrowed
    (SPEC C31), and fenced, lest XLA add it as it was before: the sum widens both again.

    The caller forms θ', so m' waits for u. bfloat16 holds u's four values, and a conversion to it
    is what XLA's CPU compiler would rather store than repeat: θ' then reads u, and no m.
    """
    native = partial(_update, stored=stored)
    found: tuple[Any, Any] = _on_every_platform(native, flush, theta, m, g, scalars)
    return found


@partial(jax.jit, inline=True, static_argnames=("sharded", "flush"))
def step(
    theta: jax.Array, m: jax.Array, g: jax.Array, scalars: Any, *, sharded: bool, flush: bool
) -> tuple[Any, Any]:
    """(θ', m'), where m' waits for θ'.

    One element of θ' will do for all of m', and need not be read again for each. But where θ' is
    sharded, its devices would have to send it to one another, and each waits for its own elements.
    """
    native = partial(_step, sharded=sharded)
    found: tuple[Any, Any] = _on_every_platform(native, flush, theta, m, g, scalars)
    return found


def _on_every_platform(native: Any, flush: bool, *operands: Any) -> Any:
    if not flush:
        return native(*operands)
    return where_flushing(native, partial(native, flushed=True), *operands)


def _update(
    theta: jax.Array,
    m: jax.Array,
    g: jax.Array,
    scalars: Any,
    *,
    stored: bool,
    flushed: bool = False,
) -> tuple[Any, Any]:
    compute = scalars.lr.dtype
    ops = operations(compute, flushed=flushed)
    wide_theta, wide_m, wide_g = ops.load(theta), ops.load(m), ops.load(g)
    u = _direction(ops, wide_m, wide_g, scalars).astype(jnp.float32).astype(jnp.bfloat16)
    e = _decrement(ops, load(u, compute), wide_theta, scalars)
    new_m = ops.store(_new_momentum(ops, wide_m, wide_g, scalars, after=u), m.dtype)
    if stored and theta.dtype != compute:
        return fence(ops.store(-e, theta.dtype)), new_m
    return -e, new_m


def _step(
    theta: jax.Array,
    m: jax.Array,
    g: jax.Array,
    scalars: Any,
    *,
    sharded: bool,
    flushed: bool = False,
) -> tuple[Any, Any]:
    compute = scalars.lr.dtype
    ops = operations(compute, flushed=flushed)
    wide_theta, wide_m, wide_g = ops.load(theta), ops.load(m), ops.load(g)
    u = _direction(ops, wide_m, wide_g, scalars)
    e = _decrement(ops, u, wide_theta, scalars)
    new_theta = ops.store(ops.subtract(wide_theta, e), theta.dtype)
    if new_theta.dtype != compute:
        new_theta = computed_once(new_theta)
    after = new_theta
    if not sharded and theta.size:
        after = jnp.broadcast_to(new_theta.reshape(-1)[0], theta.shape)
    return new_theta, ops.store(_new_momentum(ops, wide_m, wide_g, scalars, after=after), m.dtype)


def _direction(ops: Operations, m: jax.Array, g: jax.Array, scalars: Any) -> jax.Array:
    """u = sign(c), which is -1, +0, +1 or NaN."""
    a = fence(ops.product(scalars.beta1, m))
    b = fence(ops.product(scalars.one_minus_beta1, g))
    return _sign(ops.add(a, b))


def _sign(c: jax.Array) -> jax.Array:
    """jnp.sign keeps the sign of a zero; SPEC C7 does not."""
    return jnp.where(c == 0, jnp.zeros_like(c), jnp.sign(c))


def _decrement(ops: Operations, u: jax.Array, theta: jax.Array, scalars: Any) -> jax.Array:
    """e = η ⊗ (u ⊕ λ ⊗ θ)."""
    d = fence(ops.product(scalars.weight_decay, theta))
    # u is never -0, so u + 0 is u; 0 + d is not always d, and u is a constant if m and g are.
    s = ops.add(fence_after(u, d), d)
    return fence(ops.product(scalars.lr, s))


def _new_momentum(
    ops: Operations, m: jax.Array, g: jax.Array, scalars: Any, *, after: jax.Array
) -> jax.Array:
    """m' = β2 ⊗ m ⊕ (1-β2) ⊗ g, to be computed after another array."""
    x = fence_after(ops.product(scalars.beta2, m), after)
    y = fence_after(ops.product(scalars.one_minus_beta2, g), x)
    return ops.add(x, y)
