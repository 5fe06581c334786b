"""Masks as optax users have them: functions, modules, and what inject_hyperparams makes of them."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lion_jax
from lion_jax.mask import LEGAL
from tests.lion_jax.doors import by_apply_updates
from tests.lion_jax.test_refusals import failed

STATIC = ("b1", "b2", "mu_dtype", "mask", "update_dtype")


def matrices(params: Any) -> Any:
    return jax.tree.map(lambda x: x.ndim > 1, params)


def decayed(tx: Any) -> list[float]:
    """A matrix and a vector of 8, after a step in which nothing but the decay can move them."""
    params = {"w": jnp.full((1, 1), 8.0), "b": jnp.full(1, 8.0)}
    grads = jax.tree.map(jnp.zeros_like, params)
    new, _ = jax.jit(by_apply_updates(tx))(params, tx.init(params), grads)
    return [float(new["w"][0, 0]), float(new["b"][0])]


@pytest.mark.clause("C10")
def test_an_injected_lion_with_a_mask_that_is_static() -> None:
    lion = optax.inject_hyperparams(lion_jax.lion, static_args=STATIC)
    assert decayed(lion(1.0, weight_decay=1 / 8, mask=matrices)) == [7.0, 8.0]
    tree = {"w": True, "b": False}
    assert decayed(lion(1.0, weight_decay=1 / 8, mask=tree)) == [7.0, 8.0]
    assert decayed(lion(1.0, weight_decay=1 / 8)) == [7.0, 7.0]


CALLED = (
    "TypeError: mask can be called, and optax.inject_hyperparams calls it as a schedule, of the "
    f"count instead of the parameters; {LEGAL}"
)
MASKS: dict[str, Any] = {
    "function": matrices,
    "constant": lambda _: True,
    "by path": lambda p: jax.tree_util.tree_map_with_path(lambda path, _: "b" not in path, p),
    "arrays": lambda p: jax.tree.map(lambda x: jnp.array(x.ndim > 1), p),
    "another structure": lambda _: {"v": True},
    "a partial": partial(matrices),
}


@pytest.mark.parametrize("schedules", [False, True])
@pytest.mark.parametrize(
    "static", [("b1", "b2"), (), ("learning_rate", "b1", "b2", "weight_decay")], ids=len
)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.clause("C10", "C13")
def test_a_mask_that_is_called_as_a_schedule_is_refused(
    mask: str, static: tuple[str, ...], schedules: bool
) -> None:
    """It would turn the decay on, or off, for every parameter, without a word."""
    rate: Any = optax.constant_schedule(1.0) if schedules else 1.0
    by_name = {"weight_decay": 1 / 8, "mask": MASKS[mask]}
    for tx in (
        optax.inject_hyperparams(lion_jax.lion, static_args=static)(rate, **by_name),
        optax.inject_hyperparams(partial(lion_jax.lion, **by_name), static_args=static)(rate),
    ):
        for init in (tx.init, jax.jit(tx.init)):
            assert failed(partial(init, {"w": jnp.ones(2)})) == CALLED
    assert '"mask" among the static_args of optax.inject_hyperparams' in LEGAL


def test_a_function_that_hands_a_mask_on_is_not_guarded() -> None:
    """As optax.lion, silently: a matrix should decay. The documentation says so."""

    def plain(learning_rate: Any, mask: Any) -> Any:
        return lion_jax.lion(learning_rate, weight_decay=1 / 8, mask=mask)

    assert decayed(optax.inject_hyperparams(plain)(1.0, mask=matrices)) == [8.0, 8.0]
    static = optax.inject_hyperparams(plain, static_args="mask")
    assert decayed(static(1.0, mask=matrices)) == [7.0, 8.0]


def test_a_static_mask_reaches_lion_through_several_signatures() -> None:
    inner = optax.inject_hyperparams(lion_jax.lion, static_args=STATIC)
    outer = optax.inject_hyperparams(inner, static_args=STATIC)
    assert decayed(outer(1.0, weight_decay=1 / 8, mask=matrices)) == [7.0, 8.0]
    forgetful = optax.inject_hyperparams(inner, static_args=("b1", "b2"))
    params = {"w": jnp.ones(2)}
    assert failed(partial(forgetful(1.0, mask=matrices).init, params)) == CALLED


@pytest.mark.parametrize("mask", [jnp.array(True), np.array(False)], ids=["JAX", "NumPy"])
@pytest.mark.clause("C10", "C13")
def test_a_mask_that_is_one_array_is_refused(mask: Any) -> None:
    words = f"TypeError: mask is an array of shape (); {LEGAL}"
    assert failed(partial(lion_jax.lion, 1.0, mask=mask)) == words
    tx = optax.inject_hyperparams(lion_jax.lion)(1.0, mask=mask)
    assert failed(partial(tx.init, {"w": jnp.ones(2)})) == words


BOOLEANS: list[Any] = [
    pytest.param(True, [7.0, 7.0], marks=pytest.mark.slow),
    (False, [8.0, 8.0]),
    (np.True_, [7.0, 7.0]),
    pytest.param(np.False_, [8.0, 8.0], marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("mask", "expected"), BOOLEANS)
@pytest.mark.clause("C10")
def test_a_boolean_for_all_parameters_is_legal_beside_every_rate(
    mask: Any, expected: list[float]
) -> None:
    def new(lr: Any) -> list[float]:
        return decayed(lion_jax.lion(lr, weight_decay=1 / 8, mask=mask))

    for rate in (1.0, np.float32(1.0), jnp.float32(1.0), optax.constant_schedule(1.0)):
        assert new(rate) == expected
    for static in ((), ("b1", "b2"), STATIC):
        lion = optax.inject_hyperparams(lion_jax.lion, static_args=static)
        assert decayed(lion(1.0, weight_decay=1 / 8, mask=mask)) == expected

    def matrix(lr: Any) -> Any:
        params = jnp.full((1, 1), 8.0)
        tx = lion_jax.lion(lr, weight_decay=1 / 8, mask=mask)
        return tx.step(jnp.zeros((1, 1)), tx.init(params), params)[0]

    assert jax.jit(matrix)(1.0) == expected[0]
    assert (jax.vmap(matrix)(jnp.ones(3)) == expected[0]).all()


@pytest.mark.parametrize("dtype", [jnp.bfloat16, np.float32, np.float16])
def test_a_momentum_dtype_that_was_called_as_a_schedule_is_refused(dtype: Any) -> None:
    """It would be cast to the parameters' dtype with the rates."""
    lion = partial(optax.inject_hyperparams, lion_jax.lion)
    params = jnp.ones(2, jnp.float16)
    message = failed(partial(lion(static_args=("b1", "b2"))(1e-3, mu_dtype=dtype).init, params))
    assert message == (
        "TypeError: mu_dtype is an array, which is what optax.inject_hyperparams makes of a dtype "
        "that can be called; legal: float16, bfloat16, float32, float64 by name, or any such dtype "
        'with "mu_dtype" among its static_args'
    )
    state = lion(static_args=STATIC)(1e-3, mu_dtype=dtype).init(params)
    assert state.inner_state.mu.dtype == dtype


# A container that can be called: an Equinox module of parameters, and one of booleans.


class Callable(NamedTuple):
    """A tree that can be called, as a model can."""

    w: Any
    b: Any

    def __call__(self, x: Any) -> Any:
        return x * self.w + self.b


@pytest.mark.clause("C10")
def test_a_tree_that_can_be_called_is_read() -> None:
    params = Callable(jnp.full((1, 1), 8.0), jnp.full(1, 8.0))
    grads = jax.tree.map(jnp.zeros_like, params)
    for mask in (Callable(True, False), matrices(params), matrices):
        ours, theirs = (f(1.0, weight_decay=1 / 8, mask=mask) for f in (lion_jax.lion, optax.lion))
        updates = ours.update(grads, ours.init(params), params)[0]
        assert [float(x.sum()) for x in updates] == [-1.0, 0.0]
        expected = theirs.update(grads, theirs.init(params), params)[0]
        assert [float(x.sum()) for x in expected] == [-1.0, 0.0]
        new, _ = jax.jit(ours.step)(grads, ours.init(params), params)
        assert [float(x.sum()) for x in new] == [7.0, 8.0]
    wrong = lion_jax.lion(1.0, mask=Callable(1.0, False))
    assert failed(partial(wrong.update, grads, wrong.init(params), params)) == (
        "TypeError: at params.w: mask has the leaf 1.0; legal: True, False"
    )


@pytest.mark.clause("C10")
def test_an_equinox_module_of_booleans() -> None:
    equinox = pytest.importorskip("equinox", reason="its modules are trees that can be called")
    model = equinox.nn.MLP(1, 1, 4, 1, key=jax.random.key(0))
    params = equinox.filter(model, equinox.is_inexact_array)
    tx = lion_jax.lion(1.0, weight_decay=1 / 8, mask=matrices(params))
    grads = jax.tree.map(jnp.zeros_like, params)
    updates, _ = jax.jit(tx.update)(grads, tx.init(params), params)
    assert (updates.layers[0].weight == -params.layers[0].weight / 8).all()
    assert not updates.layers[0].bias.any()


@pytest.mark.clause("C10")
def test_a_function_may_be_any_callable() -> None:
    class Decays:
        def __call__(self, params: Any) -> Any:
            return matrices(params)

    with_arguments: Any = jax.tree_util.Partial
    for mask in (Decays(), partial(matrices), with_arguments(matrices)):
        assert decayed(lion_jax.lion(1.0, weight_decay=1 / 8, mask=mask)) == [7.0, 8.0]
