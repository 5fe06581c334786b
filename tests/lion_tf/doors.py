"""The public doors of the optimizer, the bits that must come out, and wrong updates to reject."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import lion_ref
import lion_tf
from lion_ref.arithmetic import Array, same_bits
from lion_ref.dtypes import STORAGE_DTYPES
from lion_tf import kernel, rounding

Apply = Callable[[Any, Sequence[Any], Sequence[Any]], Any]
Pair = tuple[Array, Array]

SEMANTICS = lion_tf.declared_semantics()


def eager(opt: Any, gradients: Sequence[Any], variables: Sequence[Any]) -> None:
    opt.apply_gradients(list(zip(gradients, variables, strict=True)))


def in_function(jit_compile: bool) -> Apply:
    """apply() inside a tf.function of the caller, which is traced once an optimizer."""
    traced: dict[int, Any] = {}

    def door(opt: Any, gradients: Sequence[Any], variables: Sequence[Any]) -> None:
        if id(opt) not in traced:
            opt.build(variables)
            traced[id(opt)] = tf.function(
                lambda *given: opt.apply(given, variables), jit_compile=jit_compile
            )
        traced[id(opt)](*gradients)

    return door


def doors() -> dict[str, Apply]:
    return {"eager": eager, "function": in_function(False), "xla": in_function(True)}


DOORS = pytest.mark.parametrize("door", list(doors()))


def variable(value: Array) -> Any:
    """A Keras variable that holds value's bits: NumPy's subnormals are not flushed on the way."""
    result = keras.Variable(np.zeros(value.shape), dtype=value.dtype.name)
    result.value.assign(tf.constant(value))
    return result


def run(
    opt: Any, door: str, theta: Array, momentum: Array, gradients: Iterable[Array]
) -> list[Pair]:
    """(θ, m) after each step, from a given state."""
    apply = doors()[door]
    target = variable(theta)
    opt.build([target])
    state = opt.variables[-1].value
    state.assign(tf.constant(momentum))
    results = []
    for gradient in gradients:
        apply(opt, [tf.constant(gradient)], [target])
        results.append((target.value.numpy(), state.numpy()))
        for result, given in zip(results[-1], (theta, momentum), strict=True):
            assert (result.dtype, result.shape) == (given.dtype, given.shape)
    return results


def reference(
    theta: Array, momentum: Array, gradients: Iterable[Array], **scalars: float
) -> list[Pair]:
    """lion_ref's states under the semantics that the adapter declares on this machine."""
    results = []
    for gradient in gradients:
        theta, momentum = lion_ref.step(theta, momentum, gradient, **scalars, semantics=SEMANTICS)
        results.append((theta, momentum))
    return results


def difference(ours: Sequence[Pair], theirs: Sequence[Pair]) -> str:
    """The first element that differs, in hexadecimal; "" if none does."""
    assert len(ours) == len(theirs)
    for index, pairs in enumerate(zip(ours, theirs, strict=True)):
        for name, our, their in zip(("θ", "m"), *pairs, strict=True):
            wrong = ~same_bits(np.atleast_1d(our), np.atleast_1d(their))
            if wrong.any():
                i = tuple(np.argwhere(wrong)[0])
                values = [float(np.atleast_1d(x)[i]).hex() for x in (our, their)]
                return (
                    f"step {index}: {name} differs in {wrong.sum()} of {wrong.size} elements, "
                    "first in {}: {} instead of {}".format(i, *values)
                )
    return ""


def normal(seed: int, shape: Any, *dtypes: str) -> tuple[Array, ...]:
    """Random normal numbers in the given dtypes."""
    rng = np.random.default_rng(seed)
    return tuple(
        np.asarray(rng.standard_normal(shape)).astype(STORAGE_DTYPES[name]) for name in dtypes
    )


def two_tables() -> tuple[lion_tf.Lion, list[Any]]:
    """An optimizer that is built for two variables of four rows."""
    variables = [keras.Variable(tf.ones((4, 2)), name=name) for name in "ab"]
    opt = lion_tf.Lion(0.5)
    opt.build(variables)
    return opt, variables


def state(opt: Any, variables: list[Any]) -> list[list[Any]]:
    """All that a step may change: the variables, the momenta and the counter."""
    return [v.numpy().tolist() for v in (*variables, *opt.variables)]


def keras_names(scalars: dict[str, float]) -> dict[str, Any]:
    """lion_ref's names of the scalars → Keras'."""
    names = {"lr": "learning_rate", "beta1": "beta_1", "beta2": "beta_2"}
    return {names.get(name, name): value for name, value in scalars.items()}


def replace_in_kernel(monkeypatch: pytest.MonkeyPatch, **functions: Any) -> None:
    """The same optimizer on a kernel of which some functions are wrong."""
    for name, function in functions.items():
        rooms = [room for room in (kernel, rounding) if hasattr(room, name)]
        assert rooms, name
        for room in rooms:
            monkeypatch.setattr(room, name, function)
    monkeypatch.setattr(kernel, "compiled", cache(kernel.compiled.__wrapped__))
