"""Lists of tensors: long ones, and those of one shape, whose tensors a port may stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import lion_ref
from lion_conformance import Offer, Port
from tests.lion_conformance.mutants.catalogue import mutant
from tests.lion_conformance.runs import rich


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


def _in_place_of(mine: Sequence[Any], other: int, own: int) -> int:
    """The other tensor, where it could be taken for one's own."""
    alike = mine[other].shape == mine[own].shape and mine[other].dtype == mine[own].dtype
    return other if alike else own


@mutant(makes=True)
def gradients_are_counted_without_the_missing() -> Port:
    """The k-th gradient that there is belongs to the k-th tensor, where their shapes agree."""

    class Counted(rich.Rich):
        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            shifted: list[Any] = [None] * len(grads)
            there = [i for i, x in enumerate(grads) if x is not None]
            for k, i in enumerate(there):
                shifted[_in_place_of(self.params, k, i)] = grads[i]
            super().step(shifted, lr=lr, weight_decay=weight_decay)

    return rich.offering(Counted, Offer.NO_GRADIENT)


@mutant(makes=True)
def momenta_are_counted_without_the_missing() -> Port:
    """The k-th tensor that has a gradient takes the k-th momentum, where their shapes agree."""

    class Counted(rich.Rich):
        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            scalars: Any = {"lr": lr, "weight_decay": weight_decay, **self.betas}
            there = [i for i, x in enumerate(grads) if x is not None]
            for k, i in enumerate(there):
                j = _in_place_of(self.momenta, k, i)
                self.params[i], self.momenta[j] = lion_ref.step(
                    self.params[i], self.momenta[j], grads[i], **scalars
                )

    return rich.offering(Counted, Offer.NO_GRADIENT)


@mutant(makes=True)
def eighteen_bits_for_a_list() -> Port:
    """Of a list that has more elements than 18 bits count, the tensors behind are left out."""

    class Short(rich.Rich):
        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            ends = np.cumsum([x.size for x in grads])
            within = [x if end <= 2**18 else None for x, end in zip(grads, ends, strict=True)]
            super().step([*grads[:1], *within[1:]], lr=lr, weight_decay=weight_decay)

    return rich.offering(Short)


@mutant(makes=True)
def large_ones_decay_without_a_gradient() -> Port:
    """A tensor of a thousand elements without a gradient decays all the same."""

    class Decays(rich.Rich):
        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            super().step(grads, lr=lr, weight_decay=weight_decay)
            for i, grad in enumerate(grads):
                if grad is None and self.params[i].size >= 1000:
                    factor = self.params[i].dtype.type(1 - lr * weight_decay)
                    self.params[i] = self.params[i] * factor

    return rich.offering(Decays, Offer.NO_GRADIENT)
