"""What a GradScaler leaves to a fused optimizer: whether it does, and the gradients left scaled."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import torch

from lion_torch.layout import local

if TYPE_CHECKING:
    from lion_torch.scalars import Group


class WhereFused:
    """True as long as a group is fused, until another value is assigned.

    Python lets an attribute take the place of what has no __set__; deleted, it makes way again.
    """

    def __get__(self, optimizer: Any, _: type) -> bool:
        """Of the class itself, which has no groups: False."""
        return any(group["fused"] for group in getattr(optimizer, "param_groups", ()))


def unscale(groups: list[Group], grad_scale: torch.Tensor) -> None:
    """Divide every gradient by the scale, in place, with the bits of GradScaler.unscale_.

    As there, the gradients are left unscaled; so a fused run and one that is not fused are one run.
    """
    alike: defaultdict[tuple[torch.device, torch.dtype], list[torch.Tensor]] = defaultdict(list)
    for group in groups:
        for param in group["params"]:
            if param.grad is not None:
                alike[param.grad.device, param.grad.dtype].append(local(param.grad))
    inverse = grad_scale.double().reciprocal().float()
    for (device, _), grads in alike.items():
        # Infinities were looked for by the scaler; what is found here again goes nowhere.
        found = torch.zeros((), dtype=torch.float32, device=device)
        torch._amp_foreach_non_finite_check_and_unscale_(grads, found, inverse.to(device))
