"""The public doors of a transformation, and the bits that must come out of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lion_jax
import lion_ref
from lion_ref.arithmetic import same_bits
from lion_ref.dtypes import STORAGE_DTYPES

Arrays = tuple[Any, Any, Any]
Train = Callable[[Any, Any, Any], tuple[Any, Any]]
"""(params, state, grads) -> (params, state): donated in this order, buffers keep their roles."""

SEMANTICS = lion_jax.declared_semantics()


def by_apply_updates(tx: Any) -> Train:
    """The door that every optax user knows."""

    def train(params: Any, state: Any, grads: Any) -> tuple[Any, Any]:
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return train


def by_step(tx: Any) -> Train:
    """The whole step in one function, as it is traced where there is one device."""

    def train(params: Any, state: Any, grads: Any) -> tuple[Any, Any]:
        with mock.patch.object(jax, "device_count", return_value=1):
            return by_sharded_step(tx)(params, state, grads)

    return train


def by_sharded_step(tx: Any) -> Train:
    """The same, as it is traced for the eight devices that these tests have."""
    return lambda params, state, grads: tx.step(grads, state, params)


def jitted(door: Callable[[Any], Train]) -> Callable[[Any], Train]:
    return lambda tx: jax.jit(door(tx))


DOORS: dict[str, Callable[[Any], Train]] = {
    "apply_updates": by_apply_updates,
    "step": by_step,
    "jit-apply_updates": jitted(by_apply_updates),
    "jit-step": jitted(by_step),
}


def reference(arrays: Arrays, **scalars: Any) -> tuple[Any, Any]:
    """lion_ref's step under this platform's declared semantics."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns where NaNs are cast; they are meant here
        return lion_ref.step(*arrays, **scalars, semantics=SEMANTICS)


def run(train: Train, arrays: Arrays) -> tuple[Any, Any]:
    """One step of one array, from NumPy to NumPy."""
    theta, m, g = (jnp.asarray(x) for x in arrays)
    params, state = train(theta, lion_jax.LionState(jnp.zeros([], jnp.int32), m), g)
    assert (params.dtype, state.mu.dtype) == (theta.dtype, m.dtype)
    assert (params.shape, state.mu.shape) == (theta.shape, m.shape)
    return np.asarray(params), np.asarray(state.mu)


def run_tree(train: Train, arrays: dict[Any, Arrays]) -> dict[Any, tuple[Any, Any]]:
    """One step of many arrays, the leaves of one tree: what is jitted is compiled once for all."""
    theta, m, g = ({str(key): jnp.asarray(x[i]) for key, x in arrays.items()} for i in range(3))
    params, state = train(theta, lion_jax.LionState(jnp.zeros([], jnp.int32), m), g)
    for key in theta:
        assert (params[key].dtype, state.mu[key].dtype) == (theta[key].dtype, m[key].dtype)
    return {key: (np.asarray(params[str(key)]), np.asarray(state.mu[str(key)])) for key in arrays}


def difference(ours: tuple[Any, Any], expected: tuple[Any, Any], inputs: Arrays) -> str:
    """The first element that differs, in hexadecimal; "" if none does."""
    for name, our, their in zip(("θ'", "m'"), ours, expected, strict=True):
        wrong = ~same_bits(np.atleast_1d(our), np.atleast_1d(their))
        if wrong.any():
            i = tuple(np.argwhere(wrong)[0])
            values = [float(np.atleast_1d(x)[i]).hex() for x in (*inputs, our, their)]
            return (
                f"{name} differs in {wrong.sum()} of {wrong.size} elements, first in {i}: "
                "θ={} m={} g={} gives {} instead of {}".format(*values)
            )
    return ""


def normal(seed: int, shape: Any, dtypes: Any = ("float32",) * 3) -> Arrays:
    """Random normal numbers: θ, m, g."""
    rng = np.random.default_rng(seed)
    theta, m, g = (
        np.asarray(rng.standard_normal(shape)).astype(STORAGE_DTYPES[name]) for name in dtypes
    )
    return theta, m, g
