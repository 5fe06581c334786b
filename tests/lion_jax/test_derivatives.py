"""Derivatives through a step: sign's is 0, as optax.lion's is, and a rounding's is 1.

What passes through the integers has no derivative of its own, so each such function is given one;
without it a gradient through a step would silently be zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lion_jax
from lion_jax import rounding
from lion_ref.arithmetic import same_bits
from lion_ref.dtypes import STORAGE_DTYPES
from tests.lion_jax.doors import by_apply_updates, by_step, normal, reference
from tests.lion_jax.test_contexts import from_init

DOOR = pytest.mark.parametrize("door", [by_apply_updates, by_step])

pytestmark = pytest.mark.clause("C1")


@DOOR
def test_the_step_can_be_differentiated(door: Callable[[Any], Any]) -> None:
    """dθ'/dη = -(u + λ·θ) and dm'/dg = 1-β2: a fence has the derivative of what it stands for."""
    theta, m, g = (jnp.asarray(x) for x in normal(4, 101))

    def after(lr: Any, g: Any) -> Any:
        train = door(lion_jax.lion(lr, weight_decay=0.5))
        theta_new, state = train(theta, lion_jax.LionState(jnp.int32(0), m), g)
        return theta_new, state.mu

    by_rate, _ = jax.jvp(lambda lr: after(lr, g), (jnp.float32(0.25),), (jnp.float32(1),))[1]
    with_rate_one, _ = reference((np.zeros(101, np.float32), np.asarray(m), np.asarray(g)), lr=1.0)
    assert same_bits(np.asarray(by_rate), np.asarray(with_rate_one - 0.5 * theta)).all()
    by_gradient = jax.grad(lambda g: after(jnp.float32(0.25), g)[1].sum())(g)
    assert (by_gradient == np.float32(1 - 0.99)).all()


@DOOR
def test_a_rate_is_learned_through_rematerialized_steps(door: Callable[[Any], Any]) -> None:
    """jax.grad through jax.checkpoint through two steps: the same derivative as without it."""
    theta, _, g = (jnp.asarray(x) for x in normal(8, 101))

    def distance(lr: Any) -> Any:
        tx = lion_jax.lion(lr, weight_decay=0.5)
        return (from_init(door(tx), tx, 2, theta, g)[0] ** 2).sum()

    plain = jax.grad(distance)(jnp.float32(0.25))
    again = jax.grad(jax.checkpoint(distance))(jnp.float32(0.25))
    assert float(plain) == float(again)
    assert float(plain) != 0


@DOOR
def test_nothing_comes_through_the_sign(door: Callable[[Any], Any]) -> None:
    """dθ'/dg = dθ'/dm = 0 and dθ'/dθ = 1 - η·λ, by every kind of derivative, as of optax.lion."""
    theta, m, g = (jnp.asarray(x) for x in normal(9, 33))

    def after(make: Callable[..., Any], theta: Any, m: Any, g: Any) -> Any:
        tx = make(0.25, weight_decay=0.5)
        state = tx.init(theta)
        if make is lion_jax.lion:
            return door(tx)(theta, state._replace(mu=m), g)[0]
        return by_apply_updates(tx)(theta, (state[0]._replace(mu=m), *state[1:]), g)[0]

    for make in (lion_jax.lion, optax.lion):

        def total(*arrays: Any, make: Any = make) -> Any:
            return after(make, *arrays).sum()

        by_theta, by_m, by_g = jax.jit(jax.grad(total, argnums=(0, 1, 2)))(theta, m, g)
        assert (by_theta == 0.875).all()
        assert not by_m.any()
        assert not by_g.any()
        linear = jax.linearize(jax.jit(lambda x, make=make: after(make, x, m, g)), theta)[1]
        assert (linear(jnp.full(33, 8.0)) == 7).all()


def momentum_by_gradient(momentum: str) -> Any:
    """dm'/dg by jax.grad and by jax.jvp, for float64 parameters: m' is rounded to its dtype."""
    with jax.enable_x64(True):
        theta, g = jnp.ones(5), jnp.linspace(-2.0, 2.0, 5)

        @jax.jit
        def after(g: Any) -> Any:
            state = lion_jax.LionState(jnp.int32(0), jnp.zeros(5, momentum))
            return lion_jax.lion(0.1, b2=0.75).step(g, state, theta)[1].mu

        forward = jax.jvp(after, (g,), (jnp.ones(5),))[1]
        backward = jax.grad(lambda g: after(g).astype(jnp.float64).sum())(g)
    return np.asarray(forward, np.float64), np.asarray(backward)


@pytest.mark.parametrize("momentum", STORAGE_DTYPES)
def test_a_stored_momentum_has_a_derivative(momentum: str) -> None:
    for derivative in momentum_by_gradient(momentum):
        assert (derivative == 0.25).all()


def test_without_its_rule_that_derivative_would_be_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounding, "_to_odd", rounding._to_odd.fun)
    jax.clear_caches()  # type: ignore[no-untyped-call]
    try:
        assert not np.any(momentum_by_gradient("float16"))
    finally:
        jax.clear_caches()  # type: ignore[no-untyped-call]
