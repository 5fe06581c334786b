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


MADE = "is what optax.inject_hyperparams makes of a function; "
ARRAY = (
    "mask is an array of shape (), which is what optax.inject_hyperparams makes of a boolean or a "
    "function; "
)


@pytest.mark.parametrize("schedules", [False, True])
@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (matrices, f"mask=False for all parameters, beside a rate that is an array, {MADE}"),
        (lambda _: True, f"mask=True for all parameters, beside a rate that is an array, {MADE}"),
        (
            lambda p: jax.tree.map(lambda x: jnp.array(x.ndim > 1), p),
            ARRAY,
        ),
        (
            jnp.array(True),
            ARRAY,
        ),
    ],
    ids=["function", "constant", "arrays", "array"],
)
@pytest.mark.clause("C10", "C13")
def test_a_mask_that_was_called_as_a_schedule_is_refused(
    mask: Any, words: str, schedules: bool
) -> None:
    """It would turn the decay on, or off, for every parameter, without a word."""
    rate: Any = optax.constant_schedule(1.0) if schedules else 1.0
    injected = optax.inject_hyperparams(lion_jax.lion, static_args=("b1", "b2"))
    tx = injected(rate, weight_decay=1 / 8, mask=mask)
    for init in (tx.init, jax.jit(tx.init)):
        assert failed(partial(init, {"w": jnp.ones(2)})) == f"TypeError: {words}{LEGAL}"
    assert '"mask" among the static_args of optax.inject_hyperparams' in LEGAL


@pytest.mark.clause("C10", "C13")
def test_a_mask_of_another_structure_has_a_way_out() -> None:
    injected = optax.inject_hyperparams(lion_jax.lion, static_args=("b1", "b2"))
    tx = injected(1.0, mask=lambda count: {"v": count.ndim > 1})
    params = {"w": jnp.ones(2)}
    message = failed(partial(tx.update, params, tx.init(params), params))
    assert message.startswith("ValueError: mask is no prefix of params: ")
    assert message.endswith(LEGAL)


def test_a_boolean_for_all_parameters_is_legal_beside_numbers() -> None:
    for mask, expected in ((True, [7.0, 7.0]), (False, [8.0, 8.0]), (np.False_, [8.0, 8.0])):
        assert decayed(lion_jax.lion(1.0, weight_decay=1 / 8, mask=mask)) == expected


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
