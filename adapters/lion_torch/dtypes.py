"""torch's dtypes: their names, and those that a step computes and keeps momenta in (SPEC C3)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from lion_ref.dtypes import LEGAL_DTYPES, STORAGE_DTYPES, check_dtypes

Group = dict[str, Any]


def dtype_name(dtype: torch.dtype | str) -> str:
    """lion_ref's name of a torch dtype, or of its name.

    >>> dtype_name(torch.bfloat16), dtype_name("torch.bfloat16"), dtype_name("bfloat16")
    ('bfloat16', 'bfloat16', 'bfloat16')
    """
    return str(dtype).removeprefix("torch.")


@lru_cache(maxsize=256)
def compute_dtype(param: torch.dtype, momentum: torch.dtype, grad: torch.dtype) -> torch.dtype:
    """float64 if the parameter is float64, else float32; TypeError for an illegal triple (C3)."""
    name = check_dtypes(dtype_name(param), dtype_name(momentum), dtype_name(grad)).name
    return torch.float64 if name == "float64" else torch.float32


def momentum_dtype(group: Group, param: Tensor) -> torch.dtype:
    """The dtype of a parameter's momentum: the group's choice, else the parameter's own."""
    return chosen_dtype(group) or param.dtype


def chosen_dtype(group: Group) -> torch.dtype | None:
    """TypeError unless momentum_dtype is None, or one of SPEC C2 or its name."""
    chosen = group["momentum_dtype"]
    if chosen is None:
        return None
    if not isinstance(chosen, (str, torch.dtype)) or dtype_name(chosen) not in STORAGE_DTYPES:
        raise TypeError(f"momentum_dtype={chosen!r} is not legal; legal: None, {LEGAL_DTYPES}")
    dtype: torch.dtype = getattr(torch, dtype_name(chosen))
    return dtype
