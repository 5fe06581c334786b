"""FlashOptim's Lion without its Triton kernel, which needs a GPU, as do its narrow momenta."""

from __future__ import annotations

from functools import partial

import flashoptim

from lion_conformance.ports.protocol import Port
from lion_conformance.ports.published.through_torch import LR, SavedState, alike

DTYPES = ("float16", "bfloat16", "float32")


def ports(device: str) -> list[Port]:
    """The loop over parameters, at full precision."""
    lion = partial(
        flashoptim.FlashLion, lr=LR, fused=False, quantize=False, master_weight_bits=None
    )
    return [
        Port(
            name="flashoptim",
            door="step(), fused=False",
            open=partial(SavedState, lion=lion, device=device),
            triples=alike(DTYPES),
            device=device,
        )
    ]
