"""Ports that lose something where a run is handed over, and one that does not, as a backend."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ml_dtypes import finfo

import lion_ref
from lion_conformance import Offer, Port
from lion_conformance.ports.backends import Backend
from lion_conformance.ports.state import recast
from lion_ref import run_state
from lion_ref.run_state import Group, Header, NameMap
from tests.lion_conformance.runs import rich

DTYPES = ("float32", "bfloat16")
TRIPLES = tuple(x for x in lion_ref.legal_triples() if x[0] in DTYPES and x[0] == x[2])


def offering(session: type[rich.Rich]) -> Port:
    return rich.offering(session, Offer.HAND_OVER, Offer.NO_GRADIENT, triples=TRIPLES)


WANTED = "HANDED_BY"
"""The variable that names the session of `backend`, in the process of its own."""


def ports(device: str) -> list[Port]:
    sessions: list[type[rich.Rich]] = [rich.Rich, *WRONG, Dies]
    return [offering(x) for x in sessions if x.__name__ == os.environ[WANTED]]


def backend(session: type[rich.Rich]) -> Backend:
    """A backend whose only port has this session."""
    name = session.__name__
    return Backend(name, __name__, (), "nothing", environment=((WANTED, name),))


class Exports(rich.Rich):
    """Writes something else than it has."""

    def altered(self, params: list[Any], momenta: list[Any]) -> tuple[list[Any], list[Any]]:
        return params, momenta

    def export_state(self, path: Path, *, step: int, group: Group | None = None) -> None:
        kept = self.params, self.momenta
        self.params, self.momenta = self.altered(*kept)
        super().export_state(path, step=step, group=group)
        self.params, self.momenta = kept


class Imports(rich.Rich):
    """Takes over something else than there is."""

    def altered(self, params: list[Any], momenta: list[Any]) -> tuple[list[Any], list[Any]]:
        return params, momenta

    def import_state(self, path: Path, *, mapping: NameMap) -> Header:
        header = super().import_state(path, mapping=mapping)
        self.params, self.momenta = self.altered(self.params, self.momenta)
        return header


class RoundsMomentum(Exports):
    """To θ's dtype and back, as an optimizer has it whose state is of its parameters' dtype."""

    def altered(self, params: list[Any], momenta: list[Any]) -> tuple[list[Any], list[Any]]:
        rounded = [
            recast(recast(m, x.dtype.name), m.dtype.name)
            for x, m in zip(params, momenta, strict=True)
        ]
        return params, rounded


class ForgetsMomentum(Exports):
    """The parameters alone, as a checkpoint of the model has them."""

    def altered(self, params: list[Any], momenta: list[Any]) -> tuple[list[Any], list[Any]]:
        return params, [np.zeros_like(x) for x in momenta]


class FlushesSubnormals(Exports):
    def altered(self, params: list[Any], momenta: list[Any]) -> tuple[list[Any], list[Any]]:
        return params, [_flushed(x) for x in momenta]


def _flushed(array: Any) -> Any:
    small = np.abs(array) < finfo(array.dtype).smallest_normal  # type: ignore[no-untyped-call]
    return np.where(small, np.copysign(np.zeros_like(array), array), array)


class LosesTheSignOfZero(Exports):
    def altered(self, params: list[Any], momenta: list[Any]) -> tuple[list[Any], list[Any]]:
        return params, [x + np.zeros_like(x) for x in momenta]


class Transposes(Imports):
    """A square of the file as it lies, and the file has the other axes."""

    def import_state(self, path: Path, *, mapping: NameMap) -> Header:
        header = super().import_state(path, mapping=mapping)
        stored = run_state.load(path).tensors
        for i, name in enumerate(stored):
            if self.params[i].ndim == 2:
                self.params[i] = np.reshape(stored[name].param, self.params[i].shape).copy()
        return header


class SwapsTensors(Imports):
    """Two of one shape, as an import by order does."""

    def altered(self, params: list[Any], momenta: list[Any]) -> tuple[list[Any], list[Any]]:
        shapes = [x.shape for x in params]
        i = next(i for i, x in enumerate(shapes) if x in shapes[i + 1 :])
        j = shapes.index(shapes[i], i + 1)
        params[i], params[j] = params[j], params[i]
        return params, momenta


class KeepsTheOldMomentum(Imports):
    """The parameters alone are taken over."""

    def import_state(self, path: Path, *, mapping: NameMap) -> Header:
        kept = list(self.momenta)
        header = super().import_state(path, mapping=mapping)
        self.momenta = kept
        return header


class KeepsTheOldMomentumInside(Imports):
    """Shows the momenta that it took over, and steps with those that it had."""

    old: Any = None

    def import_state(self, path: Path, *, mapping: NameMap) -> Header:
        self.old = list(self.momenta)
        return super().import_state(path, mapping=mapping)

    def step(self, grads: Any, **scalars: float) -> None:
        if self.old is not None:
            self.momenta, self.old = self.old, None
        super().step(grads, **scalars)


class KeepsItsBetas(Imports):
    def import_state(self, path: Path, *, mapping: NameMap) -> Header:
        kept = self.betas
        header = super().import_state(path, mapping=mapping)
        self.betas = kept
        return header


class ExportsNoStep(rich.Rich):
    """The count begins anew with every file, and the schedule with it."""

    def export_state(self, path: Path, *, step: int, group: Group | None = None) -> None:
        super().export_state(path, step=0, group=group)


class ImportsNoStep(rich.Rich):
    """Counts for itself, from the import on."""

    def import_state(self, path: Path, *, mapping: NameMap) -> Header:
        return replace(super().import_state(path, mapping=mapping), step=0)


class ImportsNoRate(rich.Rich):
    """Is set before each step, so that no step tells."""

    def export_state(self, path: Path, *, step: int, group: Group | None = None) -> None:
        super().export_state(path, step=step, group=group or Group(lr=0.5))


class ExportsTheRateOfTheLastStep(rich.Rich):
    def export_state(self, path: Path, *, step: int, group: Group | None = None) -> None:
        if group is not None and group.lr_schedule is not None:
            group = replace(group, lr=group.lr_schedule(step - 1))
        super().export_state(path, step=step, group=group)


class ExportsAnotherSchedule(rich.Rich):
    """One without its warm-up."""

    def export_state(self, path: Path, *, step: int, group: Group | None = None) -> None:
        if group is not None and group.lr_schedule is not None:
            group = replace(group, lr_schedule=replace(group.lr_schedule, warmup=0))
        super().export_state(path, step=step, group=group)


class ExportsNoSchedule(rich.Rich):
    def export_state(self, path: Path, *, step: int, group: Group | None = None) -> None:
        if group is not None:
            group = replace(group, weight_decay_schedule=None)
        super().export_state(path, step=step, group=group)


class WritesNoFile(rich.Rich):
    def export_state(self, path: Path, *, step: int, group: Group | None = None) -> None:
        path.write_bytes(b"PK")


class Dies(rich.Rich):
    """Takes its process with it, as a library that aborts does."""

    def export_state(self, path: Path, *, step: int, group: Group | None = None) -> None:
        os._exit(3)


class ReturnsNothing(rich.Rich):
    def import_state(self, path: Path, *, mapping: NameMap) -> Header:
        super().import_state(path, mapping=mapping)
        return None  # type: ignore[return-value]


WRONG: dict[type[rich.Rich], str] = {
    RoundsMomentum: "export: m of the",
    ForgetsMomentum: "export: m of the weight of 64 × 8 at",
    FlushesSubnormals: "export: m of the special values",
    LosesTheSignOfZero: "is 0x0000 (0.0) instead of 0x8000 (-0.0)",
    Transposes: "import: θ of the weight of 64 × 8 at [0, 1] is",
    SwapsTensors: "import: θ of the bias of 8 at [0] is",
    KeepsTheOldMomentum: "import: m of the weight of 64 × 8 at [0, 0] is",
    KeepsTheOldMomentumInside: "the step after an import: θ of the",
    KeepsItsBetas: "the step after an import: θ of the",
    ExportsNoStep: "export: the file has 0 steps instead of 2",
    ImportsNoRate: "import, exported again: the file has lr=0.5 instead of ",
    ImportsNoStep: "import, its header: the file has 0 steps instead of 4",
    ExportsTheRateOfTheLastStep: "export: the file has lr=0.01",
    ExportsAnotherSchedule: "export: the file has lr_schedule=Schedule(name='cosine',",
    ExportsNoSchedule: "export: the file has weight_decay_schedule=None instead of Schedule(",
    WritesNoFile: "export: lion_ref refuses the file:",
    ReturnsNothing: "import_state returned NoneType; legal: the file's Header",
}
"""Each wrong port, and what is said of it."""
