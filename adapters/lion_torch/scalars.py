"""η, β1, β2, λ of a parameter group, as numbers or tensors of the compute dtype (SPEC C3, C4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from lion_ref.checks import shown
from lion_ref.dtypes import check_dtypes
from lion_ref.hyperparameters import Hyperparameters, Scalars, rounded_floats
from lion_torch.rounding import flushed

Group = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TorchScalars:
    """The six scalars of the update in the compute dtype (SPEC C4).

    lr and weight_decay may be 0-d tensors of that dtype; what is a float has been rounded to it, so
    that no kernel rounds it again. With maximize, the complements are negative: (-(1-β))⊗g has the
    bits of (1-β)⊗(-g). flush: they are flushed, and what they meet is to be (SPEC C33). skip is a
    flag on the device: not zero, and nothing is written.
    """

    compute: torch.dtype
    beta1: float
    one_minus_beta1: float
    beta2: float
    one_minus_beta2: float
    lr: float | Tensor
    weight_decay: float | Tensor
    flush: bool
    skip: Tensor | None = None


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


def read_values(group: Group, *, wait: bool) -> Hyperparameters:
    """η, β1, β2, λ of a group in binary64, checked (SPEC C13).

    A tensor on a device is read only with wait=True, as reading it waits for the device; without,
    0 stands in its place.
    """

    def read(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.item() if wait or value.device.type == "cpu" else 0.0
        return value

    betas = group["betas"]
    if not (isinstance(betas, (tuple, list)) and len(betas) == 2):
        raise ValueError(f"betas={shown(betas)} is not legal; legal: two numbers in [0, 1)")
    return Hyperparameters.checked(
        lr=read(group["lr"]),
        beta1=betas[0],
        beta2=betas[1],
        weight_decay=read(group["weight_decay"]),
    )


def flushes(group: Group) -> bool:
    """Whether subnormals count as zeros in a group's steps; torch's own rule is to keep them."""
    return bool(group["subnormals"] == "flush")


def rounded(group: Group, values: Hyperparameters, compute: torch.dtype) -> Scalars:
    """The group's numbers in one compute dtype; ValueError for one that overflows it (SPEC C13)."""
    return rounded_floats(values, dtype_name(compute), "flush" if flushes(group) else "keep")


def scalars_for(group: Group, values: Hyperparameters, compute: torch.dtype) -> TorchScalars:
    """The group's scalars for one compute dtype; tensors stay tensors where the mode needs that."""
    scalars = rounded(group, values, compute)
    direction = -1.0 if group["maximize"] else 1.0
    keep_tensors = group["capturable"] or group["differentiable"]

    def kept(name: str, number: float) -> float | Tensor:
        value = group[name]
        if keep_tensors and isinstance(value, Tensor):
            value = value.reshape(())
            return _flushed(value, compute) if flushes(group) else value.to(compute)
        return number

    return TorchScalars(
        compute=compute,
        beta1=scalars.beta1,
        one_minus_beta1=direction * scalars.one_minus_beta1,
        beta2=scalars.beta2,
        one_minus_beta2=direction * scalars.one_minus_beta2,
        lr=kept("lr", scalars.lr),
        weight_decay=kept("weight_decay", scalars.weight_decay),
        flush=flushes(group),
    )


def _flushed(value: Tensor, compute: torch.dtype) -> Tensor:
    """A scalar rounded once to the compute dtype; which is tiny, that number no longer tells."""
    wide = value if value.dtype == torch.float64 else value.to(compute)
    name = dtype_name(wide.dtype)
    ops = flushed(name)
    kept: Tensor = ops.storable(ops.operand(wide, name), dtype_name(compute))
    return kept.to(compute)
