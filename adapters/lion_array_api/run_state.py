"""A run to and from a file that every framework goes on from, bit for bit (SPEC C34)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import array_api_compat
import numpy as np

from lion_array_api.checks import common_namespace, dtype_name
from lion_array_api.declared import declared_semantics
from lion_ref import CANONICAL, Semantics
from lion_ref.checks import shown, type_name
from lion_ref.dtypes import STORAGE_DTYPES, compute_dtype, storage_name
from lion_ref.run_state import Group, Header, Here, NameMap, Tensors, load, matched, save
from lion_ref.subnormals import SubnormalsChoice


def export_state(
    tensors: Mapping[str, tuple[Any, Any]],
    path: str | os.PathLike[str],
    *,
    step: int,
    groups: Group | Sequence[Group],
    subnormals: SubnormalsChoice = "native",
) -> None:
    """Write a run to a file, from which every adapter's import_state goes on (SPEC C34).

    One tensor at a time is brought into this process's memory: a lazy one is computed then, one on
    a device is copied.

    Args:
        tensors: (θ, m) by name: arrays of any array-API namespace.
        path: where to; what is there stays until the new file is whole.
        step: how many steps have been done.
        groups: η, β1, β2, λ of the step that comes next, and which parameters have them.
        subnormals: what the steps were given (SPEC C33); the file says which bits they had.

    Raises:
        TypeError, ValueError: a name, an array, a dtype, a shape or a number that is not legal;
            arrays whose steps have several semantics. The path is as it was.
        OSError: the file cannot be written.

    >>> import tempfile
    >>> path = tempfile.mktemp(suffix=".safetensors")
    >>> export_state({"w": (np.ones(2), np.zeros(2))}, path, step=3, groups=Group(lr=1e-4))
    >>> tensors, header = import_state(path, params={"w": np.empty(2)})
    >>> tensors["w"].param, header.step
    (array([1., 1.]), 3)
    """
    passing, params = {}, {}
    for name, pair in dict[str, Any](tensors).items():
        with _naming(name):
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise TypeError(f"its tensors are of type {type_name(pair)}; legal: (θ, m)")
            params[name] = pair[0]
            common_namespace({"param": pair[0], "momentum": pair[1]})
            passing[name] = _Passing("param", pair[0]), _Passing("momentum", pair[1])
    semantics, versions = _semantics(params, subnormals), _versions(params.values())
    save(path, passing, step=step, groups=groups, semantics=semantics, versions=versions)


def import_state(
    path: str | os.PathLike[str], *, params: Mapping[str, Any], mapping: NameMap | None = None
) -> tuple[dict[str, Tensors], Header]:
    """A run from a file, as arrays like those that are there (SPEC C34).

    Args:
        path: what any adapter's export_state has written.
        params: arrays by name, whose values do not matter: of their namespaces and on their devices
            are θ and m.
        mapping: where names or axes differ: from a name in the file to the name here, or to name
            and axes as in `numpy.transpose`; or a function that gives either, of name and shape.

    Returns:
        (θ, m) by name, m in the dtype that it has in the file; and the header, its groups with the
        names here.

    Raises:
        ValueError: no run state, or one that does not fit, with all that does not.
        TypeError: a dtype of the file that a namespace does not have.
        OSError: the file cannot be read.
    """
    run = load(path)
    here = {}
    for name, like in params.items():
        with _naming(name):
            common_namespace({"param": like})
            here[name] = Here(tuple(like.shape), storage_name(dtype_name(like.dtype), "param"))
    found = matched(run, here, mapping)
    for name, like in params.items():
        with _naming(name):
            for kind, dtype in zip(
                Tensors._fields, run.tensors.dtypes(found[name].name), strict=True
            ):
                _check_made(kind, dtype, like)
    loaded = {
        name: Tensors(*(_made(x, like) for x in found[name].of(run)))
        for name, like in params.items()
    }
    return loaded, run.header.renamed({at.name: name for name, at in found.items()})


class _Passing:
    """An array that is brought into memory when it is asked for, and not kept."""

    def __init__(self, argument: str, array: Any) -> None:
        self._array = array
        self.shape = tuple(array.shape)
        self.dtype = STORAGE_DTYPES[storage_name(dtype_name(array.dtype), argument)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        array = self._array
        if array_api_compat.is_torch_array(array):
            array = array.detach().cpu()
            if self.dtype.name == "bfloat16":  # which PyTorch hands to NumPy as its bits alone
                bits = array.view(array_api_compat.array_namespace(array).int16)
                return np.asarray(bits).view(self.dtype)
        elif array_api_compat.is_cupy_array(array):
            array = array_api_compat.to_device(array, "cpu")
        return np.asarray(array)


def _made(source: np.ndarray[Any, Any], like: Any) -> Any:
    """An array of what lies in a file, copied, of the namespace and on the device of another."""
    xp, device = array_api_compat.array_namespace(like), array_api_compat.device(like)
    # Copied: a namespace may take a NumPy array's memory as it is, and this is the file's.
    copied = np.array(source, order="C")
    if array_api_compat.is_torch_array(like) and copied.dtype.name == "bfloat16":
        return xp.asarray(copied.view(np.int16), device=device).view(xp.bfloat16)
    made = xp.asarray(copied, device=device)
    return made.rechunk(like.chunks) if array_api_compat.is_dask_array(like) else made


def _check_made(argument: str, dtype: str, like: Any) -> None:
    """TypeError unless the namespace has the dtype: shown on an array without elements."""
    try:
        made = dtype_name(_made(np.empty(like.shape and (0,), STORAGE_DTYPES[dtype]), like).dtype)
    except (TypeError, ValueError):
        made = ""
    if made != dtype:
        namespace = array_api_compat.array_namespace(like).__name__
        raise TypeError(
            f"{argument} has dtype {dtype}, which {namespace} does not have; legal: the dtypes of "
            "the namespace"
        )


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """An error inside says at which parameter."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"{shown(name)}: {error}") from None


def _semantics(params: Mapping[str, Any], subnormals: SubnormalsChoice) -> Semantics:
    """What `step` declares for all of them; asked once for all that are alike."""
    alike: dict[tuple[Any, ...], Any] = {}
    for theta in params.values():
        xp, device = array_api_compat.array_namespace(theta), array_api_compat.device(theta)
        alike.setdefault((xp, str(device), compute_dtype(dtype_name(theta.dtype))), theta)
    found = {declared_semantics(theta, subnormals=subnormals) for theta in alike.values()}
    if len(found) > 1:
        each = " and ".join(sorted(x.describe() for x in found))
        raise ValueError(f"steps of these arrays have several semantics, {each}; legal: one")
    return found.pop() if found else CANONICAL


def _versions(arrays: Any) -> dict[str, str]:
    """Of the libraries that the arrays are of."""
    names = {array_api_compat.array_namespace(x).__name__ for x in arrays}
    roots = {name.removeprefix("array_api_compat.").partition(".")[0] for name in names}
    return {root: str(sys.modules[root].__version__) for root in roots}
