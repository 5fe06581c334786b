"""The update as plain tensor operations, out of place: for any device, and for autograd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lion_torch.rounding import round_to

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lion_torch.layout import Triple
    from lion_torch.scalars import TorchScalars


def sign(c: Tensor) -> Tensor:
    """-1, +0, +1, or NaN for NaN, where torch.sign gives 0 (SPEC C7)."""
    return torch.where(c.isnan(), c, torch.sign(c))


def new_values(theta: Tensor, m: Tensor, g: Tensor, scalars: TorchScalars) -> tuple[Tensor, Tensor]:
    """(θ', m') in the compute dtype; every line is one rounding (SPEC C5)."""
    theta, m, g = (x.to(scalars.compute) for x in (theta, m, g))  # exact
    if isinstance(scalars.weight_decay, Tensor) and scalars.weight_decay.requires_grad:
        theta = theta.clone()  # its derivative is θ as it was, which the step overwrites
    a = m * scalars.beta1
    b = g * scalars.one_minus_beta1
    c = a + b
    u = sign(c)
    d = theta * scalars.weight_decay
    s = u + d
    e = s * scalars.lr
    new_theta = theta - e
    x = m * scalars.beta2
    y = g * scalars.one_minus_beta2
    new_m = x + y
    return new_theta, new_m


def update(triples: Iterable[Triple], scalars: TorchScalars) -> None:
    """One step of many tensors, one after another."""
    for theta, m, g in triples:
        new_theta, new_m = new_values(theta, m, g, scalars)
        theta.copy_(round_to(new_theta, theta.dtype))
        m.copy_(round_to(new_m, m.dtype))
