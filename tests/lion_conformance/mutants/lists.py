"""Lists of tensors: long ones, and those of one shape, whose tensors a port may stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tests.lion_conformance import rich
from tests.lion_conformance.mutants.catalogue import mutant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lion_conformance import Port


@mutant(makes=True)
def as_many_as_one_launch_takes() -> Port:
    """Of a list of tensors the first 110 are updated, as a launch has place for."""

    class Launched(rich.Rich):
        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            given = [x if i < 110 else None for i, x in enumerate(grads)]
            super().step(given, lr=lr, weight_decay=weight_decay)

    return rich.offering(Launched)


@mutant(makes=True)
def stacked_where_all_are_alike() -> Port:
    """Where all tensors of a list have one shape they are stacked, and four of them updated."""

    class Stacked(rich.Rich):
        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            alike = len({x.shape for x in self.params}) == 1
            given = [x if i < 4 or not alike else None for i, x in enumerate(grads)]
            super().step(given, lr=lr, weight_decay=weight_decay)

    return rich.offering(Stacked)


@mutant(makes=True)
def scalars_broadcast() -> Port:
    """In a list of scalars alone all have the gradient of the first."""

    class Broadcast(rich.Rich):
        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            if len(grads) > 1 and all(x is not None and x.ndim == 0 for x in grads):
                grads = [grads[0]] * len(grads)
            super().step(grads, lr=lr, weight_decay=weight_decay)

    return rich.offering(Broadcast)


@mutant(makes=True)
def nothing_to_gather() -> Port:
    """A list of empty tensors alone is gathered into one buffer that is then not there."""

    class Gathered(rich.Rich):
        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            if len(grads) > 1 and not sum(x.size for x in self.params):
                np.concatenate([])
            super().step(grads, lr=lr, weight_decay=weight_decay)

    return rich.offering(Gathered)
