"""η, β1, β2, λ from an optax user's numbers, schedules, arrays and traced values (SPEC C4)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from lion_jax.fence import fence
from lion_jax.operations import operations, where_flushing
from lion_ref.dtypes import LEGAL_DTYPES, STORAGE_DTYPES
from lion_ref.flushing import Flush
from lion_ref.hyperparameters import (
    Hyperparameters,
    Scalars,
    finite_in,
    in_unit_interval,
    non_negative,
    round_scalars,
)
from lion_ref.schedules import Schedule
from lion_ref.semantics import Subnormals

# So that the six can be handed to a jitted function.
jax.tree_util.register_dataclass(
    Scalars, data_fields=list(Scalars.__dataclass_fields__), meta_fields=[]
)

Check = Callable[[str, object], float]
Number = Any
"""A binary64 number, validated; a traced array, whose value nobody can see yet; a LookedUp."""


class LookedUp:
    """A schedule's number at a traced count: found in a table, so that no compiler forms it (C35).

    The table is rounded from binary64 once to each compute dtype that asks, and looked up in it.
    """

    def __init__(self, name: str, schedule: Schedule, count: jax.Array) -> None:
        self._name, self._table, self._count = name, schedule.table(), count
        self._found: dict[str, jax.Array] = {}

    def rounded(self, compute: np.dtype[Any], subnormals: Subnormals) -> jax.Array:
        """The number in a compute dtype; ValueError if the schedule overflows it anywhere."""
        if compute.name not in self._found:
            finite_in(self._name, self._table.max(), compute)
            table = jnp.asarray(Flush(subnormals, compute).narrowed(self._table, compute))
            last = jnp.minimum(self._count, self._table.size - 1)
            self._found[compute.name] = lax.dynamic_index_in_dim(table, last, keepdims=False)
        return self._found[compute.name]


def is_traced(value: object) -> bool:
    """Whether value has no number yet: inside jit, vmap, grad, or as a field of a traced state."""
    return isinstance(value, jax.core.Tracer)


def number(name: str, value: object, check: Check) -> Number:
    """value validated by check, in binary64; a traced scalar as it is, if its dtype is real."""
    if isinstance(value, (jax.Array, np.ndarray)) and value.ndim:
        raise TypeError(f"{name} is an array of shape {value.shape}; legal: a scalar")
    if isinstance(value, jax.Array):
        if not (value.dtype.name in STORAGE_DTYPES or jnp.issubdtype(value.dtype, jnp.integer)):
            raise TypeError(
                f"{name} has dtype {value.dtype.name}; legal: {LEGAL_DTYPES}, an integer dtype"
            )
        if is_traced(value):
            return value
        value = np.asarray(value)
    return check(name, value)


def rate(name: str, value: object) -> Number | Callable[[Any], Any]:
    """A learning rate or weight decay as it was given to lion: a schedule stays one."""
    return value if callable(value) else number(name, value, non_negative)


def rate_at(name: str, value: Number | Callable[[Any], Any], count: Any) -> Number:
    """The learning rate or weight decay of this step."""
    if isinstance(value, Schedule):
        return LookedUp(name, value, count) if is_traced(count) else value(int(count))
    return number(name, value(count), non_negative) if callable(value) else value


def beta(name: str, value: object) -> Number:
    """β1 or β2, validated unless traced."""
    return number(name, value, in_unit_interval)


def scalars_for(
    lr: Number,
    beta1: Number,
    beta2: Number,
    weight_decay: Number,
    compute: Any,
    *,
    flush: bool = False,
) -> Scalars:
    """The six scalars in the compute dtype, each rounded once; one that is tiny flushed, if asked.

    Unasked, a platform that flushes takes a subnormal scalar for a zero as it takes any operand.
    """
    given = {"lr": lr, "beta1": beta1, "beta2": beta2, "weight_decay": weight_decay}
    rule: Subnormals = "flush" if flush else "keep"
    given = {
        k: x.rounded(compute, rule) if isinstance(x, LookedUp) else x for k, x in given.items()
    }
    known = {name: 0.0 if is_traced(value) else value for name, value in given.items()}
    finite_in("learning_rate", known["lr"], compute)  # which round_scalars would call lr
    rounded = round_scalars(Hyperparameters(**known), compute, rule)
    fields = {name: getattr(rounded, name) for name in Scalars.__dataclass_fields__}
    for name, value in given.items():
        if is_traced(value):
            is_float = jnp.issubdtype(value.dtype, jnp.floating)
            opaque = fence(value) if is_float else value
            fields[name] = _rounded(opaque, compute, flush=flush and is_float)
            if name.startswith("beta"):
                fields[f"one_minus_{name}"] = _complement(opaque, compute)
    return Scalars(**fields)


def _rounded(value: jax.Array, compute: Any, *, flush: bool) -> jax.Array:
    """A traced number in the compute dtype, rounded where the environment is the step's own."""

    def native(value: jax.Array) -> jax.Array:
        return value.astype(compute)

    if not flush:
        return native(value)
    rounded: jax.Array = where_flushing(native, partial(_flushed, compute=compute), value)
    return rounded


def _flushed(value: jax.Array, compute: Any) -> jax.Array:
    ops = operations(jnp.promote_types(value.dtype, compute), flushed=True)
    return ops.store(ops.load(value), compute)


def _complement(value: jax.Array, compute: Any) -> jax.Array:
    """1-β of a traced β, rounded once: bit for bit what binary64 would give for that β.

    A float32 or narrower β has so few bits that the binary64 difference is exact, or 1 up to a
    rounding that float32 makes too; so float32 serves where x64 is off.
    """
    wide = jnp.float64 if "float64" in (value.dtype, compute) else jnp.float32
    return (1 - value.astype(wide)).astype(compute)
