"""The backends, and `pick`, which imports the adapter of one and of no other."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from lion_adapters.arrays import backend_of, leaves
from lion_adapters.preset import preset
from lion_ref.subnormals import SubnormalsChoice, check_subnormals


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


def pick(backend: object, *, subnormals: SubnormalsChoice = "native") -> ModuleType:
    """The adapter for a framework's name, or for the arrays in hand.

    An adapter is imported when it is asked for, and no other is. Arrays are recognised by the
    frameworks that are loaded already, so nothing is imported to look at them.

    Args:
        backend: "torch", "jax", "tensorflow", "numpy" or "array-api"; or an array, or a list, tuple
            or mapping of arrays, nested or not. Arrays of a namespace that has no adapter of its
            own (CuPy, Dask, array-api-strict) get the array API's.
        subnormals: "native", each platform's own rule, and no cost; "flush", the same bits from
            every adapter, whatever its platform; "keep", subnormals kept (SPEC C33).

    Returns:
        The module: lion_torch, lion_jax, lion_tf, lion_ref or lion_array_api. With "flush" or
        "keep" a module of the same public names, of which those that take the choice have it made:
        `Lion`, `lion`, `step` and `declared_semantics` are `functools.partial`s of the adapter's.

    Raises:
        ValueError: the name is unknown, or the choice of subnormals; "keep" where the platform
            cannot. Of "array-api" that is known once there are arrays: its step says so.
        TypeError: no arrays, or arrays of several backends.
        ImportError: the framework is not installed, or is but cannot be imported; the message says
            what to do about it.

    >>> import numpy as np
    >>> pick("numpy") is pick(np.zeros(3)) is pick({"w": [np.zeros(3)]})
    True
    >>> lion = pick("numpy", subnormals="flush")
    >>> lion.step(np.float32([1]), np.float32([1e-40]), np.float32([0]), lr=0.5)
    (array([1.], dtype=float32), array([0.], dtype=float32))
    >>> pick("caffe")
    Traceback (most recent call last):
        ...
    ValueError: backend='caffe' is not legal; legal: 'torch', 'jax', 'tensorflow', 'numpy', \
'array-api', or arrays of one of them
    """
    check_subnormals(subnormals)
    name = backend if isinstance(backend, str) else backend_of(backend, _LEGAL)
    if name not in _BACKENDS:
        raise ValueError(f"backend={name!r} is not legal; legal: {_LEGAL}")
    adapter = _imported(name, _BACKENDS[name])
    if subnormals == "native":
        return adapter
    return preset(adapter, subnormals, [] if isinstance(backend, str) else list(leaves(backend)))


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
