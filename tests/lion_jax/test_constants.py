"""Constants inside jit: XLA simplifies with them, and must not change a zero's sign by it."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lion_jax
from lion_jax import kernel
from lion_jax.fence import fence
from lion_ref import Semantics, step
from lion_ref.arithmetic import same_bits

pytestmark = pytest.mark.clause("C5", "C7")

FLUSH = Semantics(subnormals="flush")
SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, 1e-40, -1e-40, 1.18e-38, -1.18e-38, np.inf, np.nan], np.float32
)


def right(
    constant: tuple[bool, bool, bool], lr: float, weight_decay: float, zero: float
) -> tuple[bool, bool]:
    """Whether θ' and m' are, where some of θ, m and g are constants of the jitted function."""
    tx = lion_jax.lion(lr, weight_decay=weight_decay)
    axes = [np.array([zero], np.float32) if fixed else SPECIAL for fixed in constant]
    theta, m, g = (x.reshape(-1) for x in np.meshgrid(*axes, indexing="ij"))

    @jax.jit
    def run(*traced: jax.Array) -> tuple[jax.Array, lion_jax.LionState]:
        rest = iter(traced)
        param, mu, grad = (
            jnp.full(theta.shape, np.float32(zero)) if fixed else next(rest) for fixed in constant
        )
        return tx.step(grad, lion_jax.LionState(jnp.zeros([], jnp.int32), mu), param)

    pairs = zip((theta, m, g), constant, strict=True)
    new_theta, state = run(*(jnp.asarray(x) for x, fixed in pairs if not fixed))
    expected = step(theta, m, g, lr=lr, weight_decay=weight_decay, semantics=FLUSH)
    return (
        bool(same_bits(np.asarray(new_theta), expected[0]).all()),
        bool(same_bits(np.asarray(state.mu), expected[1]).all()),
    )


@pytest.mark.parametrize("zero", [0.0, -0.0])
@pytest.mark.parametrize(("lr", "weight_decay"), [(0.1, 0.0), (0.0, 0.0), (0.0, 1.0), (0.1, 0.1)])
@pytest.mark.parametrize("constant", list(itertools.product((False, True), repeat=3)), ids=str)
def test_any_of_the_arrays_may_be_a_constant_zero(
    constant: tuple[bool, bool, bool], lr: float, weight_decay: float, zero: float
) -> None:
    assert right(constant, lr, weight_decay, zero) == (True, True)


def test_summands_that_do_not_wait_lose_a_zeros_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    """θ' where u is a constant, m' where the gradient is."""
    monkeypatch.setattr(kernel, "fence_after", lambda x, _: fence(x))
    jax.clear_caches()  # type: ignore[no-untyped-call]
    try:
        assert not right((False, True, True), 0.1, 0.0, 0.0)[0]
        assert not right((False, False, True), 0.1, 0.0, 0.0)[1]
    finally:
        jax.clear_caches()  # type: ignore[no-untyped-call]


def test_a_parameter_that_the_loss_does_not_use() -> None:
    tx = lion_jax.lion(0.1)
    params = {"used": jnp.ones(2), "unused": jnp.ones(2)}
    mu = {"used": jnp.zeros(2), "unused": jnp.array([-1.18e-38, -0.0])}
    state = tx.init(params)._replace(mu=mu)
    train = jax.jit(lambda p, s: tx.step(jax.grad(lambda q: (q["used"] ** 2).sum())(p), s, p))
    assert not np.signbit(train(params, state)[1].mu["unused"]).any()
    # What XLA does to the plain sum, and the reason for the adapter's own.
    plain = jax.jit(lambda x: x + jnp.zeros(2))
    assert np.signbit(plain(jnp.array([-0.0, -0.0]))).all()
