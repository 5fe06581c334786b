"""pytorch_optimizer: lists of parameters unless told otherwise, or a loop over them."""

from __future__ import annotations

import pytorch_optimizer

from lion_conformance.ports.protocol import Port
from lion_conformance.ports.published.through_torch import torch_port


def ports(device: str) -> list[Port]:
    """The default, which takes foreach wherever it can, and the loop."""
    lion = pytorch_optimizer.Lion
    return [
        torch_port("pytorch_optimizer", "step()", device, lion),
        torch_port("pytorch_optimizer", "step(), foreach=False", device, lion, foreach=False),
    ]
