"""Which parameters decay: optax's mask as a boolean for every parameter (SPEC C10)."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

Tree = Any

LEGAL = (
    'legal: a tree of booleans like params, a prefix of one, a function of params (with "mask" '
    "among the static_args of optax.inject_hyperparams); None to decay all, weight_decay=0 for none"
)


def check_mask(mask: Tree, *rates: object) -> None:
    """TypeError for what optax.inject_hyperparams makes of a mask that it takes for a number.

    It calls a function as a schedule, of the count instead of the parameters, and a count has no
    axes to tell; it makes an array of a boolean. Its rates are arrays, so that a boolean beside
    them is no user's.
    """
    if isinstance(mask, (jax.Array, np.ndarray)) and not mask.ndim:
        raise TypeError(
            f"mask is an array of shape (), which is what optax.inject_hyperparams makes of a "
            f"boolean or a function; {LEGAL}"
        )
    if isinstance(mask, (bool, np.bool_)) and any(isinstance(x, jax.Array) for x in rates):
        raise TypeError(
            f"mask={mask!r} for all parameters, beside a rate that is an array, is what "
            f"optax.inject_hyperparams makes of a function; {LEGAL}"
        )


def spread(mask: Tree, params: Tree) -> Tree:
    """A boolean for every parameter, from a mask that may be None, a prefix or a function."""
    if mask is None:
        mask = True
    elif callable(mask) and type(mask) is not type(params):
        # A module of booleans, as one of parameters, can be called too, but is a tree.
        mask = mask(params)
    try:
        return jax.tree.map(
            lambda decays, part: jax.tree.map(lambda _: decays, part, is_leaf=is_none),
            mask,
            params,
        )
    except ValueError as error:
        raise ValueError(f"mask is no prefix of params: {error}; {LEGAL}") from None


def as_boolean(decays: Any) -> bool:
    """A leaf of the mask, which may be an array without axes."""
    if isinstance(decays, (jax.Array, np.ndarray)):
        if decays.ndim:
            raise TypeError(f"mask has a leaf of shape {decays.shape}; legal: True, False")
        if not isinstance(decays, jax.core.Tracer):
            decays = np.asarray(decays)[()]
    if not isinstance(decays, (bool, np.bool_)):
        raise TypeError(f"mask has the leaf {decays!r}; legal: True, False")
    return bool(decays)


def is_none(x: Any) -> bool:
    """Whether x is a leaf without a value."""
    return x is None
