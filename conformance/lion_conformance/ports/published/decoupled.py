"""What the copies of DecoupledLionW share: a decay by λ·η/η₀, where η₀ is the first η.

Given η₀·λ in place of λ they decay as Lion does. That is how they are judged.
"""

from __future__ import annotations

from typing import Any

from lion_conformance.ports.protocol import Port
from lion_conformance.ports.published.through_torch import torch_port


def decoupled_port(name: str, device: str, lion: Any) -> Port:
    """Its step at the learning rate that it was made with, given η·λ as its weight decay."""
    return torch_port(name, "step(), given η·λ", device, lion, prepare=_scaled)


def _scaled(group: dict[str, Any]) -> None:
    group["initial_lr"] = group["lr"]
    group["weight_decay"] *= group["lr"]
