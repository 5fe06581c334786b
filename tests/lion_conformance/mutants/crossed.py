"""Where two events meet, and what only a long list, a late restoring or a near scalar shows."""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

import lion_ref
from lion_conformance import Offer, Port
from tests.lion_conformance.mutants.catalogue import mutant
from tests.lion_conformance.runs import rich


@mutant(makes=True)
def names_sorted_as_text() -> Port:
    """A checkpoint lists p0, p1, p10, p2: from ten tensors on they come back in another order."""

    class Sorted(rich.Rich):
        def save(self) -> bytes:
            order = sorted(range(len(self.params)), key=str)
            lists = {
                name: [getattr(self, name)[i] for i in order] for name in ("params", "momenta")
            }
            return pickle.dumps(vars(self) | lists)

    return rich.offering(Sorted, Offer.RESTORE)


@mutant(makes=True)
def betas_of_the_module_when_restored() -> Port:
    """The betas are not saved: a restored session takes those of the session opened last."""

    class OfModule(rich.Rich):
        last: ClassVar[dict[str, float]] = {"beta1": 0.9, "beta2": 0.99}

        def __init__(self, params: Sequence[Any], momenta: Sequence[Any], **betas: float) -> None:
            super().__init__(params, momenta, **betas)
            self.last.update(betas)

        @classmethod
        def restored(cls, saved: bytes) -> rich.Rich:
            session = super().restored(saved)
            session.betas = dict(cls.last)
            return session

    return rich.offering(OfModule, Offer.RESTORE)


@mutant(makes=True)
def as_many_as_were_opened() -> Port:
    """Saves the momenta of as many tensors as there were at the beginning."""

    class Opened(rich.Rich):
        def __init__(self, params: Sequence[Any], momenta: Sequence[Any], **betas: float) -> None:
            super().__init__(params, momenta, **betas)
            self.count = len(self.params)

        def save(self) -> bytes:
            beyond = [np.zeros_like(x) for x in self.momenta[self.count :]]
            return pickle.dumps(vars(self) | {"momenta": self.momenta[: self.count] + beyond})

    return rich.offering(Opened, Offer.RESTORE, Offer.SPLIT)


@mutant(makes=True)
def merging_undoes_the_last_split() -> Port:
    """Two tensors are joined where the last split was, wherever they are said to be."""

    class Undoes(rich.Rich):
        cuts: tuple[int, ...] = ()

        def split(self, tensor: int, at: int) -> None:
            super().split(tensor, at)
            self.cuts = (*self.cuts, tensor)

        def merge(self, tensor: int) -> None:
            where, self.cuts = self.cuts[-1], self.cuts[:-1]
            before = [self.params[where], self.momenta[where]]
            super().merge(tensor)
            if where != tensor:
                self.momenta[tensor][: len(before[1])] = before[1][: len(self.momenta[tensor])]

    return rich.offering(Undoes, Offer.SPLIT)


@mutant(makes=True)
def schedule_waits_for_a_gradient() -> Port:
    """A step without any gradient returns at once, and is not counted by the schedule."""

    class Waits(rich.Rich):
        def step_as_scheduled(self, grads: Sequence[Any]) -> None:
            if any(x is not None for x in grads):
                super().step_as_scheduled(grads)

    return rich.offering(Waits, Offer.SCHEDULE, Offer.NO_GRADIENT)


@mutant(makes=True)
def schedule_starts_over_when_thawed() -> Port:
    """A tensor that is thawed makes the optimizer anew, and with it the count of steps."""

    class StartsOver(rich.Rich):
        def thaw(self, tensor: int) -> None:
            super().thaw(tensor)
            self.done = 0

    return rich.offering(StartsOver, Offer.SCHEDULE, Offer.FREEZE)


@mutant(makes=True, dtype="float64")
def momentum_by_way_of_float32() -> Port:
    """A float64 m is given a dtype of 16 bits by way of float32, and so rounded twice."""

    class Twice(rich.Rich):
        def momentum_dtype(self, dtype: str) -> None:
            with np.errstate(all="ignore"):
                self.momenta = [
                    x.astype(np.float32) if x.dtype == np.float64 else x for x in self.momenta
                ]
            super().momentum_dtype(dtype)

    triples = tuple(t for t in lion_ref.legal_triples() if t[0] == t[2] == "float64")
    return rich.offering(Twice, Offer.MOMENTUM_DTYPE, triples=triples)


@mutant(makes=True)
def nearly_the_same_rate() -> Port:
    """η and λ are sent to the device again only if they are not close to the last."""

    class Near(rich.Rich):
        sent: tuple[float, float] = (-1.0, -1.0)

        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            if not np.allclose((lr, weight_decay), self.sent):
                self.sent = lr, weight_decay
            super().step(grads, lr=self.sent[0], weight_decay=self.sent[1])

    return rich.offering(Near)


class NearlyTheSame:
    """Scalars are compiled in anew only if one is not close to that of the last call."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}

    def __call__(self, *arrays: Any, **scalars: float) -> Any:
        if not self.last or not all(math.isclose(x, self.last[k]) for k, x in scalars.items()):
            self.last = scalars
        return lion_ref.step(*arrays, **self.last)  # type: ignore[arg-type]  # the same names


mutant(dtype="float64")(NearlyTheSame)


@mutant(makes=True)
def a_byte_counts_the_tensors() -> Port:
    """The 257th tensor of a list is taken for the first."""

    class Byte(rich.Rich):
        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            given = [x if i < 256 else None for i, x in enumerate(grads)]
            super().step(given, lr=lr, weight_decay=weight_decay)

    return rich.offering(Byte)


@mutant(makes=True)
def chunks_go_on_counting() -> Port:
    """The count of chunks is not reset behind a tensor of several: the next begins too late."""

    class Chunked(rich.Rich):
        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            before = list(self.params)
            super().step(grads, lr=lr, weight_decay=weight_decay)
            for i, param in enumerate(before[:-1]):
                if param.size > 1024 and before[i + 1].ndim:
                    self.params[i + 1] = before[i + 1]

    return rich.offering(Chunked)


@mutant(makes=True)
def takes_text_for_a_rate() -> Port:
    """`float(lr)`, which reads "0.1" and True too."""

    class Reads(rich.Rich):
        def step(self, grads: Sequence[Any], *, lr: Any, weight_decay: Any) -> None:
            if isinstance(lr, (str, bool)):
                lr = float(lr)
            super().step(grads, lr=lr, weight_decay=weight_decay)

    return rich.offering(Reads, Offer.REFUSAL)


@mutant(makes=True)
def rate_beyond_float32_clamped() -> Port:
    """An η that float32 cannot hold becomes the largest that it can."""

    class Clamps(rich.Rich):
        def step(self, grads: Sequence[Any], *, lr: Any, weight_decay: Any) -> None:
            if isinstance(lr, float) and 3e38 < lr < math.inf:
                lr = 3e38
            super().step(grads, lr=lr, weight_decay=weight_decay)

    return rich.offering(Clamps, Offer.REFUSAL)


@mutant(makes=True)
def gradients_set_to_none() -> Port:
    """Empties the caller's list of gradients behind the step."""

    class Empties(rich.Rich):
        def step(self, grads: Any, *, lr: float, weight_decay: float) -> None:
            super().step(grads, lr=lr, weight_decay=weight_decay)
            grads[:] = [None] * len(grads)

    return rich.offering(Empties)


@mutant(makes=True)
def freezing_loses_what_is_not_finite() -> Port:
    """A frozen tensor is parked on the host by way of a checked cast: NaN and ∞ become 0."""

    class Parks(rich.Rich):
        def thaw(self, tensor: int) -> None:
            super().thaw(tensor)
            self.momenta[tensor] = np.nan_to_num(self.momenta[tensor], posinf=0, neginf=0)

    return rich.offering(Parks, Offer.FREEZE)


@mutant(makes=True)
def restored_runs_are_warmed_up() -> Port:
    """The first step of a session that was restored late takes the gradient's sign alone."""

    class Late(rich.Rich):
        kept: ClassVar[set[bytes]] = set()
        restored_twice = False

        @classmethod
        def restored(cls, saved: bytes) -> rich.Rich:
            session = super().restored(saved)
            vars(session)["restored_twice"] = saved in cls.kept
            cls.kept.add(saved)
            return session

        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            if self.restored_twice:
                self.momenta = [np.zeros_like(x) for x in self.momenta]
            self.restored_twice = False
            super().step(grads, lr=lr, weight_decay=weight_decay)

    return rich.offering(Late, Offer.RESTORE)
