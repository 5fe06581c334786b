"""What a step has to do, checked before any of it is done (SPEC C14)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from lion_torch.layout import elements_may_share_memory
from lion_torch.settings import (
    Group,
    TorchScalars,
    check_group,
    compute_dtype,
    momentum_dtype,
    read_values,
    scalars_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    Triple = tuple[Tensor, Tensor, Tensor]

CAPTURABLE_DEVICES = ("cuda", "xpu", "hpu", "xla")


@dataclass(frozen=True, slots=True)
class Pending:
    """A parameter that has a gradient, both checked, and what of its state is there already."""

    param: Tensor
    grad: Tensor
    momentum: Tensor | None
    momentum_dtype: torch.dtype
    compute: torch.dtype


@dataclass(frozen=True, slots=True)
class Work:
    """The checked share of one group, for one compute dtype and one kind of device."""

    group: Group
    scalars: TorchScalars
    device_type: str
    pending: tuple[Pending, ...]


def plan(groups: list[Group], state: Mapping[Any, Any]) -> list[Work]:
    """Check every group, parameter and gradient; raise before anything has been written.

    Raises:
        TypeError: an illegal dtype. ValueError: an illegal value, or a momentum of another shape.
        RuntimeError: sparse gradients, elements that share memory, modes that exclude each other.
    """
    works = []
    for group in groups:
        check_group(group)
        # A graph capture must not wait for the device, nor must a step that is to be captured.
        wait = not (group["capturable"] or group["differentiable"])
        values = read_values(group, wait=wait)
        split: dict[tuple[torch.dtype, str], list[Pending]] = {}
        for param in group["params"]:
            if param.grad is None:
                continue
            pending = _checked(group, param, state.get(param, {}).get("exp_avg"))
            split.setdefault((pending.compute, param.device.type), []).append(pending)
        works += [
            Work(group, scalars_of(group, values, compute), device_type, tuple(pending))
            for (compute, device_type), pending in split.items()
        ]
    return works


def triples(work: Work, state: Mapping[Any, Any]) -> list[Triple]:
    """The tensors to work on; momenta that are not there yet begin as zeros."""
    result = []
    for item in work.pending:
        momentum = item.momentum
        if momentum is None:
            momentum = torch.zeros_like(
                item.param, dtype=item.momentum_dtype, memory_format=torch.preserve_format
            ).detach()
            state[item.param]["exp_avg"] = momentum
        result.append((_local(item.param), _local(momentum), _local(_aligned(item))))
    return result


def _checked(group: Group, param: Tensor, momentum: Tensor | None) -> Pending:
    grad = param.grad
    if grad is None:  # the caller looked; this tells the type checker
        raise RuntimeError("param has no gradient")
    if grad.layout is not torch.strided:
        raise RuntimeError(
            f"Lion does not support sparse gradients (got {grad.layout}): every momentum decays "
            "and every parameter moves at each step, so nothing could be skipped; legal: dense "
            "gradients, as from Embedding(sparse=False), or param.grad = param.grad.to_dense()"
        )
    dtype = momentum_dtype(group, param) if momentum is None else momentum.dtype
    compute = compute_dtype(param.dtype, dtype, grad.dtype)
    if momentum is not None and momentum.shape != param.shape:
        raise ValueError(
            f"exp_avg has shape {tuple(momentum.shape)}, but param has shape {tuple(param.shape)}; "
            "legal: param, momentum and grad of one shape"
        )
    if group["capturable"] and param.device.type not in CAPTURABLE_DEVICES:
        raise RuntimeError(
            f"capturable=True with a param on {param.device.type}; legal: params on "
            f"{', '.join(CAPTURABLE_DEVICES)}"
        )
    for name, tensor in (("param", param), ("exp_avg", momentum)):
        if tensor is not None and elements_may_share_memory(_local(tensor)):
            raise RuntimeError(
                f"{name} of shape {tuple(tensor.shape)} and strides {tensor.stride()} has elements "
                "that share memory, so each would be updated more than once; legal: a tensor of "
                "its own, as from clone()"
            )
    return Pending(param, grad, momentum, dtype, compute)


def _aligned(item: Pending) -> Tensor:
    """The gradient, sharded as its parameter is where both are DTensors."""
    placements = getattr(item.param, "placements", None)
    if placements is None or getattr(item.grad, "placements", None) == placements:
        return item.grad
    redistributed: Tensor = item.grad.redistribute(placements=placements)  # type: ignore[attr-defined]
    return redistributed


def _local(tensor: Tensor) -> Tensor:
    """A DTensor's own shard; any other tensor itself. An element's step needs no other (C12)."""
    to_local = getattr(tensor, "to_local", None)
    if to_local is None:
        return tensor
    shard: Tensor = to_local()
    return shard
