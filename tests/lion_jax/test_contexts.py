"""The same bits wherever a step is traced: constants, loops, batches, gradients, donated buffers.

Each context is one in which XLA has other reasons to merge, fold or reorder; where taking the
fences away shows in the bits, a test says so.
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
from lion_jax import kernel, rounding
from tests.lion_jax.doors import by_apply_updates, by_step, difference, normal, reference

SCALARS = {"lr": 0.01, "weight_decay": 0.1}
SIZE = 4099

DOOR = pytest.mark.parametrize("door", [by_apply_updates, by_step])
DTYPE = pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])


def lion(**changes: Any) -> Any:
    return lion_jax.lion(SCALARS["lr"], weight_decay=SCALARS["weight_decay"], **changes)


def expected(arrays: Any, steps: int) -> tuple[Any, Any]:
    """The reference after some steps from a zero momentum, all with one gradient."""
    theta, m, g = arrays[0], np.zeros_like(arrays[1]), arrays[2]
    for _ in range(steps):
        theta, m = reference((theta, m, g), **SCALARS)
    return theta, m


def verdict(ours: Any, theirs: Any, arrays: Any) -> str:
    theta, m = (np.asarray(x) for x in ours)
    return difference((theta, m), theirs, arrays)


Program = Any  # (train, tx, steps, θ, g) -> (θ', m'): one computation


def from_init(train: Any, tx: Any, steps: int, theta: Any, g: Any) -> Any:
    state = tx.init(theta)
    for _ in range(steps):
        theta, state = train(theta, state, g)
    return theta, state.mu


def everything_traced(train: Any, tx: Any, steps: int, theta: Any, g: Any) -> Any:
    return jax.jit(lambda theta, g: from_init(train, tx, steps, theta, g))(theta, g)


def constant_params(train: Any, tx: Any, steps: int, theta: Any, g: Any) -> Any:
    return jax.jit(lambda g: from_init(train, tx, steps, theta, g))(g)


def constant_gradient(train: Any, tx: Any, steps: int, theta: Any, g: Any) -> Any:
    return jax.jit(lambda theta: from_init(train, tx, steps, theta, g))(theta)


def everything_constant(train: Any, tx: Any, steps: int, theta: Any, g: Any) -> Any:
    return jax.jit(lambda: from_init(train, tx, steps, theta, g))()


def rematerialized(train: Any, tx: Any, steps: int, theta: Any, g: Any) -> Any:
    steps_again = jax.checkpoint(lambda theta, g: from_init(train, tx, steps, theta, g))
    return jax.jit(steps_again)(theta, g)


def scanned(train: Any, tx: Any, steps: int, theta: Any, g: Any) -> Any:
    def body(carry: Any, _: Any) -> Any:
        return train(*carry, g), None

    def program(theta: Any) -> Any:
        return jax.lax.scan(body, (theta, tx.init(theta)), length=steps)[0]

    theta, state = jax.jit(program)(theta)
    return theta, state.mu


def looped_with_branches(train: Any, tx: Any, steps: int, theta: Any, g: Any) -> Any:
    """A step in each third branch of a switch in a while_loop, and nothing in the others."""

    def nothing(theta: Any, state: Any) -> Any:
        return theta, state

    def body(carry: Any) -> Any:
        i, params = carry
        branches = [nothing, nothing, lambda theta, state: train(theta, state, g)]
        return i + 1, jax.lax.switch(i % 3, branches, *params)

    def program(theta: Any) -> Any:
        start = jnp.int32(0), (theta, tx.init(theta))
        return jax.lax.while_loop(lambda carry: carry[0] < 3 * steps, body, start)[1]

    theta, state = jax.jit(program)(theta)
    return theta, state.mu


def conditional(train: Any, tx: Any, steps: int, theta: Any, g: Any) -> Any:
    def program(go: Any, theta: Any, state: Any) -> Any:
        return jax.lax.cond(go, lambda: train(theta, state, g), lambda: (theta, state))

    state = tx.init(theta)
    for go in (True, False) * steps:
        theta, state = jax.jit(program)(go, theta, state)
    return theta, state.mu


PROGRAMS: list[Program] = [
    everything_traced,
    constant_params,
    constant_gradient,
    everything_constant,
    rematerialized,
    scanned,
]


@DOOR
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("steps", [pytest.param(1, marks=pytest.mark.slow), 3])
@pytest.mark.clause("C5", "C9")
def test_init_and_steps_in_one_jit(
    program: Program, steps: int, door: Callable[[Any], Any]
) -> None:
    arrays = {dtype: normal(0, SIZE, (dtype,) * 3) for dtype in ("float32", "bfloat16", "float16")}
    theta, g = ({dtype: jnp.asarray(x[i]) for dtype, x in arrays.items()} for i in (0, 2))
    tx = lion()
    params, mu = program(door(tx), tx, steps, theta, g)
    for dtype, given in arrays.items():
        assert not verdict((params[dtype], mu[dtype]), expected(given, steps), given)


@DOOR
@pytest.mark.parametrize("program", [looped_with_branches, conditional])
@pytest.mark.clause("C5", "C9")
def test_branches_and_loops(program: Program, door: Callable[[Any], Any]) -> None:
    arrays = normal(0, SIZE, ("bfloat16", "float32", "float32"))
    tx = lion(mu_dtype="float32")
    ours = program(door(tx), tx, 3, jnp.asarray(arrays[0]), jnp.asarray(arrays[2]))
    assert not verdict(ours, expected(arrays, 3), arrays)


@pytest.mark.parametrize("program", [everything_traced, scanned, looped_with_branches, conditional])
@pytest.mark.clause("C5")
def test_without_fences_these_programs_go_wrong(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfenced(monkeypatch)
    arrays = normal(0, SIZE)
    tx = lion()
    ours = program(by_step(tx), tx, 3, jnp.asarray(arrays[0]), jnp.asarray(arrays[2]))
    assert verdict(ours, expected(arrays, 3), arrays)


def unfenced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take all fences away, and what was compiled with them, until the test ends."""
    monkeypatch.setattr(kernel, "fence", lambda x: x)
    monkeypatch.setattr(kernel, "fence_after", lambda x, _: x)
    monkeypatch.setattr(rounding, "fence", lambda x: x)
    for name in ("update", "step"):
        raw = getattr(kernel, name).__wrapped__
        monkeypatch.setattr(kernel, name, raw)


@DOOR
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.clause("C5", "C9", "C12")
def test_a_thousand_steps_in_one_scan(dtype: str, door: Callable[[Any], Any]) -> None:
    """Gradients and rates that change at every step, as scanned inputs."""
    rng = np.random.default_rng(1)
    theta, _, _ = normal(1, 257, (dtype,) * 3)
    grads = rng.standard_normal((1000, 257)).astype(theta.dtype)
    schedule = optax.warmup_cosine_decay_schedule(0.0, 1e-2, 50, 1000)
    tx = lion_jax.lion(schedule, weight_decay=0.1, mu_dtype="float32")
    train = door(tx)

    @jax.jit
    def program(theta: Any, grads: Any) -> Any:
        def body(carry: Any, g: Any) -> Any:
            return train(*carry, g), schedule(carry[1].count)

        return jax.lax.scan(body, (theta, tx.init(theta)), grads)

    (ours, state), rates = program(jnp.asarray(theta), jnp.asarray(grads))
    m = np.zeros(257, np.float32)
    for lr, g in zip(rates, grads, strict=True):
        theta, m = reference((theta, m, g), lr=float(lr), weight_decay=0.1)
    assert not verdict((ours, state.mu), (theta, m), (theta, m, g))
    assert int(state.count) == 1000


@DOOR
@pytest.mark.clause("C12")
def test_vmap_over_models_and_rates(door: Callable[[Any], Any]) -> None:
    arrays = normal(2, (3, 501))
    rates = jnp.float32([0.0, 0.1, 2.0])

    def one(lr: Any, theta: Any, mu: Any, g: Any) -> Any:
        state = lion_jax.LionState(jnp.int32(0), mu)
        theta, state = door(lion_jax.lion(lr, weight_decay=0.1))(theta, state, g)
        return theta, state.mu

    ours = jax.jit(jax.vmap(one))(rates, *map(jnp.asarray, arrays))
    for i in range(3):
        row = tuple(x[i] for x in arrays)
        theirs = reference(row, lr=float(rates[i]), weight_decay=0.1)
        assert not verdict([x[i] for x in ours], theirs, row)


@pytest.mark.parametrize("momentum", ["bfloat16", "float16"])
@pytest.mark.clause("C9", "C12")
def test_float64_in_a_scan_of_a_vmap(momentum: str) -> None:
    """Storing float64 in 16 bits takes its own rounding, chosen by platform: it must batch."""
    with jax.enable_x64(True):
        arrays = normal(9, (3, 257), ("float64", momentum, "float64"))
        tx = lion(mu_dtype=momentum)

        def one(theta: Any, g: Any) -> Any:
            return scanned(by_step(tx), tx, 5, theta, g)

        ours = jax.jit(jax.vmap(one))(jnp.asarray(arrays[0]), jnp.asarray(arrays[2]))
        assert not verdict(ours, expected(arrays, 5), arrays)


def trained_on_a_product(door: Callable[[Any], Any], dtype: str) -> str:
    """The verdict on a train step whose gradient is the product 0.3·x, there for XLA to fold."""
    tx = lion()
    theta, _, x = normal(3, SIZE, (dtype,) * 3)
    factor = np.asarray(0.3).astype(x.dtype)

    def loss(theta: Any, x: Any) -> Any:
        return jnp.asarray(factor) * jnp.sum(theta * x)

    @jax.jit
    def train_step(theta: Any, state: Any, x: Any) -> Any:
        return door(tx)(theta, state, jax.grad(loss)(theta, x))

    params = jnp.asarray(theta)
    new_theta, state = train_step(params, tx.init(params), jnp.asarray(x))
    start = (theta, np.zeros_like(theta), factor * x)
    return verdict((new_theta, state.mu), reference(start, **SCALARS), start)


@DOOR
@DTYPE
@pytest.mark.clause("C5", "C9")
def test_a_train_step_that_computes_its_gradient(dtype: str, door: Callable[[Any], Any]) -> None:
    assert not trained_on_a_product(door, dtype)


@DOOR
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.clause("C5", "C9")
def test_without_fences_a_gradient_computed_beside_it_is_not_what_the_step_sees(
    dtype: str, door: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """float32: (1-β)·(0.3·x) becomes ((1-β)·0.3)·x. bfloat16: 0.3·x is not rounded to 8 bits."""
    unfenced(monkeypatch)
    assert trained_on_a_product(door, dtype)


@DOOR
@DTYPE
@pytest.mark.clause("C5")
def test_numbers_that_a_compiler_knows_to_be_finite(dtype: str, door: Callable[[Any], Any]) -> None:
    """θ, m and g converted from small integers in the same jit: a test for NaN would be removed."""
    rng = np.random.default_rng(6)
    integers = rng.integers(-99, 100, (3, SIZE)).astype(np.int8)

    @jax.jit
    def program(integers: Any) -> Any:
        theta, m, g = integers.astype(dtype)
        params, state = door(lion())(theta, lion_jax.LionState(jnp.int32(0), m), g)
        return params, state.mu

    arrays = tuple(np.asarray(jnp.asarray(x, dtype)) for x in integers)
    expected_bits = reference(arrays, **SCALARS)  # type: ignore[arg-type]
    assert not verdict(program(integers), expected_bits, arrays)


@DOOR
@DTYPE
@pytest.mark.clause("C12")
def test_donated_buffers(dtype: str, door: Callable[[Any], Any]) -> None:
    tx = lion()
    arrays = normal(5, SIZE, (dtype,) * 3)
    train = jax.jit(door(tx), donate_argnums=(0, 1))
    theta, g = jnp.asarray(arrays[0]), jnp.asarray(arrays[2])
    state = tx.init(theta)
    first = theta, state.mu
    for _ in range(5):
        theta, state = train(theta, state, g)
    assert all(x.is_deleted() for x in first)
    assert not verdict((theta, state.mu), expected(arrays, 5), arrays)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.clause("C2")
def test_a_parameter_made_in_the_same_jit_is_rounded_before_it_is_stepped(dtype: str) -> None:
    """As by a projection. Through apply_updates XLA may add before it rounds: documented."""
    tx = lion_jax.lion(0.1, weight_decay=0.0)
    theta = jnp.linspace(1, 30, 64, dtype=dtype)
    g = -jnp.ones_like(theta)

    @jax.jit
    def train(theta: Any) -> Any:
        projected = theta * jnp.asarray(0.1, dtype)
        return projected, tx.step(g, tx.init(projected), projected)[0]

    projected, ours = map(np.asarray, train(theta))
    arrays = projected, np.zeros_like(projected), np.asarray(g)
    expected, momentum = reference(arrays, lr=0.1, weight_decay=0.0)
    assert not difference((ours, momentum), (expected, momentum), arrays)
