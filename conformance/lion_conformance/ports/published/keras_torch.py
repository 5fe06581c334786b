"""keras.optimizers.Lion on PyTorch, which steps lists of tensors in a way of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import torch

from lion_conformance.ports.backends import only_cpu
from lion_conformance.ports.protocol import UNIFORM, Betas, Port, Session
from lion_conformance.ports.published.through_keras import Trained, only_on
from lion_conformance.ports.torch import to_numpy, to_torch
from lion_ref.arithmetic import Array


def ports(device: str) -> list[Port]:
    """The one door; model.fit goes through it too."""
    only_cpu("keras-torch", device)
    only_on("torch")
    return [Port(name="keras-torch", door="apply_gradients", open=KerasSession, triples=UNIFORM)]


class KerasSession(Session):
    """A custom training loop around keras.optimizers.Lion."""

    def __init__(
        self, params: Sequence[Array], momenta: Sequence[Array], **betas: Unpack[Betas]
    ) -> None:
        given = [[to_torch(x, "cpu") for x in y] for y in (params, momenta)]
        self._trained = Trained(
            [*map(torch.zeros_like, given[0])], [x.dtype.name for x in params], **betas
        )
        self._trained.start(*given)

    def step(self, grads: Sequence[Array], *, lr: float, weight_decay: float) -> None:
        """Set η and λ as a callback would, then train."""
        self._trained.set(lr, weight_decay)
        given = [to_torch(x, "cpu") for x in grads]
        self._trained.optimizer.apply_gradients(zip(given, self._trained.variables, strict=True))

    def read(self) -> tuple[list[Array], list[Array]]:
        """Variables and momenta."""
        return [to_numpy(x.value) for x in self._trained.variables], [
            to_numpy(x.value) for x in self._trained.momenta
        ]
