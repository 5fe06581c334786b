"""The state: optax's own, so that optax.lion's checkpoints are this optimizer's too."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding, PartitionSpec

from lion_jax.leaves import as_array, naming
from lion_ref.dtypes import check_dtypes

LionState = optax.ScaleByLionState
"""NamedTuple of `count`, a 0-d int32, and `mu`, a tree like the parameters'."""


def from_optax(state: Any) -> Any:
    """The LionState in an optax.lion state; a LionState as it is.

    optax.lion chains three transformations, so its state is a tuple of their states. The counts of
    its schedules, if it has any, are the count of this one.

    Raises:
        TypeError: no state of Lion, or several.

    >>> import jax.numpy as jnp
    >>> theirs = optax.lion(1e-3).init(jnp.zeros(2))
    >>> from_optax(theirs).mu.tolist()
    [0.0, 0.0]
    """
    if isinstance(state, LionState):
        return state
    if type(state) is tuple:
        found = [part for part in state if isinstance(part, LionState)]
        if len(found) == 1:
            return found[0]
    raise TypeError(
        f"state is of type {type(state).__name__}; "
        "legal: the state of lion_jax.lion or of optax.lion"
    )


def initial_state(params: Any, mu_dtype: Any) -> Any:
    """No steps done, and a zero momentum of mu_dtype, or of its parameter's, where that lies.

    Raises:
        TypeError: a parameter whose dtype SPEC C2 refuses; a mu_dtype wider than its compute dtype.
    """

    def zeros(path: Any, p: Any) -> jax.Array:
        with naming(path):
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
        if isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer):
            sharding = leaf.sharding
            if isinstance(sharding, NamedSharding):
                everywhere = NamedSharding(sharding.mesh, PartitionSpec())  # type: ignore[no-untyped-call]
                return jnp.zeros([], jnp.int32, device=everywhere)
    return jnp.zeros([], jnp.int32)
