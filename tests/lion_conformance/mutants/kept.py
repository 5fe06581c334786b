"""What is kept beside θ and m: more bits, old arrays, one dtype for all, counts of freezings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import lion_ref
from lion_conformance import Offer, Port
from lion_ref.arithmetic import round_to
from tests.lion_conformance.mutants.catalogue import mutant
from tests.lion_conformance.runs import rich


@mutant(makes=True, dtype="bfloat16")
def momentum_kept_wider() -> Port:
    """A bfloat16 m is kept in float32 from step to step, and shown rounded."""

    class Wide(rich.Rich):
        wide: Any = None

        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            shown = self.momenta
            self.momenta = self.wide or [x.astype(np.float32) for x in shown]
            super().step(grads, lr=lr, weight_decay=weight_decay)
            self.wide = self.momenta
            narrow = zip(self.wide, shown, strict=True)
            self.momenta = [round_to(wide, x.dtype) for wide, x in narrow]

    return rich.offering(Wide, triples=(("bfloat16",) * 3,))


@mutant(makes=True)
def what_rounding_lost_is_added() -> Port:
    """What rounding m' lost is added in the next step, as Kahan's summation does."""

    class Compensated(rich.Rich):
        lost: Any = None

        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            before = self.momenta
            super().step(grads, lr=lr, weight_decay=weight_decay)
            if self.lost is not None:
                pairs = zip(self.momenta, self.lost, strict=True)
                with np.errstate(all="ignore"):
                    self.momenta = [m + x for m, x in pairs]
            beta2 = self.betas["beta2"]
            with np.errstate(all="ignore"):
                exact = [
                    beta2 * np.float64(m) + (1 - beta2) * np.float64(g)
                    for m, g in zip(before, grads, strict=True)
                ]
                pairs = zip(exact, self.momenta, strict=True)
                self.lost = [np.nan_to_num(np.float32(x - m)) for x, m in pairs]

    return rich.offering(Compensated)


def shown_in_turn(count: int) -> Port:
    """A port whose read() fills so many sets of arrays in turn."""

    class InTurn(rich.Rich):
        def __init__(self, params: Sequence[Any], momenta: Sequence[Any], **betas: float) -> None:
            super().__init__(params, momenta, **betas)
            self.buffers = [self._copies() for _ in range(count)]

        def _copies(self) -> Any:
            return [x.copy() for x in self.params], [x.copy() for x in self.momenta]

        def read(self) -> Any:
            self.buffers.append(self.buffers.pop(0))
            for shown, now in zip(self.buffers[0], (self.params, self.momenta), strict=True):
                for array, numbers in zip(shown, now, strict=True):
                    array[...] = numbers
            return self.buffers[0]

    return rich.offering(InTurn)


@mutant(makes=True)
def shown_in_two_buffers() -> Port:
    """read() fills two sets of arrays in turn: what it showed the time before last changes."""
    return shown_in_turn(2)


@mutant(makes=True)
def shown_in_a_hundred_buffers() -> Port:
    """read() fills a hundred sets of arrays in turn: what it showed long before changes."""
    return shown_in_turn(100)


@mutant(makes=True)
def dtype_of_the_first_tensor() -> Port:
    """Reads all gradients of a session in the dtype of the first."""

    class First(rich.Rich):
        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            cast = [round_to(x, grads[0].dtype).astype(x.dtype) for x in grads]
            super().step(cast, lr=lr, weight_decay=weight_decay)

    triples = (("bfloat16",) * 3, ("float32",) * 3)
    return rich.offering(First, Offer.SEVERAL_DTYPES, triples=triples)


@mutant(makes=True, accepted=True)
def mixed_tensors_in_the_widest() -> Port:
    """Gathers tensors of several dtypes in one buffer of the widest, gradients too."""

    class Gathered(rich.Rich):
        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            own = [(p.dtype, m.dtype) for p, m in zip(self.params, self.momenta, strict=True)]
            widest = np.result_type(*(x for pair in own for x in pair))
            if len({x for pair in own for x in pair}) > 1:
                self.params = [x.astype(widest) for x in self.params]
                self.momenta = [x.astype(widest) for x in self.momenta]
                grads = [None if x is None else x.astype(widest) for x in grads]
            super().step(grads, lr=lr, weight_decay=weight_decay)
            of_param, of_momentum = zip(*own, strict=True)
            self.params = [round_to(x, d) for x, d in zip(self.params, of_param, strict=True)]
            self.momenta = [round_to(x, d) for x, d in zip(self.momenta, of_momentum, strict=True)]

    triples = (("float32",) * 3, ("float64",) * 3)
    return rich.offering(Gathered, Offer.SEVERAL_DTYPES, triples=triples)


@mutant(makes=True)
def frozen_keep_the_old_dtype() -> Port:
    """A momentum that is frozen when all are given another dtype is recast twice when thawed."""

    class Skips(rich.Rich):
        def momentum_dtype(self, dtype: str) -> None:
            before = self.momenta
            super().momentum_dtype(dtype)
            with np.errstate(all="ignore"):
                for i in self.frozen:
                    twice = before[i].astype(np.float16).astype(self.momenta[i].dtype)
                    self.momenta[i] = twice

    return rich.offering(Skips, Offer.FREEZE, Offer.MOMENTUM_DTYPE)


@mutant(makes=True)
def frozen_before_the_first_step() -> Port:
    """Makes a momentum of zeros at the first step for what takes no part in it."""

    class Lazy(rich.Rich):
        begun = False

        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            if not self.begun:
                for i in self.frozen:
                    self.momenta[i] = np.zeros_like(self.momenta[i])
            self.begun = True
            super().step(grads, lr=lr, weight_decay=weight_decay)

    return rich.offering(Lazy, Offer.FREEZE)


@mutant(makes=True)
def freezings_counted() -> Port:
    """A tensor that was frozen twice is thawed by the second thawing alone."""

    class Counts(rich.Rich):
        def __init__(self, params: Sequence[Any], momenta: Sequence[Any], **betas: float) -> None:
            super().__init__(params, momenta, **betas)
            self.times: dict[int, int] = {}

        def freeze(self, tensor: int) -> None:
            self.times[tensor] = self.times.get(tensor, 0) + 1

        def thaw(self, tensor: int) -> None:
            self.times[tensor] -= 1

        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            given = [None if self.times.get(i) else x for i, x in enumerate(grads)]
            super().step(given, lr=lr, weight_decay=weight_decay)

    return rich.offering(Counts, Offer.FREEZE)


class ResultsInTurn:
    """Fills two pairs of result arrays of each shape in turn."""

    def __init__(self) -> None:
        self.pairs: dict[Any, list[Any]] = {}

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        results = lion_ref.step(param, momentum, grad, **scalars)
        key = (param.shape, param.dtype, momentum.dtype)
        pairs = self.pairs.setdefault(key, [tuple(x.copy() for x in results) for _ in range(2)])
        pairs.reverse()
        for array, numbers in zip(pairs[0], results, strict=True):
            array[...] = numbers
        return pairs[0]


mutant()(ResultsInTurn)
