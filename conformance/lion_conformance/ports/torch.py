"""lion_torch, through optimizer.step()."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR

import lion_cpu
import lion_torch
from lion_conformance.ports.backends import NotRunnable
from lion_conformance.ports.offers import Offer
from lion_conformance.ports.protocol import Port, Session
from lion_ref import STORAGE_DTYPES, legal_triples
from lion_ref.arithmetic import Array
from lion_ref.run_state import Group, Header, NameMap
from lion_ref.subnormals import SubnormalsChoice

DOORS: dict[str, dict[str, Any]] = {
    "optimizer.step()": {},
    "optimizer.step(), foreach": {"foreach": True},
    "optimizer.step(), foreach=False": {"foreach": False},
}


def ports(device: str, subnormals: SubnormalsChoice = "native") -> list[Port]:
    """One port for each path of the optimizer. A gradient has its parameter's dtype in torch."""
    chosen = {"subnormals": subnormals}
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise NotRunnable(f"torch has no device {device!r} here; legal: cpu")
    # The default's own: the other doors never take it.
    without = "no CPU kernel" if device == "cpu" and lion_cpu.missing() else ""
    triples = tuple(triple for triple in legal_triples() if triple[0] == triple[2])
    return [
        Port(
            name="lion_torch",
            door=door if options or not without else f"{door}, {without}",
            open=partial(open_session, options=options | chosen, device=device),
            restore=partial(restored, options=options | chosen, device=device),
            offers=OFFERS if device == "cpu" else frozenset(Offer),
            devices=(device,) if device == "cpu" else (device, "cpu"),
            declared=lion_torch.declared_semantics(subnormals),
            triples=triples,
            device=device,
        )
        for door, options in DOORS.items()
    ]


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


OFFERS = frozenset(Offer) - {Offer.DEVICE}


def open_session(
    params: Sequence[Array],
    momenta: Sequence[Array],
    *,
    beta1: float,
    beta2: float,
    options: dict[str, Any],
    device: str,
) -> TorchSession:
    """A training loop around a new lion_torch.Lion with these momenta."""
    parameters = [torch.nn.Parameter(to_torch(x, device)) for x in params]
    exp_avgs = [to_torch(x, device) for x in momenta]
    groups = [
        {
            "params": [p for p, x in zip(parameters, exp_avgs, strict=True) if x.dtype == dtype],
            "momentum_dtype": dtype,
        }
        for dtype in dict.fromkeys(x.dtype for x in exp_avgs)
    ]
    optimizer = lion_torch.Lion(groups, betas=(beta1, beta2), **options)
    for param, exp_avg in zip(parameters, exp_avgs, strict=True):
        optimizer.state[param]["exp_avg"] = exp_avg
    return TorchSession(parameters, optimizer, device)


def restored(saved: bytes, *, options: dict[str, Any], device: str) -> TorchSession:
    """A training loop that goes on from what torch.save wrote, as a program's would."""
    checkpoint = torch.load(io.BytesIO(saved), map_location=device, weights_only=True)
    parameters = [torch.nn.Parameter(x) for x in checkpoint["params"]]
    groups = [{"params": [parameters[i] for i in group]} for group in checkpoint["groups"]]
    session = TorchSession(parameters, lion_torch.Lion(groups, **options), device)
    if checkpoint["schedule"] is not None:
        session.schedule(*checkpoint["schedule"]["rates"])
        session.scheduler.load_state_dict(checkpoint["schedule"]["state"])
    session.optimizer.load_state_dict(checkpoint["optimizer"])
    for tensor in checkpoint["frozen"]:
        session.freeze(tensor)
    return session


class TorchSession(Session):
    """A training loop around lion_torch.Lion."""

    def __init__(
        self, params: list[torch.nn.Parameter], optimizer: lion_torch.Lion, device: str
    ) -> None:
        self._params, self.optimizer, self._device = params, optimizer, device
        self._rates: tuple[list[float], list[float]] | None = None
        self.scheduler: Any = None

    @property
    def _groups(self) -> list[dict[str, Any]]:
        """One for each dtype of momentum."""
        return self.optimizer.param_groups

    def _set(self, **options: Any) -> None:
        for group in self._groups:
            group.update(options)

    def step(self, grads: Sequence[Array | None], *, lr: float, weight_decay: float) -> None:
        """Set the groups' options as a callback would, then step."""
        self._rates = None
        self._set(lr=lr, weight_decay=weight_decay)
        self._step(grads)

    def _step(self, grads: Sequence[Array | None]) -> None:
        for param, grad in zip(self._params, grads, strict=True):
            param.grad = None if grad is None else to_torch(grad, self._device)
        self.optimizer.step()

    def schedule(self, lr: Sequence[float], weight_decay: Sequence[float]) -> None:
        """A scheduler of torch's for η, whose count serves λ too; torch has none for λ."""
        self._rates = rates = (list(lr), list(weight_decay))
        self._set(lr=1.0, initial_lr=1.0)  # the factors are η itself
        self.scheduler = LambdaLR(self.optimizer, lambda step: _at(rates[0], step))

    def step_as_scheduled(self, grads: Sequence[Array | None]) -> None:
        """Step, then advance the scheduler, as a training loop does."""
        if self._rates is None:
            raise RuntimeError("a step as scheduled, but no schedule")
        self._set(weight_decay=_at(self._rates[1], self.scheduler.last_epoch))
        self._step(grads)
        self.scheduler.step()

    def freeze(self, tensor: int) -> None:
        """As for fine-tuning: autograd then leaves no gradient."""
        self._params[tensor].requires_grad_(False)

    def thaw(self, tensor: int) -> None:
        """The opposite."""
        self._params[tensor].requires_grad_(True)

    def save(self) -> bytes:
        """torch.save of what a checkpoint of a training program holds."""
        file = io.BytesIO()
        rates = self._rates
        checkpoint = {
            "params": [x.detach() for x in self._params],
            "optimizer": self.optimizer.state_dict(),
            "groups": [self._places(group) for group in self._groups],
            "schedule": rates and {"rates": rates, "state": self.scheduler.state_dict()},
            "frozen": [i for i, x in enumerate(self._params) if not x.requires_grad],
        }
        torch.save(checkpoint, file)
        return file.getvalue()

    def _places(self, group: dict[str, Any]) -> list[int]:
        """Which of the session's tensors a group has, in its order."""
        members = {id(x) for x in group["params"]}
        return [i for i, x in enumerate(self._params) if id(x) in members]

    def split(self, tensor: int, at: int) -> None:
        """Two parameters in the place of one, each with memory of its own."""
        old = self._params[tensor]
        exp_avg = self.optimizer.state.pop(old)["exp_avg"]
        self._replace(tensor, 1, [(old[:at], exp_avg[:at]), (old[at:], exp_avg[at:])])

    def merge(self, tensor: int) -> None:
        """One parameter in the place of two."""
        old = self._params[tensor : tensor + 2]
        exp_avgs = [self.optimizer.state.pop(x)["exp_avg"] for x in old]
        self._replace(tensor, 2, [(torch.cat([*old]), torch.cat(exp_avgs))])

    def _replace(
        self, tensor: int, count: int, parts: list[tuple[torch.Tensor, torch.Tensor]]
    ) -> None:
        new = [torch.nn.Parameter(param.detach().clone()) for param, _ in parts]
        old = self._params[tensor]
        for group in self._groups:
            at = next((i for i, x in enumerate(group["params"]) if x is old), None)
            if at is not None:
                group["params"][at : at + count] = new
        self._params[tensor : tensor + count] = new
        for param, (_, exp_avg) in zip(new, parts, strict=True):
            self.optimizer.state[param]["exp_avg"] = exp_avg.clone()

    def momentum_dtype(self, dtype: str) -> None:
        """Another option for the groups, which loading a state dict then applies to the state."""
        self._set(momentum_dtype=getattr(torch, dtype))
        self.optimizer.load_state_dict(self.optimizer.state_dict())

    def move(self, device: str) -> None:
        """Parameters and momenta, in place."""
        self._device = device
        for param in self._params:
            param.data = param.data.to(device)
            entry = self.optimizer.state[param]
            entry["exp_avg"] = entry["exp_avg"].to(device)

    def names(self) -> list[str]:
        """As `named_parameters` of a list of them has them."""
        return [f"tensors.{i}" for i in range(len(self._params))]

    def export_state(self, path: Path, *, step: int, group: Group | None = None) -> None:
        """The optimizer's state, with the numbers that a program has set for the next step."""
        schedules: dict[str, Any] = {}
        if group is not None:
            self._set(lr=group.lr, weight_decay=group.weight_decay)
            schedules["lr_schedule"] = group.lr_schedule
            schedules["weight_decay_schedule"] = group.weight_decay_schedule
        lion_torch.export_state(self.optimizer, path, model=self._named(), step=step, **schedules)

    def import_state(self, path: Path, *, mapping: NameMap) -> Header:
        """In place."""
        return lion_torch.import_state(self.optimizer, path, model=self._named(), mapping=mapping)

    def _named(self) -> list[tuple[str, torch.Tensor]]:
        return list(zip(self.names(), self._params, strict=True))

    def read(self) -> tuple[list[Array], list[Array]]:
        """Parameters and exp_avg."""
        state = self.optimizer.state
        return [to_numpy(p) for p in self._params], [
            to_numpy(state[p]["exp_avg"]) for p in self._params
        ]


def _at(rates: Sequence[float], step: int) -> float:
    return rates[min(step, len(rates) - 1)]
