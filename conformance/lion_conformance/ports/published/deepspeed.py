"""DeepSpeed's Lion for CPUs, whose kernel it compiles for the machine at first use: minutes."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import cpuinfo
import torch
from deepspeed.ops.lion import DeepSpeedCPULion

from lion_conformance.ports.backends import only_cpu
from lion_conformance.ports.protocol import Port, Triple
from lion_conformance.ports.published.through_torch import alike, torch_port

HALVES = ("float16", "bfloat16")
TRIPLES: tuple[Triple, ...] = tuple((dtype, "float32", dtype) for dtype in ("float32", *HALVES))
"""By default its momenta are float32, whatever the parameters are."""


def ports(device: str) -> list[Port]:
    """The default, and momenta of the parameters' own dtype."""
    only_cpu("deepspeed", device)
    # Each optimizer asks anew what processor this is, which takes a second, and warns of it.
    cpuinfo.get_cpu_info = cache(cpuinfo.get_cpu_info)
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)

    def counted(_: torch.nn.Parameter) -> dict[str, Any]:
        return {"step": 0}

    return [
        torch_port("deepspeed", "step()", device, DeepSpeedCPULion, triples=TRIPLES, rest=counted),
        torch_port(
            "deepspeed",
            "step(), fp32_optimizer_states=False",
            device,
            DeepSpeedCPULion,
            triples=alike(HALVES),
            rest=counted,
            fp32_optimizer_states=False,
        ),
    ]
