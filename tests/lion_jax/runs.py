"""A small run of every kind of leaf, its steps in NumPy, and what makes two trees equal."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lion_jax
from lion_ref.arithmetic import same_bits
from lion_ref.run_state import Header
from tests.lion_jax.doors import normal, reference


def params_of(dtype: Any = "float32") -> dict[str, Any]:
    return {
        "dense": {
            "kernel": jnp.asarray(normal(0, (3, 2), (dtype,) * 3)[0]),
            "bias": jnp.asarray(normal(1, (2,), (dtype,) * 3)[0]),
        },
        "scale": jnp.asarray(normal(2, (), (dtype,) * 3)[0]),
    }


def grads_of(step: int) -> dict[str, Any]:
    grads: dict[str, Any] = jax.tree.map(lambda x: x + jnp.float32(0.1 * step), params_of())
    return grads


def equal(ours: Any, theirs: Any) -> bool:
    structures: list[Any] = [jax.tree.structure(ours), jax.tree.structure(theirs)]
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    return bool(structures[0] == structures[1]) and all(
        x.dtype == y.dtype and same_bits(np.atleast_1d(x), np.atleast_1d(y)).all() for x, y in pairs
    )


def in_numpy(
    tensors: dict[str, tuple[Any, Any]], header: Header, steps: range
) -> dict[str, tuple[Any, Any]]:
    """The run gone on with lion_ref alone, its η by the schedule that the header names."""
    names = lion_jax.names.by_name(grads_of(0))
    for step in steps:
        grads = {x: np.asarray(at.leaf) for x, at in lion_jax.names.by_name(grads_of(step)).items()}
        for name in names:
            group = header.group_of(name)
            numbers = asdict(group.hyperparameters)
            if group.lr_schedule:
                numbers["lr"] = group.lr_schedule(step)
            tensors[name] = reference((*tensors[name], grads[name]), **numbers)
    return tensors
