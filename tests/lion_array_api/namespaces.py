"""The namespaces that `lion_array_api.step` is judged in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from lion_ref.arithmetic import Array
from lion_ref.dtypes import STORAGE_DTYPES


@dataclass(frozen=True)
class Namespace:
    """How arrays get into a namespace and out of it, bit by bit, and which dtypes it has."""

    name: str
    of_numpy: Callable[[Array], Any]
    to_numpy: Callable[[Any], Array]
    dtypes: tuple[str, ...] = tuple(STORAGE_DTYPES)


def _of_torch() -> Namespace:
    torch = pytest.importorskip("torch")

    def of_numpy(array: Array) -> Any:
        if array.dtype.name != "bfloat16":
            return torch.from_numpy(array.copy())
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)

    def to_numpy(array: Any) -> Array:
        if array.dtype is not torch.bfloat16:
            return np.asarray(array.numpy())
        result: Array = array.view(torch.int16).numpy().view(STORAGE_DTYPES["bfloat16"])
        return result

    return Namespace("torch", of_numpy, to_numpy)


def _of_jax() -> Namespace:
    jax_numpy = pytest.importorskip("jax.numpy")
    return Namespace("jax", jax_numpy.asarray, np.asarray)


def _of_dask() -> Namespace:
    dask_array = pytest.importorskip("dask.array")

    def of_numpy(array: Array) -> Any:
        return dask_array.from_array(array, chunks=max(array.size // 3, 1))

    def to_numpy(array: Any) -> Array:
        with np.errstate(all="ignore"):  # which holds for this thread alone
            return np.asarray(array.compute(scheduler="synchronous"))

    return Namespace("dask", of_numpy, to_numpy)


def _of_strict() -> Namespace:
    strict = pytest.importorskip("array_api_strict")
    return Namespace("strict", strict.asarray, np.asarray, ("float32", "float64"))


def _strided(array: Array) -> Array:
    """The same numbers with others between them: the kernel takes only what lies in a row."""
    return np.repeat(array[..., None], 2, axis=-1)[..., 0]


NAMESPACES: dict[str, Callable[[], Namespace]] = {
    "numpy": lambda: Namespace("numpy", np.copy, np.asarray),
    "numpy-strided": lambda: Namespace("numpy", _strided, np.asarray),
    "strict": _of_strict,
    "torch": _of_torch,
    "jax": _of_jax,
    "dask": _of_dask,
}


@contextlib.contextmanager
def entered(name: str) -> Iterator[Namespace]:
    """The namespace; in JAX's, with float64 for as long as it lasts."""
    namespace = NAMESPACES[name]()
    if name == "jax":
        import jax

        with jax.enable_x64(True):
            yield namespace
    else:
        yield namespace
