"""The backends, and `pick`, which imports the adapter of one and of no other."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from lion_adapters.arrays import backend_of


@dataclass(frozen=True, slots=True)
class _Backend:
    """An adapter, what it needs besides NumPy, and what to install for it."""

    adapter: str
    needs: tuple[str, ...] = ()
    extra: str = ""


_BACKENDS: Final = {
    "torch": _Backend("lion_torch", ("torch",), "torch"),
    "jax": _Backend("lion_jax", ("jax", "jaxlib", "optax"), "jax"),
    "tensorflow": _Backend("lion_tf", ("tensorflow", "keras"), "tensorflow"),
    "numpy": _Backend("lion_ref"),
    "array-api": _Backend("lion_array_api", ("array_api_compat",), "array-api"),
}
_LEGAL: Final = ", ".join(map(repr, _BACKENDS)) + ", or arrays of one of them"


def pick(backend: object) -> ModuleType:
    """The adapter for a framework's name, or for the arrays in hand.

    An adapter is imported when it is asked for, and no other is. Arrays are recognised by the
    frameworks that are loaded already, so nothing is imported to look at them.

    Args:
        backend: "torch", "jax", "tensorflow", "numpy" or "array-api"; or an array, or a list, tuple
            or mapping of arrays, nested or not. Arrays of a namespace that has no adapter of its
            own (CuPy, Dask, array-api-strict) get the array API's.

    Returns:
        The module: lion_torch, lion_jax, lion_tf, lion_ref or lion_array_api.

    Raises:
        ValueError: the name is unknown.
        TypeError: no arrays, or arrays of several backends.
        ImportError: the framework is not installed, or is but cannot be imported; the message says
            what to do about it.

    >>> import numpy as np
    >>> pick("numpy") is pick(np.zeros(3)) is pick({"w": [np.zeros(3)]})
    True
    >>> pick("caffe")
    Traceback (most recent call last):
        ...
    ValueError: backend='caffe' is not legal; legal: 'torch', 'jax', 'tensorflow', 'numpy', \
'array-api', or arrays of one of them
    """
    name = backend if isinstance(backend, str) else backend_of(backend, _LEGAL)
    if name not in _BACKENDS:
        raise ValueError(f"backend={name!r} is not legal; legal: {_LEGAL}")
    return _imported(name, _BACKENDS[name])


def _imported(name: str, backend: _Backend) -> ModuleType:
    install = f"'lion-ref[{backend.extra}]'" if backend.extra else "lion-ref"
    try:
        return importlib.import_module(backend.adapter)
    except Exception as error:
        missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
        if missing in backend.needs:
            message = f"{name!r} needs {missing}, which is not installed: pip install {install}"
        else:
            # Whatever a framework's own code may raise, a missing library or a driver too old.
            reason = (str(error).strip().splitlines() or ["no message"])[0]
            message = (
                f"{name!r} is installed, but importing {backend.adapter} failed with "
                f"{type(error).__name__}: {reason}. Mend or reinstall what is named there: "
                f"pip install --force-reinstall {install}"
            )
        raise ImportError(message, name=backend.adapter) from error
