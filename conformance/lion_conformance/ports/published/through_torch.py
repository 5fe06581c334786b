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
    prepare: Callable[[dict[str, Any]], None] = lambda _: None,
    **options: Any,
) -> Port:
    """An optimizer's `step()`; `options` are for its constructor.

    key, rest, prepare: see `OptimizerSession`.
    """
    return Port(
        name=name,
        door=door,
        open=partial(
            OptimizerSession,
            lion=partial(lion, lr=LR, **options),
            device=device,
            key=key,
            rest=rest,
            prepare=prepare,
        ),
        triples=triples,
        device=device,
    )


class OptimizerSession(Session):
    """A training loop around an optimizer, which begins with the given momenta in its state.

    lion: makes the optimizer from parameters and betas.
    key: where a parameter's state holds the momentum; rest: what else it holds from the start.
    prepare: changes a parameter group before each step, once η and λ are set.
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
        key: str = "exp_avg",
        rest: Callable[[torch.nn.Parameter], dict[str, Any]] = lambda _: {},
        prepare: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        self._device, self._key, self._prepare = device, key, prepare
        self._params = [torch.nn.Parameter(to_torch(x, device)) for x in params]
        self._optimizer = lion(self._params, betas=(beta1, beta2))
        self._begin([to_torch(x, device) for x in momenta], rest)

    def _begin(
        self,
        momenta: list[torch.Tensor],
        rest: Callable[[torch.nn.Parameter], dict[str, Any]],
    ) -> None:
        for param, momentum in zip(self._params, momenta, strict=True):
            self._optimizer.state[param].update({**rest(param), self._key: momentum})

    def step(self, grads: Sequence[Array], *, lr: float, weight_decay: float) -> None:
        """Set the group's options as a scheduler would, then step."""
        for param, grad in zip(self._params, grads, strict=True):
            param.grad = to_torch(grad, self._device)
        for group in self._optimizer.param_groups:
            group["lr"], group["weight_decay"] = lr, weight_decay
            self._prepare(group)
        self._optimizer.step()

    def read(self) -> tuple[list[Array], list[Array]]:
        """Parameters and momenta."""
        return [to_numpy(p) for p in self._params], [to_numpy(m) for m in self._momenta()]

    def _momenta(self) -> list[torch.Tensor]:
        return [self._optimizer.state[p][self._key] for p in self._params]


class SavedState(OptimizerSession):
    """For optimizers whose momenta are objects of their own: tensors only once they are saved."""

    def _begin(
        self,
        momenta: list[torch.Tensor],
        rest: Callable[[torch.nn.Parameter], dict[str, Any]],
    ) -> None:
        saved = self._optimizer.state_dict()
        saved["state"] = {
            i: {**rest(param), self._key: momentum}
            for i, (param, momentum) in enumerate(zip(self._params, momenta, strict=True))
        }
        self._optimizer.load_state_dict(saved)

    def _momenta(self) -> list[torch.Tensor]:
        state = self._optimizer.state_dict()["state"]
        return [state[i][self._key] for i in range(len(self._params))]
