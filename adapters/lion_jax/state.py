"""The state: optax's own, so that optax.lion's checkpoints are this optimizer's too."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec

from lion_jax.checks import as_array, check_as_stored, is_abstract, naming
from lion_jax.scalars import is_traced
from lion_ref.checks import shown
from lion_ref.dtypes import check_dtypes

LionState = optax.ScaleByLionState
"""NamedTuple of `count`, a 0-d int32, and `mu`, a tree like the parameters'."""


def from_optax(state: Any) -> Any:
    """The LionState in an optax.lion state, or in what a checkpoint made of one.

    optax.lion chains three transformations, so its state is a tuple of their states. The counts of
    its schedules, if it has any, are the count of this one. A checkpoint may have made a dict of a
    NamedTuple's fields, or a list, and a dict of the tuple, with the keys "0", "1", "2". In the
    state of a wrapper, as of `optax.MultiSteps`, each state of optax.lion becomes a LionState; the
    rest, as the state of another transformation in a chain, stays as it is. So do the axes of a
    count, as an ensemble under vmap has them.

    Raises:
        TypeError: no state of Lion; a count that is no integer.
        ValueError: a count that is negative, or that int32 does not hold.

    >>> import jax.numpy as jnp
    >>> theirs = optax.lion(1e-3).init(jnp.zeros(2))
    >>> from_optax(theirs).mu.tolist()
    [0.0, 0.0]
    >>> from_optax({"count": 3, "mu": jnp.ones(2)}).count
    Array(3, dtype=int32)
    >>> wrapped = optax.apply_if_finite(optax.lion(1e-3), 3).init(jnp.zeros(2))
    >>> from_optax(wrapped).inner_state._fields
    ('count', 'mu')
    """
    found = found_in(state)
    if found is not None:
        return found
    converted = jax.tree.map(
        lambda part: found_in(part) if _is_lions(part) else part, state, is_leaf=_is_lions
    )
    if not _holds_one(converted):
        raise _refused(state)
    return converted


def lion_state(state: Any) -> Any:
    """The LionState that `update` or `step` was given in one form or another.

    Raises:
        TypeError: no state of Lion; a count that is no integer without axes.
        ValueError: a count that is negative, or that int32 does not hold.
    """
    found = found_in(state)
    if found is None:
        raise _refused(state)
    if found.count.shape:
        raise TypeError(_illegal(found.count))
    return found


def whole_state(state: Any) -> Any:
    """The LionState that a state is, or that a chain holds beside nothing but empty states.

    Raises:
        TypeError: no state of Lion, several, or one beside other tensors, which would be lost.
    """
    found = found_in(state)
    if found is not None:
        return lion_state(found)
    parts, _ = jax.tree_util.tree_flatten_with_path(from_optax(state), is_leaf=_is_lions)
    lions = [part for _, part in parts if _is_lions(part)]
    beside = [jax.tree_util.keystr(path) for path, part in parts if not _is_lions(part)]
    if beside or len(lions) > 1:
        what = f"also the tensor state{beside[0]}" if beside else f"{len(lions)} states of Lion"
        raise TypeError(
            f"state of type {type(state).__name__} holds {what}; legal: the state of one "
            "lion_jax.lion or optax.lion, and nothing else, which would be lost"
        )
    return lion_state(lions[0])


def _refused(state: Any) -> TypeError:
    legal = "the state of lion_jax.lion or of optax.lion"
    if _holds_one(state):
        legal += "; for the update of a wrapper or a chain, what lion_jax.from_optax makes of it"
    return TypeError(f"state is of type {type(state).__name__}; legal: {legal}")


def found_in(state: Any) -> Any:
    """The LionState that a state is, in whatever form, or that optax.lion's holds; None if none."""
    if isinstance(state, Mapping) and set(state) == {"0", "1", "2"}:
        state = [state[key] for key in sorted(state)]
    if type(state) in (tuple, list) and len(state) == 3:
        head, *others = state
        return _fields(head) if all(_is_beside(head, x) for x in others) else None
    return _fields(state)


def _fields(state: Any) -> Any:
    if isinstance(state, LionState):
        return LionState(_count(state.count, made=True), state.mu)
    if isinstance(state, Mapping) and set(state) == set(LionState._fields):
        return LionState(_count(state["count"]), state["mu"])
    if type(state) in (tuple, list) and len(state) == 2 and _is_integer(state[0]):
        return LionState(_count(state[0]), state[1])
    return None


@cache
def _beside() -> tuple[type, ...]:
    """What optax.lion chains to its LionState: nothing, or the counts of its schedules.

    optax does not export the type of a scheduled weight decay's. To make one on import would start
    JAX's devices, which a program may still want to number.
    """
    decay = optax.add_decayed_weights(optax.constant_schedule(0.0)).init(None)
    return optax.EmptyState, optax.MaskedState, optax.ScaleByScheduleState, type(decay)


def _is_beside(head: Any, part: Any) -> bool:
    """Whether a part of a chain that begins with Lion's state is optax.lion's own."""
    restored = (Mapping, list, tuple, type(None))
    if not isinstance(part, _beside() if isinstance(head, LionState) else restored):
        return False
    leaves = jax.tree.leaves(part)
    return len(leaves) <= 1 and all(map(_is_integer, leaves))


def _count(count: Any, *, made: bool = False) -> Any:
    """A count as an int32, checked: its type, and its values if they can be known.

    One that a step made is not read: every eager step would wait for the device.
    """
    if not _is_integer(count):
        raise TypeError(_illegal(count))
    if is_abstract(count):
        return count
    made = made and isinstance(count, jax.Array) and count.dtype == jnp.int32
    if not (made or is_traced(count)):
        values = np.asarray(count)
        if (values < 0).any() or (values > np.iinfo(np.int32).max).any():
            raise ValueError(_illegal(count))
    return jnp.asarray(count, jnp.int32)


def _illegal(count: Any) -> str:
    return (
        f"state.count={shown(count)} is not legal; legal: an integer >= 0, in int32, without axes"
    )


def _is_integer(x: Any) -> bool:
    return bool(jnp.issubdtype(getattr(x, "dtype", type(x)), jnp.integer))


def _is_lions(state: Any) -> bool:
    """Whether this is a LionState, or a state of optax.lion, whose chain begins with one."""
    head = state[0] if type(state) is tuple and state else state
    return isinstance(head, LionState) and found_in(state) is not None


def _holds_one(state: Any) -> bool:
    return any(map(_is_lions, jax.tree.leaves(state, is_leaf=_is_lions)))


def initial_state(params: Any, mu_dtype: Any) -> Any:
    """No steps done, and a zero momentum of mu_dtype, or of its parameter's, where that lies.

    A jax.ShapeDtypeStruct will do for a parameter: only its shape, dtype and sharding are asked.

    Raises:
        TypeError: a parameter whose dtype SPEC C2 refuses; a mu_dtype wider than its compute dtype.
    """

    def zeros(path: Any, p: Any) -> jax.Array:
        with naming(path):
            if is_abstract(p):
                check_as_stored("param", p.dtype)
            else:
                p = as_array("param", p)
            dtype = p.dtype if mu_dtype is None else mu_dtype
            check_dtypes(p.dtype.name, dtype.name, p.dtype.name)
            return jnp.zeros_like(p, dtype=dtype)

    return LionState(count_beside(params, 0), jax.tree_util.tree_map_with_path(zeros, params))


def count_beside(params: Any, step: int) -> jax.Array:
    """The count of the steps done, replicated over the parameters' mesh if they are on one.

    A step leaves it there, so a count that began elsewhere would have the step compiled twice.
    """
    for leaf in jax.tree.leaves(params):
        # A traced leaf lies nowhere yet.
        if not isinstance(leaf, jax.core.Tracer):
            sharding = getattr(leaf, "sharding", None)
            if isinstance(sharding, NamedSharding):
                everywhere = NamedSharding(sharding.mesh, PartitionSpec())  # type: ignore[no-untyped-call]
                return jnp.full([], step, jnp.int32, device=everywhere)
    return jnp.full([], step, jnp.int32)
