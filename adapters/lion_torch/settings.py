"""The options of a parameter group: which are legal together, and the scalars that they give."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from lion_ref.dtypes import STORAGE_DTYPES, check_dtypes
from lion_ref.hyperparameters import Hyperparameters, real_number, round_scalars

Group = dict[str, Any]

FLAGS = ("maximize", "capturable", "differentiable")
CHOICES = ("foreach", "fused")


@dataclass(frozen=True, slots=True)
class TorchScalars:
    """The six scalars of the update in the compute dtype (SPEC C4).

    lr and weight_decay may be 0-d tensors of that dtype; what is a float has been rounded to it, so
    that no kernel rounds it again. With maximize, the complements are negative: (-(1-β))⊗g has the
    bits of (1-β)⊗(-g). skip is a flag on the device: not zero, and nothing is written.
    """

    compute: torch.dtype
    beta1: float
    one_minus_beta1: float
    beta2: float
    one_minus_beta2: float
    lr: float | Tensor
    weight_decay: float | Tensor
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


def momentum_dtype(group: Group, param: Tensor) -> torch.dtype:
    """The dtype of a parameter's momentum: the group's choice, else the parameter's own."""
    return _chosen_dtype(group) or param.dtype


def _chosen_dtype(group: Group) -> torch.dtype | None:
    """TypeError unless momentum_dtype is None, or one of SPEC C2 or its name."""
    chosen = group["momentum_dtype"]
    if chosen is None:
        return None
    if not isinstance(chosen, (str, torch.dtype)) or dtype_name(chosen) not in STORAGE_DTYPES:
        legal = ", ".join(STORAGE_DTYPES)
        raise TypeError(f"momentum_dtype={chosen!r} is not legal; legal: None, {legal}")
    dtype: torch.dtype = getattr(torch, dtype_name(chosen))
    return dtype


def settle(group: Group) -> None:
    """Keep the options as types that every checkpoint carries; the values stay what they are.

    torch's checkpoints of sharded runs take no dtype, torch.load(weights_only=True) no NumPy
    number, JSON neither. A tensor stays one, as a CUDA graph may read it.

    >>> import numpy as np
    >>> group = {"lr": np.float64(0.5), "betas": [0.9, 0.99], "momentum_dtype": torch.float32}
    >>> settle(group); group
    {'lr': 0.5, 'betas': (0.9, 0.99), 'momentum_dtype': 'float32'}
    """
    if isinstance(group.get("momentum_dtype"), (str, torch.dtype)):
        group["momentum_dtype"] = dtype_name(group["momentum_dtype"])
    for name in ("lr", "betas", "weight_decay"):
        if name in group:
            group[name] = _settled(group[name])


def _settled(value: Any) -> Any:
    if type(value) is float or isinstance(value, Tensor):  # as at nearly every step
        return value
    if isinstance(value, (tuple, list)):
        return tuple(map(_settled, value))
    try:
        return real_number("", value, "")
    except TypeError:  # the next step will refuse it
        return value


def check_group(group: Group, *, wait: bool = True) -> None:
    """Refuse options that are not legal alone or together, in torch's words where it has any.

    With wait=False, as within a capture, the values of tensors on a device are not looked at.
    """
    for name in FLAGS:
        if not isinstance(group[name], bool):
            raise TypeError(f"{name}={group[name]!r} is not legal; legal: True, False")
    for name in CHOICES:
        if not (group[name] is None or isinstance(group[name], bool)):
            raise TypeError(f"{name}={group[name]!r} is not legal; legal: None, True, False")
    chosen = _chosen_dtype(group)
    if group["fused"] and group["differentiable"]:
        raise RuntimeError("`fused` does not support `differentiable`")
    if group["fused"] and group["foreach"]:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    if group["foreach"] and group["differentiable"]:
        raise RuntimeError("`foreach` does not support `differentiable`")
    for name in ("lr", "weight_decay"):
        _check_tensor(group, name)
    values = read_values(group, wait=wait)
    # A set of dtypes, as there may be many parameters.
    for param in {param.dtype for param in group["params"]}:
        _rounded(_packed(values), compute_dtype(param, chosen or param, param))


def check_distinct(params: list[Tensor]) -> None:
    """Refuse a parameter that is listed twice in a group, of which torch only warns."""
    if len(set(params)) < len(params):
        raise ValueError(
            "params holds a parameter more than once, and a step would update it more than once; "
            "legal: each parameter once"
        )


def _check_tensor(group: Group, name: str) -> None:
    value = group[name]
    if not isinstance(value, Tensor):
        return
    if value.numel() != 1:
        raise ValueError(f"Tensor {name} must be 1-element")
    if not value.is_floating_point():
        raise TypeError(
            f"Tensor {name} has dtype {dtype_name(value.dtype)}; legal: floating dtypes"
        )
    if group["foreach"] and not group["capturable"]:
        raise ValueError(
            f"{name} as a Tensor is not supported for capturable=False and foreach=True"
        )


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
        raise ValueError(f"betas={betas!r} is not legal; legal: two numbers in [0, 1)")
    return Hyperparameters.checked(
        lr=read(group["lr"]),
        beta1=betas[0],
        beta2=betas[1],
        weight_decay=read(group["weight_decay"]),
    )


def scalars_of(group: Group, values: Hyperparameters, compute: torch.dtype) -> TorchScalars:
    """The group's scalars for one compute dtype; tensors stay tensors where the mode needs that."""
    beta1, one_minus_beta1, beta2, one_minus_beta2, lr, weight_decay = _rounded(
        _packed(values), compute
    )
    direction = -1.0 if group["maximize"] else 1.0
    keep_tensors = group["capturable"] or group["differentiable"]

    def kept(name: str, rounded: float) -> float | Tensor:
        value = group[name]
        if keep_tensors and isinstance(value, Tensor):
            return value.reshape(()).to(compute)
        return rounded

    return TorchScalars(
        compute=compute,
        beta1=beta1,
        one_minus_beta1=direction * one_minus_beta1,
        beta2=beta2,
        one_minus_beta2=direction * one_minus_beta2,
        lr=kept("lr", lr),
        weight_decay=kept("weight_decay", weight_decay),
    )


def _packed(values: Hyperparameters) -> bytes:
    # Bits rather than numbers are the key below: 0.0 == -0.0, but the two step differently.
    return struct.pack("4d", values.lr, values.beta1, values.beta2, values.weight_decay)


@lru_cache(maxsize=1024)
def _rounded(packed: bytes, compute: torch.dtype) -> tuple[float, ...]:
    scalars = round_scalars(Hyperparameters(*struct.unpack("4d", packed)), dtype_name(compute))
    return (
        float(scalars.beta1),
        float(scalars.one_minus_beta1),
        float(scalars.beta2),
        float(scalars.one_minus_beta2),
        float(scalars.lr),
        float(scalars.weight_decay),
    )
