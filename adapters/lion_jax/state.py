"""The state: optax's own, so that optax.lion's checkpoints are this optimizer's too."""

from __future__ import annotations

from typing import Any

import optax

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
