"""The update as torch's own operations, for any device and for autograd."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lion_torch.layout import pieces
from lion_torch.rounding import flushed, round_flushed, round_to
from lion_torch.scalars import dtype_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lion_torch.layout import Triple
    from lion_torch.scalars import TorchScalars


def foreach(triples: Iterable[Triple], scalars: TorchScalars) -> None:
    """One step of many tensors, one operation at a time over all of them."""
    alike: defaultdict[tuple[object, ...], list[Triple]] = defaultdict(list)
    for triple in triples:
        alike[triple[0].device, *(x.dtype for x in triple)].append(triple)
    for some in alike.values():
        _update(some, scalars)


def one_by_one(triples: Iterable[Triple], scalars: TorchScalars) -> None:
    """One step of many tensors, one after another.

    On a CPU piece by piece: what an operation leaves is still in the cache when the next one comes.
    """
    for triple in triples:
        whole = torch.is_grad_enabled() or triple[0].device.type != "cpu"
        for piece in [triple] if whole else pieces(triple):
            _update([piece], scalars)


def _update(triples: list[Triple], scalars: TorchScalars) -> None:
    """One step of tensors whose dtypes are alike; every line but the conversions is one rounding.

    add_(alpha=) and lerp_ would save passes, and contract or reassociate: they are not used.
    """
    if scalars.flush:  # torch has no where for lists of tensors
        for triple in triples:
            _update_flushed(triple, scalars)
        return
    stored_theta, stored_m, stored_g = (list(column) for column in zip(*triples, strict=True))
    theta, m, g = (
        [x.to(scalars.compute) for x in column] for column in (stored_theta, stored_m, stored_g)
    )
    if torch.is_grad_enabled():
        # λ's derivative is θ as it was, and products keep m, which the step overwrites.
        theta, m = ([x.clone() for x in column] for column in (theta, m))
    c = _product(m, scalars.beta1)
    torch._foreach_add_(c, _product(g, scalars.one_minus_beta1))
    u = [sign(x) for x in c]
    del c
    step = _product(theta, scalars.weight_decay)
    torch._foreach_add_(step, u)
    del u
    step = _product(step, scalars.lr)
    new_theta = torch._foreach_sub(theta, step)  # noqa: SLF001 - torch.optim's own tools
    del step
    new_m = _product(m, scalars.beta2)
    torch._foreach_add_(new_m, _product(g, scalars.one_minus_beta2))
    for stored, new in ((stored_theta, new_theta), (stored_m, new_m)):
        for target, values in zip(stored, new, strict=True):
            target.copy_(round_to(values, target.dtype))


def _update_flushed(triple: Triple, scalars: TorchScalars) -> None:
    """The same of one tensor, with subnormals flushed (SPEC C33)."""
    ops = flushed(dtype_name(scalars.compute))
    theta, m, g = (ops.operand(x.to(scalars.compute), dtype_name(x.dtype)) for x in triple)
    c = ops.add(ops.product(scalars.beta1, m), ops.product(scalars.one_minus_beta1, g))
    step = ops.add(sign(c), ops.product(scalars.weight_decay, theta))
    new_theta = ops.subtract(theta, ops.product(scalars.lr, step))
    new_m = ops.add(ops.product(scalars.beta2, m), ops.product(scalars.one_minus_beta2, g))
    for target, values in zip(triple, (new_theta, new_m), strict=False):
        target.copy_(round_flushed(ops, values, target.dtype))


def sign(c: Tensor) -> Tensor:
    """-1, +0, +1, or NaN for NaN, where torch.sign gives 0 (SPEC C7)."""
    return torch.where(c.isnan(), c, torch.sign(c))


def _product(tensors: list[Tensor], scalar: float | Tensor) -> list[Tensor]:
    return list(torch._foreach_mul(tensors, scalar))  # noqa: SLF001 - as above
