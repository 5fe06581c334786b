"""Which semantics the step has in a namespace: found by taking one (SPEC C18, C29, C33)."""

from __future__ import annotations

from typing import Any

import array_api_compat
import numpy as np

from lion_array_api.checks import common_namespace, compute_name, within_chunks
from lion_array_api.function import step
from lion_ref import Semantics
from lion_ref.declared import telling, told
from lion_ref.subnormals import SubnormalsChoice


def declared_semantics(array: Any, *, subnormals: SubnormalsChoice = "native") -> Semantics:
    """The Semantics that `step` has for arrays like this one: its namespace, device and dtype.

    Canonical, or canonical with subnormals flushed: JAX flushes them on a CPU, and CuPy those of
    float32, also where it widens a float32 m or g beside a float64 θ or stores such an m, which the
    array alone cannot tell. The step is taken on numbers that tell these apart, so this also holds
    for devices that nobody has tried.

    Args:
        array: an array that `step` takes; its values do not matter.
        subnormals: the choice that `step` is given.

    Raises:
        TypeError: `step` would not take the array.
        ValueError: nor the choice.
        FloatingPointError: this thread flushes subnormals, or does not round to nearest (SPEC C15),
            so there is nothing to compare with.
        RuntimeError: the bits are those of no such semantics, as where products and sums contract.

    >>> declared_semantics(np.zeros(3)).describe()
    'canonical'
    >>> declared_semantics(np.zeros(3), subnormals="flush").describe()
    'subnormals flushed'
    """
    array = within_chunks(array)
    xp = common_namespace({"array": array})
    compute = compute_name({"param": array, "momentum": array, "grad": array})
    inputs, scalars = telling(compute)
    device = array_api_compat.device(array)
    given = [xp.asarray(x.tolist(), dtype=getattr(xp, compute), device=device) for x in inputs]
    results = step(*given, **scalars, subnormals=subnormals)
    found = [
        np.array([float(result[i]) for i in range(x.size)], dtype=x.dtype)
        for result, x in zip(results, inputs, strict=False)
    ]
    semantics = told(compute, found)
    if semantics is not None:
        return semantics
    listed = ", ".join(f"{name} = {x}" for name, x in zip(("θ'", "m'"), found, strict=True))
    raise RuntimeError(
        f"{xp.__name__} on {device} has semantics that cannot be declared: {listed} for "
        f"m = {inputs[1]}, g = {inputs[2]}; legal: single IEEE 754 operations in {compute}, "
        "subnormals kept or flushed"
    )
