"""bitsandbytes: the Lion that keeps 32 bits of momentum; that of 8 bits is another algorithm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bitsandbytes

from lion_conformance.ports.published.through_torch import torch_port

if TYPE_CHECKING:
    import torch

    from lion_conformance.ports.protocol import Port, Triple

TRIPLES: tuple[Triple, ...] = tuple(
    (dtype, "float32", dtype) for dtype in ("float32", "float16", "bfloat16")
)


def ports(device: str) -> list[Port]:
    """Its kernel for the device; its momenta are float32 whatever the parameters are."""

    def counted(_: torch.nn.Parameter) -> dict[str, Any]:
        return {"step": 0}

    lion = bitsandbytes.optim.Lion32bit
    return [
        torch_port(
            "bitsandbytes",
            "step(), 32 bits",
            device,
            lion,
            triples=TRIPLES,
            key="state1",
            rest=counted,
        )
    ]
