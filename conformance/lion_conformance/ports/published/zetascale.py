"""zetascale's DecoupledLionW, a copy of LLM Foundry's; the rest of it would need torchvision."""

from __future__ import annotations

from lion_conformance.ports.protocol import Port
from lion_conformance.ports.published.bare import bare_import
from lion_conformance.ports.published.decoupled import decoupled_port


def ports(device: str) -> list[Port]:
    """The loop over parameters."""
    lion = bare_import("zeta.optim.decoupled_lion").DecoupledLionW
    return [decoupled_port("zetascale", device, lion)]
