"""lion-pytorch: a loop over parameters, and lists of them. Its Triton kernel needs a GPU."""

from __future__ import annotations

import lion_pytorch
import lion_pytorch.foreach

from lion_conformance.ports.protocol import Port
from lion_conformance.ports.published.through_torch import torch_port


def ports(device: str) -> list[Port]:
    """Both Lions of the package, as they come."""
    return [
        torch_port("lion-pytorch", "step()", device, lion_pytorch.Lion),
        torch_port("lion-pytorch", "step(), foreach", device, lion_pytorch.foreach.Lion),
    ]
