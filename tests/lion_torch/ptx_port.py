"""lion_torch on its Triton kernel as a port that needs no GPU: the PTX that Triton makes is run.

lion-conformance exhaustive tests.lion_torch.ptx_port:sm_80 --dtype bfloat16
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Unpack
from unittest.mock import patch

from lion_conformance.ports.protocol import Betas, Port
from lion_conformance.ports.torch import TorchSession, open_session
from lion_ref import CANONICAL
from lion_ref.arithmetic import Array
from lion_torch.kernel import triton_launch
from tests.lion_torch.ptx_launch import Launcher
from tests.lion_torch.triton_ahead import TRIPLES


class PtxSession:
    """A training loop whose launches are run on the CPU."""

    def __init__(self, session: TorchSession, target: str) -> None:
        self._session, self._launcher = session, Launcher(target)

    def step(self, grads: Sequence[Array], *, lr: float, weight_decay: float) -> None:
        """As on a GPU, but for the GPU."""
        with (
            patch("lion_torch.optimizer.choose", lambda _: triton_launch.update),
            patch.object(triton_launch, "lion_kernel", self._launcher),
        ):
            self._session.step(grads, lr=lr, weight_decay=weight_decay)
        if not self._launcher.launches:
            raise RuntimeError("the kernel was not launched")

    def read(self) -> tuple[list[Array], list[Array]]:
        """Parameters and exp_avg."""
        return self._session.read()


def _open(*state: Any, target: str, **betas: Unpack[Betas]) -> PtxSession:
    return PtxSession(open_session(*state, **betas, options={}, device="cpu"), target)


def _port(target: str) -> Port:
    return Port(
        "lion_torch",
        partial(_open, target=target),
        "optimizer.step(), Triton's PTX",
        declared=CANONICAL,
        triples=(*TRIPLES, ("float16", "float16", "float16")),
        device=target,
    )


sm_80, sm_90 = _port("sm_80"), _port("sm_90")
