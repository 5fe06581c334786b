"""lion_torch, through optimizer.step()."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

import lion_torch
from lion_conformance.port import Port, Session
from lion_conformance.ports import NotRunnable
from lion_ref import CANONICAL, STORAGE_DTYPES, legal_triples

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = NDArray[Any]

DOORS: dict[str, dict[str, Any]] = {
    "optimizer.step()": {},
    "optimizer.step(), foreach": {"foreach": True},
    "optimizer.step(), fused": {"fused": True},
}


def ports(device: str) -> list[Port]:
    """One port for each path of the optimizer. A gradient has its parameter's dtype in torch."""
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise NotRunnable(f"torch has no device {device!r} here; legal: cpu")
    triples = tuple(triple for triple in legal_triples() if triple[0] == triple[2])
    return [
        Port(
            name="lion_torch",
            door=door,
            open=partial(TorchSession, options=options, device=device),
            declared=CANONICAL,
            triples=triples,
            device=device,
            unavailable=_trial(options, device),
        )
        for door, options in DOORS.items()
    ]


def _trial(options: dict[str, Any], device: str) -> str:
    """Why a path cannot be had on this machine: fused needs a C++ compiler, say."""
    param = torch.nn.Parameter(torch.zeros(1, device=device))
    param.grad = torch.zeros(1, device=device)
    try:
        lion_torch.Lion([param], **options).step()
    except RuntimeError as error:
        return " ".join(str(error).split())[:300]
    return ""


def to_torch(array: Array, device: str) -> torch.Tensor:
    """A tensor with the array's bits; torch cannot read NumPy's bfloat16 but as integers."""
    if array.dtype.name == "bfloat16":
        patterns = torch.from_numpy(array.reshape(-1).view(np.int16).reshape(array.shape).copy())
        return patterns.view(torch.bfloat16).to(device)
    return torch.from_numpy(np.array(array)).to(device)


def to_numpy(tensor: torch.Tensor) -> Array:
    """The tensor's bits as an array of its own, which no later step changes."""
    flat = tensor.detach().cpu()
    if flat.dtype == torch.bfloat16:
        return flat.view(torch.int16).numpy().view(STORAGE_DTYPES["bfloat16"]).copy()
    return np.array(flat.numpy())


class TorchSession(Session):
    """A training loop around lion_torch.Lion."""

    def __init__(
        self,
        params: Sequence[Array],
        momenta: Sequence[Array],
        *,
        beta1: float,
        beta2: float,
        options: dict[str, Any],
        device: str,
    ) -> None:
        self._device = device
        self._params = [torch.nn.Parameter(to_torch(x, device)) for x in params]
        exp_avgs = [to_torch(x, device) for x in momenta]
        self._optimizer = lion_torch.Lion(
            self._params,
            betas=(beta1, beta2),
            momentum_dtype=exp_avgs[0].dtype if exp_avgs else None,
            **options,
        )
        for param, exp_avg in zip(self._params, exp_avgs, strict=True):
            self._optimizer.state[param]["exp_avg"] = exp_avg

    def step(self, grads: Sequence[Array], *, lr: float, weight_decay: float) -> None:
        """Set the group's options as a scheduler would, then step."""
        for param, grad in zip(self._params, grads, strict=True):
            param.grad = to_torch(grad, self._device)
        for group in self._optimizer.param_groups:
            group["lr"], group["weight_decay"] = lr, weight_decay
        self._optimizer.step()

    def read(self) -> tuple[list[Array], list[Array]]:
        """Parameters and exp_avg."""
        state = self._optimizer.state
        return [to_numpy(p) for p in self._params], [
            to_numpy(state[p]["exp_avg"]) for p in self._params
        ]
