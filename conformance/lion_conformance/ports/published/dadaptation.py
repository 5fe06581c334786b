"""dadaptation: a Lion that adapts its step size d, and judged as one with d held at 1.

The step that it takes is then of size η, as Lion's is. How it adapts d is another matter, and is
not judged.
"""

from __future__ import annotations

from typing import Any

import dadaptation
import torch

from lion_conformance.ports.protocol import Port
from lion_conformance.ports.published.through_torch import torch_port


def ports(device: str) -> list[Port]:
    """The one door."""

    def unmoved(param: torch.nn.Parameter) -> dict[str, Any]:
        return {"s": torch.zeros_like(param)}

    return [
        torch_port(
            "dadaptation",
            "step(), d held at 1",
            device,
            dadaptation.DAdaptLion,
            rest=unmoved,
            prepare=_hold,
        )
    ]


def _hold(group: dict[str, Any]) -> None:
    group["d"] = 1.0
