"""Which parameters decay: optax's mask as a boolean for every parameter (SPEC C10)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np

Tree = Any
F = TypeVar("F", bound=Callable[..., Any])

LEGAL = (
    'legal: a tree of booleans like params, a prefix of one, a function of params (with "mask" '
    "among the static_args of optax.inject_hyperparams); None to decay all, weight_decay=0 for none"
)


class Guarded:
    """A mask that can be called, on its way to lion, which alone may call it."""

    def __init__(self, mask: Tree) -> None:
        self.mask = mask

    def __call__(self, *_: object, **__: object) -> None:
        """Refuse, in place of a mask that says something of a count, which has no axes or path."""
        raise TypeError(
            "mask can be called, and optax.inject_hyperparams calls it as a schedule, of the count "
            f"instead of the parameters; {LEGAL}"
        )


class GuardingSignature(inspect.Signature):
    """A signature that guards the mask it binds: so optax.inject_hyperparams gets hold of it.

    What lion is given in the end would not tell: a function of the count gives the same True or
    False that a user may pass.
    """

    def bind(self, /, *args: Any, **kwargs: Any) -> inspect.BoundArguments:
        """The arguments, defaults among them, as those of a functools.partial are."""
        bound = super().bind(*args, **kwargs)
        bound.apply_defaults()
        mask = bound.arguments.get("mask")
        if callable(mask) and not isinstance(mask, Guarded):
            bound.arguments["mask"] = Guarded(mask)
        return bound


def guarding_mask(function: F) -> F:
    """The function, with a signature that guards the mask."""
    function.__signature__ = GuardingSignature.from_callable(function)  # type: ignore[attr-defined]
    return function


def mask_given(mask: Tree) -> Tree:
    """The mask that lion was given, without its guard; TypeError for a single number."""
    if isinstance(mask, (jax.Array, np.ndarray)) and not mask.ndim:
        raise TypeError(f"mask is an array of shape (); {LEGAL}")
    return mask.mask if isinstance(mask, Guarded) else mask


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
