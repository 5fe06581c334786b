"""What a step has to do, checked before any of it is done (SPEC C14)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lion_ref.subnormals import check_subnormals
from lion_torch.checks import check_group, check_tensors, momentum_dtype
from lion_torch.layout import PLAIN, Alike, has_no_memory, local, ordinary
from lion_torch.scalars import TorchScalars, compute_dtype, read_values, scalars_for
from lion_torch.state import settle
from lion_torch.threads import require_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lion_torch.layout import Places, Triple
    from lion_torch.scalars import Group

    Item = tuple[Tensor, Tensor | None, Tensor]

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


def plan(groups: list[Group], state: Mapping[Any, Any], known: dict[int, Places]) -> list[Work]:
    """Check every group, parameter and gradient; raise before anything has been written.

    known has what was found of each group at the last step, and has it of this one then.

    Raises:
        TypeError: an illegal dtype. ValueError: an illegal value, or a momentum of another shape.
        RuntimeError: sparse gradients, elements that share memory, modes that exclude each other.
        FloatingPointError: this thread flushes subnormals that are to be kept (SPEC C15).
    """
    for choice in {check_subnormals(group["subnormals"]) for group in groups}:
        require_environment(flush=choice == "flush")
    works = []
    before = dict(known)
    known.clear()  # no tensor is held that is not stepped any more
    for number, group in enumerate(groups):
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
            split = _split(group, items, before.get(number))
            for some in split.values():
                if isinstance(some, Alike):  # then it is all there is
                    known[number] = some.places
            # Autograd may have to see what becomes of an lr that is a tensor.
            with torch.set_grad_enabled(group["differentiable"]):
                works += [
                    Work(group, scalars_for(group, values, compute), device_type, some)
                    for (compute, device_type), some in split.items()
                ]
    return works


def _split(
    group: Group, items: list[Item], before: Places | None
) -> Mapping[tuple[torch.dtype, str], list[Item] | Alike]:
    """Checked items by compute dtype and kind of device."""
    if not (group["differentiable"] or group["capturable"]):
        alike = ordinary(items, before)
        if alike is not None:
            return {(compute_dtype(*alike.dtypes), items[0][0].device.type): alike}
    split: dict[tuple[torch.dtype, str], list[Item]] = {}
    for item in items:
        compute = check_tensors(group, *item)
        split.setdefault((compute, item[0].device.type), []).append(item)
    return split


def triples(work: Work, state: Mapping[Any, Any]) -> list[Triple]:
    """(θ, m, g) to work on; momenta that are not there yet begin as zeros."""
    if isinstance(work.items, Alike):
        return work.items
    result: list[Triple] = []
    new: dict[Tensor, Tensor] = {}
    for param, momentum, grad in work.items:
        if momentum is None:
            momentum = torch.zeros_like(  # noqa: PLW2901
                param,
                dtype=momentum_dtype(work.group, param),
                memory_format=torch.preserve_format,
                requires_grad=False,
            )
            new[param] = momentum
        if type(param) not in PLAIN:
            param, momentum, grad = local(param), local(momentum), local(_aligned(param, grad))  # noqa: PLW2901
        result.append((param, momentum, _apart(param, momentum, grad)))
    for param, momentum in new.items():
        state[param]["exp_avg"] = momentum
    return result


def _apart(param: Tensor, momentum: Tensor, grad: Tensor) -> Tensor:
    """The gradient, as numbers of its own: not negated lazily, nor in memory that a step writes."""
    if grad.is_neg():
        return grad.resolve_neg()
    three = (param, momentum, grad)
    if not PLAIN.issuperset(map(type, three)) and any(map(has_no_memory, three)):
        return grad
    if grad._is_zerotensor():  # noqa: SLF001 - it has no memory either, and nothing else tells
        return grad.clone()
    start, end = _extent(grad)
    meets = any(start < last and first < end for first, last in map(_extent, (param, momentum)))
    return grad.clone() if meets else grad


def _extent(tensor: Tensor) -> tuple[int, int]:
    """The addresses between which a tensor's elements lie."""
    start = tensor.data_ptr()
    if not tensor.numel():
        return start, start
    reach = sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return start, start + (reach + 1) * tensor.element_size()


def _aligned(param: Tensor, grad: Tensor) -> Tensor:
    """The gradient, sharded as its parameter is where both are DTensors."""
    placements = getattr(param, "placements", None)
    if placements is None or getattr(grad, "placements", None) == placements:
        return grad
    redistributed: Tensor = grad.redistribute(placements=placements)  # type: ignore[attr-defined]
    return redistributed
