"""JAX's own modes and stages: debugging, strictness, static arguments, ahead of time, export.

Each is one in which a step is traced or run in another way; the bits are those of every other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lion_jax
from tests.lion_jax.doors import by_apply_updates, by_step, difference, normal, reference

SCALARS = {"lr": 0.25, "weight_decay": 0.1}
DOOR = pytest.mark.parametrize("door", [by_apply_updates, by_step])
MODES: dict[str, Any] = {
    "debug_nans": jax.debug_nans,
    "debug_infs": jax.debug_infs,
    "checking_leaks": lambda _: jax.checking_leaks(),
    "disable_jit": jax.disable_jit,
    "strict dtypes": lambda _: jax.numpy_dtype_promotion("strict"),
    "strict ranks": lambda _: jax.numpy_rank_promotion("raise"),
    "no transfers": lambda _: jax.transfer_guard("disallow"),
}


def lion() -> Any:
    return lion_jax.lion(SCALARS["lr"], weight_decay=SCALARS["weight_decay"])


def inputs(arrays: Any) -> Any:
    theta, m, g = (jnp.asarray(x) for x in arrays)
    return theta, lion_jax.LionState(jnp.int32(0), m), g


def check(result: Any, arrays: Any) -> None:
    params, state = result
    ours = np.asarray(params), np.asarray(state.mu)
    assert not difference(ours, reference(arrays, **SCALARS), arrays)
    assert int(state.count) == 1


@DOOR
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.clause("C5")
def test_modes(mode: str, door: Callable[[Any], Any]) -> None:
    arrays = normal(0, 257)
    given = inputs(arrays)
    with MODES[mode](True):
        result = jax.jit(door(lion()))(*given)
    check(result, arrays)


@DOOR
@pytest.mark.clause("C5", "C12")
def test_a_static_rate(door: Callable[[Any], Any]) -> None:
    """A number that is a static argument is validated and rounded as one outside jit."""

    def train(lr: float, params: Any, state: Any, grads: Any) -> Any:
        tx = lion_jax.lion(lr, weight_decay=SCALARS["weight_decay"])
        return door(tx)(params, state, grads)

    arrays = normal(1, 257)
    jitted = jax.jit(train, static_argnums=0)
    check(jitted(SCALARS["lr"], *inputs(arrays)), arrays)
    with pytest.raises(ValueError, match=r"learning_rate=-1\.0"):
        jitted(-1.0, *inputs(arrays))


@DOOR
@pytest.mark.clause("C5", "C12")
def test_exported_and_read_back_for_any_shape(door: Callable[[Any], Any]) -> None:
    struct: Any = jax.ShapeDtypeStruct

    # Serialization has to be told of every type in the signature: arrays alone need no telling.
    def train(theta: Any, count: Any, m: Any, g: Any) -> Any:
        theta, state = door(lion())(theta, lion_jax.LionState(count, m), g)
        return theta, state.count, state.mu

    array = struct(jax.export.symbolic_shape("rows, columns"), jnp.float32)
    exported = jax.export.export(jax.jit(train))(array, struct((), jnp.int32), array, array)
    again: Any = jax.export.deserialize(exported.serialize())
    for shape in ((3, 5), (1, 257)):
        arrays = normal(2, shape)
        theta, state, g = inputs(arrays)
        theta, count, mu = again.call(theta, state.count, state.mu, g)
        check((theta, lion_jax.LionState(count, mu)), arrays)


@DOOR
@pytest.mark.clause("C12")
def test_traced_without_numbers(door: Callable[[Any], Any]) -> None:
    """eval_shape, make_jaxpr and lowering agree on what comes out, and need nothing but shapes."""
    abstract = jax.eval_shape(lambda: inputs(normal(3, (3, 5))))
    shapes = jax.eval_shape(door(lion()), *abstract)
    jaxpr = jax.make_jaxpr(door(lion()))(*abstract)
    compiled: Any = jax.jit(door(lion())).lower(*abstract).compile()
    expected = [(x.shape, x.dtype) for x in jax.tree.leaves(shapes)]
    assert [(x.shape, x.dtype) for x in jaxpr.out_avals] == expected
    arrays = normal(3, (3, 5))
    result = compiled(*inputs(arrays))
    assert [(x.shape, x.dtype) for x in jax.tree.leaves(result)] == expected
    check(result, arrays)


@DOOR
@pytest.mark.clause("C12")
def test_an_ensemble(door: Callable[[Any], Any]) -> None:
    """vmap over members that share a gradient and a count; each has its own rate."""
    theta, m, g = normal(4, (4, 101))
    rates = jnp.float32([0.0, 2.0**-10, 0.25, 3.0])

    def one(lr: Any, params: Any, state: Any, grads: Any) -> Any:
        tx = lion_jax.lion(lr, weight_decay=SCALARS["weight_decay"])
        return door(tx)(params, state, grads)

    axes = (0, 0, lion_jax.LionState(None, 0), None)
    members = jax.jit(jax.vmap(one, in_axes=axes, out_axes=(0, lion_jax.LionState(None, 0))))
    params, state = members(rates, *inputs((theta, m, g[0])))
    assert int(state.count) == 1
    for i, rate in enumerate(rates):
        row = theta[i], m[i], g[0]
        expected = reference(row, lr=float(rate), weight_decay=SCALARS["weight_decay"])
        assert not difference((np.asarray(params[i]), np.asarray(state.mu[i])), expected, row)
