"""The hand-over of a session whose state is two lists of NumPy's arrays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from lion_ref import run_state
from lion_ref.run_state import Group, Header, Here, NameMap


class HandsOver:
    """Takes a run to a file and from it, under names of its own."""

    params: list[Any]
    momenta: list[Any]
    betas: dict[str, float]
    imported: Group = Group(lr=0.0)

    def names(self) -> list[str]:
        return [f"rich/{i}" for i in range(len(self.params))]

    def export_state(self, path: Path, *, step: int, group: Group | None = None) -> None:
        tensors = zip(self.params, self.momenta, strict=True)
        run_state.save(
            path,
            dict(zip(self.names(), tensors, strict=True)),
            step=step,
            groups=group or self.imported,
        )

    def import_state(self, path: Path, *, mapping: NameMap) -> Header:
        state = run_state.load(path)
        tensors = zip(self.names(), self.params, self.momenta, strict=True)
        here = {name: Here(x.shape, x.dtype.name, m.dtype.name) for name, x, m in tensors}
        found = run_state.matched(state, here, mapping)
        taken = [found[name].of(state) for name in here]
        self.params = [x.param.copy() for x in taken]
        self.momenta = [x.momentum.copy() for x in taken]
        self.imported = replace(state.header.groups[0], names=None)
        self.betas = {"beta1": self.imported.beta1, "beta2": self.imported.beta2}
        return state.header
