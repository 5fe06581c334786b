"""Which backend arrays belong to, without importing any: a type's module is there already."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from lion_ref.checks import type_name

_TYPES: Final = (
    ("torch", "torch", "Tensor"),
    ("jax", "jax", "Array"),
    ("tensorflow", "tensorflow", "Tensor"),
    ("tensorflow", "tensorflow", "Variable"),
    ("tensorflow", "tensorflow", "IndexedSlices"),
)
"""Backend, module, and the name of a type of arrays in it."""


def backend_of(arrays: object, legal: str) -> str:
    """The one backend of an array, or of all arrays in a nest of lists, tuples and mappings.

    TypeError where there are several, or none; `legal` then says what would have been right.
    """
    found: dict[str, object] = {}
    for leaf in leaves(arrays):
        found.setdefault(_backend_of_one(leaf, legal), leaf)
    if not found:
        raise TypeError(f"{arrays!r} holds no arrays; legal: {legal}")
    if len(found) > 1:
        types = ", ".join(f"{type_name(leaf)} ({backend})" for backend, leaf in found.items())
        raise TypeError(f"arrays of several backends: {types}; legal: {legal}")
    return next(iter(found))


def leaves(nest: object) -> Iterator[object]:
    """The array, or the arrays in a nest of lists, tuples and mappings."""
    if isinstance(nest, Mapping):
        nest = list(nest.values())
    if not isinstance(nest, (list, tuple)):
        yield nest
        return
    for part in nest:
        yield from leaves(part)


def _backend_of_one(array: Any, legal: str) -> str:
    keras_variable = _loaded("keras", "Variable")
    if keras_variable is not None and isinstance(array, keras_variable):
        array = array.value  # an array of Keras's own backend
    if isinstance(array, (np.ndarray, np.generic)):
        return "numpy"
    for backend, module, name in _TYPES:
        kind = _loaded(module, name)
        if kind is not None and isinstance(array, kind):
            return backend
    # CuPy's and Dask's arrays do not all say __array_namespace__; lion_array_api asks further.
    if hasattr(array, "shape") and hasattr(array, "dtype"):
        return "array-api"
    raise TypeError(f"{array!r} is of type {type_name(array)}; legal: {legal}")


def _loaded(module: str, name: str) -> Any:
    """A type of a module that somebody has imported, and to the end; else None."""
    return getattr(sys.modules.get(module), name, None)
