"""Which namespace the arrays belong to, and what is refused about them (SPEC C2, C3, C33)."""

from __future__ import annotations

import sys
from typing import Any

from array_api_compat import array_namespace, device, is_dask_array

from lion_ref.arithmetic import require_default_environment
from lion_ref.checks import refuse_mask, type_name
from lion_ref.dtypes import check_dtypes
from lion_ref.rational import FORMATS
from lion_ref.subnormals import cannot_keep

LEGAL = "param, momentum and grad of one array-API namespace"


def common_namespace(arrays: dict[str, Any]) -> Any:
    """The namespace of the named arrays; TypeError that names the one that does not belong."""
    namespaces: dict[str, Any] = {}
    for name, array in arrays.items():
        try:
            namespaces[name] = array_namespace(array)
        except TypeError as error:
            raise TypeError(
                f"{name} is of type {type_name(array)}, which has no namespace; legal: {LEGAL}"
            ) from error
        _refuse_tracer(name, array)
        refuse_mask(name, array)
    (first, namespace), *others = namespaces.items()
    for name, other in others:
        if other is not namespace:
            raise TypeError(
                f"{name} is of type {type_name(arrays[name])}, "
                f"but {first} of type {type_name(arrays[first])}; legal: {LEGAL}"
            )
    return namespace


def compute_name(arrays: dict[str, Any]) -> str:
    """float64 if param is float64, else float32; TypeError for dtypes not legal (SPEC C2, C3)."""
    return str(check_dtypes(*(dtype_name(array.dtype) for array in arrays.values())).name)


def dtype_name(dtype: Any) -> str:
    """The name that all namespaces give a dtype: NumPy's, or the end of torch.float32.

    >>> import numpy as np
    >>> dtype_name(np.dtype(">f4"))
    'float32'
    """
    return str(getattr(dtype, "name", None) or str(dtype).rpartition(".")[-1])


def check_kept(arrays: dict[str, Any], compute: str) -> None:
    """ValueError where the namespace flushes subnormals, FloatingPointError where the thread does.

    CuPy flushes those of float32 alone: beside a float64 param, in a momentum or gradient.
    """
    require_default_environment()
    array = within_chunks(arrays["param"])
    xp, where = array_namespace(array), device(array)
    for name in sorted({compute, *(dtype_name(array.dtype) for array in arrays.values())}):
        if name not in ("float32", "float64"):
            continue
        known = (xp.__name__, str(where), name)  # not all devices can be keys themselves
        if known not in _KEPT:
            _KEPT[known] = _keeps(xp, where, name)
        if not _KEPT[known]:
            raise cannot_keep(f"{xp.__name__} on {where}", f"those of {name} are flushed there")


_KEPT: dict[tuple[str, str, str], bool] = {}


def _keeps(xp: Any, where: Any, name: str) -> bool:
    """Whether subnormal results and operands are what they are."""
    smallest = 2.0 ** FORMATS[name].min_exponent
    normal, subnormal = (
        xp.asarray([x], dtype=getattr(xp, name), device=where) for x in (smallest, smallest / 2)
    )
    return float((normal * 0.5)[0]) != 0 and float((subnormal * 4.0)[0]) != 0


def within_chunks(array: Any) -> Any:
    """The array, or of one of Dask's an empty one of what its chunks are made of."""
    return array._meta if is_dask_array(array) else array  # noqa: SLF001


def _refuse_tracer(name: str, array: Any) -> None:
    """JAX's compiler contracts products and sums (SPEC C5); in a trace nothing here can stop it."""
    jax = sys.modules.get("jax")
    if jax is not None and isinstance(array, jax.core.Tracer):
        raise TypeError(
            f"{name} is traced by JAX, whose compiler contracts β·m + (1-β)·g into other bits; "
            "legal: concrete arrays, outside jit, vmap and grad. Inside, use lion_jax"
        )
