"""DeepSpeed's Lion for CPUs, whose kernel it compiles for the machine at first use: minutes."""

from __future__ import annotations

import logging
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import cpuinfo
import torch
from deepspeed.ops.lion import DeepSpeedCPULion
from deepspeed.ops.op_builder import CPULionBuilder

from lion_conformance.ports.backends import NotRunnable, only_cpu
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
    _compile()

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


def _compile() -> None:
    scripts = str(Path(sys.executable).parent)  # where pip puts ninja
    os.environ["PATH"] = os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)])
    try:
        CPULionBuilder().load(verbose=False)
    except Exception as error:  # whatever a compiler, or the lack of one, leads to
        first = " ".join(str(error).split())[:200]
        raise NotRunnable(f"DeepSpeed's kernel was not compiled: {first}") from error
