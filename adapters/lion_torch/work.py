"""What a step has to do, checked before any of it is done (SPEC C14)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from lion_ref.arithmetic import require_default_environment
from lion_torch.layout import elements_may_share_memory
from lion_torch.ordinary import PLAIN, Alike, ordinary
from lion_torch.settings import (
    Group,
    TorchScalars,
    check_group,
    compute_dtype,
    momentum_dtype,
    read_values,
    scalars_of,
    settle,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lion_torch.ordinary import Triple

    Item = tuple[Tensor, Tensor | None, Tensor]

CAPTURABLE_DEVICES = ("cuda", "xpu", "hpu", "xla")
SPARSE = (
    torch.sparse_coo,
    torch.sparse_csr,
    torch.sparse_csc,
    torch.sparse_bsr,
    torch.sparse_bsc,
)
_NO_STATE: dict[str, Tensor] = {}


@dataclass(frozen=True, slots=True)
class Work:
    """The checked share of one group, for one compute dtype and one kind of device.

    items: parameter, momentum if there is one already, and gradient.
    """

    group: Group
    scalars: TorchScalars
    device_type: str
    items: list[Item] | Alike

    def skipping(self, flag: Tensor) -> Work:
        """The same share, with a flag on the device that stops it."""
        return replace(self, scalars=replace(self.scalars, skip=flag))


def plan(groups: list[Group], state: Mapping[Any, Any]) -> list[Work]:
    """Check every group, parameter and gradient; raise before anything has been written.

    Raises:
        TypeError: an illegal dtype. ValueError: an illegal value, or a momentum of another shape.
        RuntimeError: sparse gradients, elements that share memory, modes that exclude each other.
        FloatingPointError: this thread flushes subnormals (SPEC C15).
    """
    require_default_environment()
    works = []
    for group in groups:
        check_group(group, wait=not group["capturable"])
        settle(group)
        items = [
            (param, (state.get(param) or _NO_STATE).get("exp_avg"), grad)
            for param in group["params"]
            if (grad := param.grad) is not None
        ]
        if items:
            # A capture must not wait for the device.
            values = read_values(group, wait=not (group["capturable"] or group["differentiable"]))
            # Autograd may have to see what becomes of an lr that is a tensor.
            with torch.set_grad_enabled(group["differentiable"]):
                works += [
                    Work(group, scalars_of(group, values, compute), device_type, some)
                    for (compute, device_type), some in _split(group, items).items()
                ]
    return works


def _split(group: Group, items: list[Item]) -> Mapping[tuple[torch.dtype, str], list[Item] | Alike]:
    """Checked items by compute dtype and kind of device."""
    if not (group["differentiable"] or group["capturable"]):
        alike = ordinary(items)
        if alike is not None:
            return {(compute_dtype(*alike.dtypes), items[0][0].device.type): alike}
    split: dict[tuple[torch.dtype, str], list[Item]] = {}
    for item in items:
        compute = _check(group, *item)
        split.setdefault((compute, item[0].device.type), []).append(item)
    return split


def triples(work: Work, state: Mapping[Any, Any]) -> list[Triple]:
    """(θ, m, g) to work on; momenta that are not there yet begin as zeros."""
    if isinstance(work.items, Alike):
        return work.items
    result: list[Triple] = []
    for param, momentum, grad in work.items:
        if momentum is None:
            momentum = torch.zeros_like(  # noqa: PLW2901
                param,
                dtype=momentum_dtype(work.group, param),
                memory_format=torch.preserve_format,
                requires_grad=False,
            )
            state[param]["exp_avg"] = momentum
        if type(param) not in PLAIN:
            param, momentum, grad = local(param), local(momentum), local(_aligned(param, grad))  # noqa: PLW2901
        result.append((param, momentum, _apart(param, momentum, grad)))
    return result


def _apart(param: Tensor, momentum: Tensor, grad: Tensor) -> Tensor:
    """The gradient, as numbers of its own: not negated lazily, nor in memory that a step writes."""
    if grad.is_neg():
        return grad.resolve_neg()
    three = (param, momentum, grad)
    if not PLAIN.issuperset(map(type, three)) and any(map(_has_no_memory, three)):
        return grad
    if grad._is_zerotensor():  # noqa: SLF001 - it has no memory either, and nothing else tells
        return grad.clone()
    place = grad.untyped_storage().data_ptr()
    if place in (param.untyped_storage().data_ptr(), momentum.untyped_storage().data_ptr()):
        return grad.clone()
    return grad


def _has_no_memory(tensor: Tensor) -> bool:
    """Whether a tensor is several others, or has no numbers."""
    return isinstance(tensor, FakeTensor) or is_traceable_wrapper_subclass(tensor)


def _check(group: Group, param: Tensor, momentum: Tensor | None, grad: Tensor) -> torch.dtype:
    """The compute dtype of a legal parameter."""
    if grad.layout in SPARSE:
        raise RuntimeError(
            f"Lion does not support sparse gradients (got {grad.layout}): every momentum decays "
            "and every parameter moves at each step, so nothing could be skipped; legal: dense "
            "gradients, as from Embedding(sparse=False), or param.grad = param.grad.to_dense()"
        )
    _check_dense("param", param)
    _check_dense("grad", grad)
    if group["capturable"] and param.device.type not in CAPTURABLE_DEVICES:
        raise RuntimeError(
            f"capturable=True with a param on {param.device.type}; legal: params on "
            f"{', '.join(CAPTURABLE_DEVICES)}"
        )
    _check_writable(group, "param", param)
    _check_beside(param, "grad", grad)
    if momentum is None:
        return compute_dtype(param.dtype, momentum_dtype(group, param), grad.dtype)
    _check_dense("exp_avg", momentum)
    _check_beside(param, "exp_avg", momentum)
    _check_writable(group, "exp_avg", momentum)
    return compute_dtype(param.dtype, momentum.dtype, grad.dtype)


def _check_dense(name: str, tensor: object) -> None:
    """TypeError unless it is a tensor whose elements lie in memory one by one."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} is of type {type(tensor).__name__}; legal: a Tensor")
    if tensor.layout is not torch.strided:
        raise TypeError(f"{name} has layout {tensor.layout}; legal: torch.strided")


def _check_beside(param: Tensor, name: str, tensor: Tensor) -> None:
    """ValueError unless a tensor has its parameter's shape and device."""
    if tensor.shape != param.shape:
        raise ValueError(
            f"{name} has shape {tuple(tensor.shape)}, but param has shape {tuple(param.shape)}; "
            "legal: param, momentum and grad of one shape"
        )
    if tensor.device != param.device:
        raise ValueError(
            f"{name} is on {tensor.device}, but param is on {param.device}; "
            "legal: param, momentum and grad on one device"
        )
    if isinstance(tensor, FakeTensor) != isinstance(param, FakeTensor):
        raise ValueError(
            f"of {name} and param one is a FakeTensor, which has no numbers, and one is not; "
            "legal: all of them, or none"
        )


def _check_writable(group: Group, name: str, tensor: Tensor) -> None:
    """What torch would refuse in the middle of a step, when some of it has been done."""
    if tensor.is_inference() and not torch.is_inference_mode_enabled():
        raise RuntimeError(
            f"{name} was made under torch.inference_mode(), and cannot be updated outside it; "
            "legal: a step inside it, or a tensor of its own, as from clone()"
        )
    if tensor.is_neg():
        raise RuntimeError(
            f"{name} is negated lazily, as the imaginary part of a conjugate is, and its bits are "
            "not its values; legal: a tensor of its own, as from clone()"
        )
    if group["differentiable"] and tensor.is_leaf and tensor.requires_grad:
        raise RuntimeError(
            f"differentiable=True with a {name} that is a leaf and requires grad, which autograd "
            "does not let anyone update in place; legal: a clone() of it"
        )
    if not tensor.is_contiguous() and elements_may_share_memory(local(tensor)):
        raise RuntimeError(
            f"{name} of shape {tuple(tensor.shape)} and strides {tensor.stride()} has elements "
            "that share memory, so each would be updated more than once; legal: a tensor of "
            "its own, as from clone()"
        )


def _aligned(param: Tensor, grad: Tensor) -> Tensor:
    """The gradient, sharded as its parameter is where both are DTensors."""
    placements = getattr(param, "placements", None)
    if placements is None or getattr(grad, "placements", None) == placements:
        return grad
    redistributed: Tensor = grad.redistribute(placements=placements)  # type: ignore[attr-defined]
    return redistributed


def local(tensor: Tensor) -> Tensor:
    """A DTensor's own shard; any other tensor itself. An element's step needs no other (C12)."""
    to_local = getattr(tensor, "to_local", None)
    if to_local is None:
        return tensor
    shard: Tensor = to_local()
    return shard
