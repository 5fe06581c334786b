"""What the families of torch share: a session around an optimizer, and a port of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch

from lion_conformance.ports.protocol import Port, Session, Triple
from lion_conformance.ports.torch import to_numpy, to_torch
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array

LR = 1e-4
"""Only to make the optimizer with, as some refuse 0; every step sets its own."""


def alike(dtypes: Iterable[str] = tuple(STORAGE_DTYPES)) -> tuple[Triple, ...]:
    """θ, m and g of one dtype: what `torch.zeros_like` makes of a parameter."""
    return tuple((dtype, dtype, dtype) for dtype in dtypes)


def torch_port(
    name: str,
    door: str,
    device: str,
    lion: Callable[..., torch.optim.Optimizer],
    *,
    triples: tuple[Triple, ...] = alike(),
    key: str = "exp_avg",
    rest: Callable[[torch.nn.Parameter], dict[str, Any]] = lambda _: {},
    **options: Any,
) -> Port:
    """An optimizer's `step()`; key, rest: see `OptimizerSession`; options for its constructor."""
    return Port(
        name=name,
        door=door,
        open=partial(
            OptimizerSession,
            lion=partial(lion, lr=LR, **options),
            device=device,
            key=key,
            rest=rest,
        ),
        triples=triples,
        device=device,
    )


class OptimizerSession(Session):
    """A training loop around an optimizer, which begins with the given momenta in its state.

    lion: makes the optimizer from parameters and betas.
    key: where a parameter's state holds the momentum; rest: what else it holds from the start.
    """

    def __init__(
        self,
        params: Sequence[Array],
        momenta: Sequence[Array],
        *,
        beta1: float,
        beta2: float,
        lion: Callable[..., torch.optim.Optimizer],
        device: str,
        key: str,
        rest: Callable[[torch.nn.Parameter], dict[str, Any]],
    ) -> None:
        self._device, self._key = device, key
        self._params = [torch.nn.Parameter(to_torch(x, device)) for x in params]
        self._optimizer = lion(self._params, betas=(beta1, beta2))
        for param, momentum in zip(self._params, momenta, strict=True):
            self._optimizer.state[param].update({**rest(param), key: to_torch(momentum, device)})

    def step(self, grads: Sequence[Array], *, lr: float, weight_decay: float) -> None:
        """Set the group's options as a scheduler would, then step."""
        for param, grad in zip(self._params, grads, strict=True):
            param.grad = to_torch(grad, self._device)
        for group in self._optimizer.param_groups:
            group["lr"], group["weight_decay"] = lr, weight_decay
        self._optimizer.step()

    def read(self) -> tuple[list[Array], list[Array]]:
        """Parameters and momenta."""
        state = self._optimizer.state
        return [to_numpy(p) for p in self._params], [
            to_numpy(state[p][self._key]) for p in self._params
        ]
