"""adv_optm: the Lion in Lion_adv, without what makes another algorithm of it.

By default it rounds a bfloat16 θ by chance, which is out of scope (SPEC C29). Its factored momenta,
its Lp norms, its cautious and its centred decay are other algorithms, and off unless asked for.
"""

from __future__ import annotations

import adv_optm

from lion_conformance.ports.protocol import Port
from lion_conformance.ports.published.through_torch import torch_port


def ports(device: str) -> list[Port]:
    """The loop over parameters, rounded to nearest."""
    door = "step(), stochastic_rounding=False"
    return [torch_port("adv_optm", door, device, adv_optm.Lion_adv, stochastic_rounding=False)]
