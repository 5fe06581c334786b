"""timm: its optimizers alone, as its models would need torchvision."""

from __future__ import annotations

from typing import Any

from lion_conformance.ports.protocol import Port
from lion_conformance.ports.published.bare import bare_import
from lion_conformance.ports.published.through_torch import torch_port


def timm_lion() -> Any:
    """timm's Lion class, without an import of timm's models.

    Raises:
        ModuleNotFoundError: timm is not installed.
    """
    return bare_import("timm.optim.lion").Lion


def ports(device: str) -> list[Port]:
    """The loop over parameters, which is the default on a CPU, and lists of them."""
    lion = timm_lion()
    return [
        torch_port("timm", "step()", device, lion, foreach=False),
        torch_port("timm", "step(), foreach", device, lion, foreach=True),
    ]
