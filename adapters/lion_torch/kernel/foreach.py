"""The update over lists of tensors: foreach=True, and the default on a GPU without Triton."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import torch

from lion_torch.kernel.plain import sign
from lion_torch.rounding import round_to

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from lion_torch.layout import Triple
    from lion_torch.scalars import TorchScalars


def update(triples: Iterable[Triple], scalars: TorchScalars) -> None:
    """One step of many tensors, one operation at a time over all of them (SPEC C5).

    add_(alpha=) and lerp_ would save passes, and contract or reassociate: they are not used.
    """
    alike: defaultdict[tuple[object, ...], list[Triple]] = defaultdict(list)
    for triple in triples:
        alike[triple[0].device, *(x.dtype for x in triple)].append(triple)
    for some in alike.values():
        _update_alike(some, scalars)


def _update_alike(triples: list[Triple], scalars: TorchScalars) -> None:
    stored_theta, stored_m, stored_g = (list(column) for column in zip(*triples, strict=True))
    theta, m, g = (
        [x.to(scalars.compute) for x in column] for column in (stored_theta, stored_m, stored_g)
    )
    c = _product(m, scalars.beta1)
    torch._foreach_add_(c, _product(g, scalars.one_minus_beta1))
    u = [sign(x) for x in c]
    del c
    step = _product(theta, scalars.weight_decay)
    torch._foreach_add_(step, u)
    del u
    torch._foreach_mul_(step, scalars.lr)
    torch._foreach_sub_(theta, step)
    del step
    torch._foreach_mul_(m, scalars.beta2)
    torch._foreach_add_(m, _product(g, scalars.one_minus_beta2))
    for stored, new in ((stored_theta, theta), (stored_m, m)):
        for target, values in zip(stored, new, strict=True):
            if target is not values:  # they are one tensor where nothing had to be widened
                target.copy_(round_to(values, target.dtype))


def _product(tensors: list[Tensor], scalar: float | Tensor) -> list[Tensor]:
    return list(torch._foreach_mul(tensors, scalar))  # noqa: SLF001 - torch.optim's own tools
