"""The state: optax's own, so that optax.lion's checkpoints are this optimizer's too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec

from lion_jax.leaves import as_array, check_as_stored, is_abstract, naming
from lion_ref.dtypes import STORAGE_DTYPES, check_dtypes, storage_name

LionState = optax.ScaleByLionState
"""NamedTuple of `count`, a 0-d int32, and `mu`, a tree like the parameters'."""


def from_optax(state: Any) -> Any:
    """The LionState in an optax.lion state, or in what a checkpoint made of one.

    optax.lion chains three transformations, so its state is a tuple of their states. The counts of
    its schedules, if it has any, are the count of this one. A checkpoint may have made a dict of a
    NamedTuple's fields, or a list. In the state of a wrapper, as of `optax.MultiSteps`, each state
    of optax.lion becomes a LionState; the rest stays as it is.

    Raises:
        TypeError: no state of Lion, or several.

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
    found = _found(state)
    if found is not None:
        return found
    converted = jax.tree.map(
        lambda part: _found(part) if _is_lions(part) else part, state, is_leaf=_is_lions
    )
    if not _holds_one(converted):
        raise _refused(state)
    return converted


def lion_state(state: Any) -> Any:
    """The LionState that `update` or `step` was given in one form or another; TypeError if none."""
    found = _found(state)
    if found is None:
        raise _refused(state)
    return found


def _refused(state: Any) -> TypeError:
    legal = "the state of lion_jax.lion or of optax.lion"
    if _holds_one(state):
        legal += "; of a wrapper's state, what lion_jax.from_optax makes of it"
    return TypeError(f"state is of type {type(state).__name__}; legal: {legal}")


def _found(state: Any) -> Any:
    """The one LionState that a state is or holds, as its fields perhaps; None if there is none."""
    if isinstance(state, LionState):
        return state
    if isinstance(state, Mapping) and set(state) == set(LionState._fields):
        return _restored(**state)
    if type(state) in (tuple, list):
        if len(state) == len(LionState._fields) and _is_count(state[0]):
            return _restored(*state)
        found = [x for x in state if isinstance(x, (LionState, Mapping)) and _found(x) is not None]
        if len(found) == 1:
            return _found(found[0])
    return None


def _restored(count: Any, mu: Any) -> Any:
    return LionState(count if is_abstract(count) else jnp.asarray(count, jnp.int32), mu)


def _is_count(x: Any) -> bool:
    dtype, shape = getattr(x, "dtype", type(x)), getattr(x, "shape", ())
    return jnp.issubdtype(dtype, jnp.integer) and shape == ()


def _is_lions(state: Any) -> bool:
    """Whether this is a LionState, or a state of optax.lion, whose chain begins with one."""
    chained = type(state) is tuple and len(state) == 3
    return isinstance(state[0] if chained else state, LionState)


def _holds_one(state: Any) -> bool:
    return any(map(_is_lions, jax.tree.leaves(state, is_leaf=_is_lions)))


def momentum_dtype(mu_dtype: Any) -> Any:
    """The dtype that was given for the momentum, or None.

    Raises:
        TypeError: a dtype that SPEC C2 refuses; an array, as optax.inject_hyperparams makes of a
            dtype that can be called.
    """
    if mu_dtype is None:
        return None
    if isinstance(mu_dtype, (jax.Array, np.ndarray, np.generic)):
        raise TypeError(
            f"mu_dtype is an array, which is what optax.inject_hyperparams makes of a dtype that "
            f"can be called; legal: {', '.join(STORAGE_DTYPES)} by name, or any such dtype with "
            '"mu_dtype" among its static_args'
        )
    return STORAGE_DTYPES[storage_name(mu_dtype, "mu_dtype")]


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

    return LionState(_zero_count(params), jax.tree_util.tree_map_with_path(zeros, params))


def _zero_count(params: Any) -> jax.Array:
    """The count of no steps, replicated over the parameters' mesh if they are on one.

    A step leaves it there, so a count that began elsewhere would have the step compiled twice.
    """
    for leaf in jax.tree.leaves(params):
        # A traced leaf lies nowhere yet.
        if not isinstance(leaf, jax.core.Tracer):
            sharding = getattr(leaf, "sharding", None)
            if isinstance(sharding, NamedSharding):
                everywhere = NamedSharding(sharding.mesh, PartitionSpec())  # type: ignore[no-untyped-call]
                return jnp.zeros([], jnp.int32, device=everywhere)
    return jnp.zeros([], jnp.int32)
