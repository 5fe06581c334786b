"""torch-optimi: in half precision it keeps what a rounding of θ lost, unless told otherwise.

Both are judged from a compensation of 0, as at the first step. Its Triton kernel needs a GPU.
"""

from __future__ import annotations

from typing import Any

import optimi
import torch

from lion_conformance.ports.protocol import Port
from lion_conformance.ports.published.through_torch import alike, torch_port

HALVES = ("float16", "bfloat16")


def ports(device: str) -> list[Port]:
    """The default with its compensation, which is for half precision alone; foreach; without."""

    def compensated(param: torch.nn.Parameter) -> dict[str, Any]:
        half = param.dtype in (torch.float16, torch.bfloat16)
        return {"kahan_comp": torch.zeros_like(param) if half else None}

    def plain(_: torch.nn.Parameter) -> dict[str, Any]:
        return {"kahan_comp": None}

    name, lion = "torch-optimi", optimi.Lion
    return [
        torch_port(name, "step()", device, lion, rest=compensated, kahan_sum=True),
        torch_port(
            name, "step(), foreach", device, lion, rest=compensated, kahan_sum=True, foreach=True
        ),
        torch_port(
            name,
            "step(), kahan_sum=False",
            device,
            lion,
            triples=alike(HALVES),
            rest=plain,
            kahan_sum=False,
        ),
    ]
