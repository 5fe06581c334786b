"""Parameters without values, as sharding plans and the restoring of checkpoints have them."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import lion_jax
from tests.lion_jax.test_refusals import DTYPES, NARROWED, failed

Struct: Any = jax.ShapeDtypeStruct


def described(tree: Any) -> Any:
    """Shapes, dtypes and weak types."""
    return jax.tree.map(lambda x: (x.shape, x.dtype, getattr(x, "weak_type", False)), tree)


@pytest.mark.parametrize("mu_dtype", [None, "float32"])
def test_init_of_abstract_parameters_is_that_of_concrete_ones(mu_dtype: Any) -> None:
    tx = lion_jax.lion(optax.constant_schedule(0.1), mu_dtype=mu_dtype)
    concrete = {"w": jnp.ones((4, 2), jnp.bfloat16), "b": [jnp.ones(()), None], "e": jnp.ones((0,))}
    abstract = jax.eval_shape(lambda: concrete)
    state, expected = tx.init(abstract), tx.init(concrete)
    assert described(state) == described(expected)
    assert not any(leaf.any() for leaf in jax.tree.leaves(state))
    theirs = optax.lion(0.1, mu_dtype=mu_dtype).init(abstract)[0]
    assert described(state.mu) == described(theirs.mu)


def test_init_of_abstract_parameters_lies_where_they_will() -> None:
    mesh = jax.make_mesh((8,), ("x",), axis_types=(AxisType.Auto,))
    rows = NamedSharding(mesh, PartitionSpec("x"))  # type: ignore[no-untyped-call]
    abstract = {"w": Struct((16, 2), jnp.bfloat16, sharding=rows), "b": Struct((16,), jnp.float32)}
    state = lion_jax.lion(0.1).init(abstract)
    assert state.mu["w"].sharding.is_equivalent_to(rows, 2)
    assert state.count.sharding.is_fully_replicated
    assert state.count.sharding.device_set == rows.device_set
    theirs = optax.lion(0.1).init(abstract)[0]
    assert theirs.mu["w"].sharding == state.mu["w"].sharding


@pytest.mark.parametrize("door", ["update", "step"])
@pytest.mark.parametrize("update_dtype", ["compute", "params"])
def test_every_door_has_a_shape(door: str, update_dtype: Any) -> None:
    tx = lion_jax.lion(0.1, update_dtype=update_dtype)
    params = {"w": Struct((4, 2), jnp.bfloat16), "b": Struct((), jnp.float32)}
    state = jax.eval_shape(tx.init, params)
    assert isinstance(state, lion_jax.LionState)
    first, after = jax.eval_shape(getattr(tx, door), params, state, params)
    narrow = door == "step" or update_dtype == "params"
    assert first["w"].dtype == (jnp.bfloat16 if narrow else jnp.float32)
    assert (first["w"].shape, first["b"].shape) == ((4, 2), ())
    assert described(after) == described(state)
    concrete = jax.tree.map(lambda x: jnp.ones(x.shape, x.dtype), params)
    stepped = getattr(tx, door)(concrete, tx.init(params), concrete)
    assert described(stepped) == described((first, after))


def test_an_abstract_state_is_converted_as_a_concrete_one_is() -> None:
    """As the target of a checkpoint's restoring."""
    mu = {"w": Struct((2,), jnp.float32)}
    count = Struct((), jnp.int32)
    for state in (
        {"count": count, "mu": mu},
        [count, mu],
        jax.eval_shape(optax.lion(0.1).init, mu),
    ):
        converted = lion_jax.from_optax(state)
        assert isinstance(converted, lion_jax.LionState)
        assert described(converted) == described(lion_jax.LionState(count, mu))
    wrapped = jax.eval_shape(optax.apply_if_finite(optax.lion(0.1), 3).init, mu)
    assert isinstance(lion_jax.from_optax(wrapped).inner_state, lion_jax.LionState)


@pytest.mark.parametrize("argument", ["param", "momentum", "grad"])
@pytest.mark.parametrize("door", ["update", "step"])
@pytest.mark.clause("C13", "C14")
def test_a_step_of_what_has_no_values_is_refused(argument: str, door: str) -> None:
    tx = lion_jax.lion(0.1)
    trees = {name: {"w": jnp.ones(2)} for name in ("param", "momentum", "grad")}
    trees[argument] = {"w": Struct((2,), jnp.float32)}
    state = lion_jax.LionState(jnp.int32(0), trees["momentum"])
    assert failed(partial(getattr(tx, door), trees["grad"], state, trees["param"])) == (
        f"TypeError: at params['w']: {argument} is abstract, a ShapeDtypeStruct without values; "
        "legal: an array, or the same call inside jax.eval_shape"
    )


@pytest.mark.clause("C2", "C3")
def test_abstract_dtypes_are_refused_as_concrete_ones_are() -> None:
    init = lion_jax.lion(0.1).init
    for dtype in ("int32", "complex64"):
        assert failed(partial(init, {"w": Struct((2,), dtype)})) == (
            f"TypeError: at params['w']: param has dtype {dtype}; legal: {DTYPES}"
        )
    assert failed(partial(init, Struct((2,), np.float64))) == (
        f"TypeError: at params: param {NARROWED}"
    )
    key = jax.eval_shape(lambda: jax.random.key(0))
    assert "param has dtype key<fry>" in failed(partial(init, key))


def test_what_becomes_an_array_is_not_abstract() -> None:
    """It has a shape and a dtype, and JAX can make an array of it."""

    class Wrapped:
        shape, dtype = (2,), np.dtype(np.float32)

        def __jax_array__(self) -> jax.Array:
            return jnp.ones(2)

    tx = lion_jax.lion(0.25, weight_decay=0.0)
    params, state = tx.step(jnp.ones(2), tx.init(Wrapped()), Wrapped())
    assert params.tolist() == [0.75, 0.75]
    assert state.mu.dtype == jnp.float32
