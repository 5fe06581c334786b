"""The storage dtypes, the compute dtype, and which triples (θ, m, g) are legal (SPEC C2, C3)."""

from __future__ import annotations

from typing import Any, Final

import ml_dtypes
import numpy as np
from numpy.typing import DTypeLike

from lion_ref.arithmetic import name_of

STORAGE_DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
}
"""Every storage dtype, by the name that all frameworks give it."""

LEGAL_DTYPES: Final = ", ".join(STORAGE_DTYPES)
"""Their names, for the refusal of another dtype."""

_HALF = ("float16", "bfloat16")


def storage_name(dtype: DTypeLike, argument: str = "dtype") -> str:
    """The name of a storage dtype, in either byte order; TypeError for any other dtype.

    >>> storage_name(">f4")
    'float32'
    >>> storage_name("int32", "grad")
    Traceback (most recent call last):
        ...
    TypeError: grad has dtype int32; legal: float16, bfloat16, float32, float64
    """
    try:
        # ml_dtypes' names are unknown to np.dtype as strings, so look those up first.
        known = STORAGE_DTYPES.get(dtype) if isinstance(dtype, str) else None
        name = name_of(known or np.dtype(dtype))
    except TypeError:
        name = str(dtype)
    if name not in STORAGE_DTYPES:
        raise TypeError(f"{argument} has dtype {name}; legal: {LEGAL_DTYPES}")
    return name


def compute_dtype(param_dtype: DTypeLike) -> np.dtype[Any]:
    """float64 if θ is float64, else float32 (SPEC C3).

    >>> compute_dtype("bfloat16").name
    'float32'
    """
    name = storage_name(param_dtype, "param")
    return STORAGE_DTYPES["float64" if name == "float64" else "float32"]


def check_dtypes(param: DTypeLike, momentum: DTypeLike, grad: DTypeLike) -> np.dtype[Any]:
    """The compute dtype of a legal triple; TypeError that names the argument otherwise.

    Adapters pass the names of their own framework's dtypes ("bfloat16").

    >>> check_dtypes("float32", "bfloat16", "float16").name
    'float32'
    """
    compute = compute_dtype(param)
    narrow = [name for name in STORAGE_DTYPES if name != "float64"]
    for argument, dtype in (("momentum", momentum), ("grad", grad)):
        name = storage_name(dtype, argument)
        if name == "float64" and name_of(compute) != "float64":
            raise TypeError(
                f"{argument} has dtype float64, wider than float32, the compute dtype for a "
                f"{storage_name(param)} param; legal: {', '.join(narrow)}"
            )
    return compute


def legal_triples() -> tuple[tuple[str, str, str], ...]:
    """All 43 triples of names (θ, m, g) that SPEC C3 allows.

    >>> len(legal_triples())
    43
    """
    narrow = tuple(name for name in STORAGE_DTYPES if name != "float64")
    return tuple(
        (param, momentum, grad)
        for param in STORAGE_DTYPES
        for momentum in (STORAGE_DTYPES if param == "float64" else narrow)
        for grad in (STORAGE_DTYPES if param == "float64" else narrow)
    )


def promoted(first: np.dtype[Any], second: np.dtype[Any]) -> np.dtype[Any]:
    """The wider of two storage dtypes; float32 for float16 with bfloat16 (SPEC C21).

    >>> promoted(STORAGE_DTYPES["float16"], STORAGE_DTYPES["bfloat16"]).name
    'float32'
    """
    if first == second:
        return first
    if name_of(first) in _HALF and name_of(second) in _HALF:
        return STORAGE_DTYPES["float32"]
    return max(first, second, key=lambda dtype: dtype.itemsize)
