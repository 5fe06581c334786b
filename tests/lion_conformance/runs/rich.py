"""A port that offers all events, built around the reference, and ports that get one thing wrong.

Everything has a name in a module, so that a fresh process can restore what was saved.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

import lion_ref
from lion_conformance import Offer, Port
from lion_conformance.ports.state import recast
from tests.lion_conformance.runs.hands_over import HandsOver

Arrays = list[Any]


class Rich(HandsOver):
    """Offers everything, and does it right."""

    def __init__(self, params: Sequence[Any], momenta: Sequence[Any], **betas: float) -> None:
        self.params: Arrays = list(params)
        self.momenta: Arrays = list(momenta)
        self.betas = betas
        self.frozen: set[int] = set()
        self.rates: Any = None
        self.done = 0

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        scalars: Any = {"lr": lr, "weight_decay": weight_decay, **self.betas}
        for i, grad in enumerate(grads):
            if grad is not None:
                self.params[i], self.momenta[i] = lion_ref.step(
                    self.params[i], self.momenta[i], grad, **scalars
                )

    def read(self) -> tuple[Arrays, Arrays]:
        return list(self.params), list(self.momenta)

    def freeze(self, tensor: int) -> None:
        self.frozen.add(tensor)

    def thaw(self, tensor: int) -> None:
        self.frozen.remove(tensor)

    def schedule(self, lr: Sequence[float], weight_decay: Sequence[float]) -> None:
        self.rates, self.done = (lr, weight_decay), 0

    def step_as_scheduled(self, grads: Sequence[Any]) -> None:
        lr, weight_decay = (x[min(self.done, len(x) - 1)] for x in self.rates)
        self.done += 1
        self.step(grads, lr=lr, weight_decay=weight_decay)

    def save(self) -> bytes:
        return pickle.dumps(vars(self))

    @classmethod
    def restored(cls, saved: bytes) -> Rich:
        session = cls((), ())
        vars(session).update(pickle.loads(saved))
        return session

    def split(self, tensor: int, at: int) -> None:
        for arrays in (self.params, self.momenta):
            arrays[tensor : tensor + 1] = [arrays[tensor][:at].copy(), arrays[tensor][at:].copy()]

    def merge(self, tensor: int) -> None:
        for arrays in (self.params, self.momenta):
            arrays[tensor : tensor + 2] = [np.concatenate(arrays[tensor : tensor + 2])]

    def momentum_dtype(self, dtype: str) -> None:
        self.momenta = [recast(x, dtype) for x in self.momenta]

    def move(self, device: str) -> None:
        pass


class MomentumNotRestored(Rich):
    """Starts again with momenta of zeros, as a checkpoint of the model alone does."""

    @classmethod
    def restored(cls, saved: bytes) -> Rich:
        session = super().restored(saved)
        session.momenta = [np.zeros_like(x) for x in session.momenta]
        return session


class SavedInHalfPrecision(Rich):
    def save(self) -> bytes:
        with np.errstate(all="ignore"):
            halved = [x.astype(np.float16).astype(x.dtype) for x in self.momenta]
        return pickle.dumps(vars(self) | {"momenta": halved})


class ScheduleNotResumed(Rich):
    """Warms up once more after every restart."""

    def save(self) -> bytes:
        return pickle.dumps(vars(self) | {"done": 0})


class ScheduleOneStepAhead(Rich):
    """Advances the schedule before the step rather than after it."""

    def step_as_scheduled(self, grads: Sequence[Any]) -> None:
        self.done += 1
        super().step_as_scheduled(grads)
        self.done -= 1


class ScheduleStartsOver(Rich):
    """Begins again with the first rate after the last."""

    def step_as_scheduled(self, grads: Sequence[Any]) -> None:
        lr, weight_decay = (x[self.done % len(x)] for x in self.rates)
        self.done += 1
        self.step(grads, lr=lr, weight_decay=weight_decay)


class ScheduleForgottenBySplit(Rich):
    """Makes its optimizer anew, and with it the count of steps."""

    def split(self, tensor: int, at: int) -> None:
        super().split(tensor, at)
        self.done = 0


class BetasNotRestored(Rich):
    """Saves the state and not the betas, and goes on with Lion's own."""

    @classmethod
    def restored(cls, saved: bytes) -> Rich:
        session = super().restored(saved)
        session.betas = {"beta1": 0.9, "beta2": 0.99}
        return session


class FrozenByPlace(Rich):
    """Skips what has the index of a frozen tensor, which a split has given to another."""

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        given = [None if i in self.frozen else x for i, x in enumerate(grads)]
        super().step(given, lr=lr, weight_decay=weight_decay)

    def thaw(self, tensor: int) -> None:
        self.frozen.discard(tensor)


class MatrixSplitInTheOtherOrder(Rich):
    """Cuts the momentum of a matrix by columns."""

    def split(self, tensor: int, at: int) -> None:
        momentum = self.momenta[tensor]
        super().split(tensor, at)
        if momentum.ndim == 2:
            size, shape = self.momenta[tensor].size, self.momenta[tensor].shape
            self.momenta[tensor] = momentum.ravel(order="F")[:size].reshape(shape)


class FrozenStillDecays(Rich):
    """Applies the decoupled decay to all parameters of the group."""

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        super().step(grads, lr=lr, weight_decay=weight_decay)
        for i in self.frozen:
            factor = self.params[i].dtype.type(1 - lr * weight_decay)
            self.params[i] = self.params[i] * factor


class NoGradientIsZeros(Rich):
    """Goes on from the old momentum where there is no gradient."""

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        zeros = [
            np.zeros_like(p) if g is None and i not in self.frozen else g
            for i, (p, g) in enumerate(zip(self.params, grads, strict=True))
        ]
        super().step(zeros, lr=lr, weight_decay=weight_decay)


class ThawedWithOldGradient(Rich):
    """Steps a frozen tensor with the gradient that was left from before."""

    last: Any = None

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        given = [
            self.last[i] if g is None and i in self.frozen and self.last else g
            for i, g in enumerate(grads)
        ]
        super().step(given, lr=lr, weight_decay=weight_decay)
        self.last = list(grads)


class HalvesSwapped(Rich):
    """Gives each half the other's momentum, where they have as many rows, else none of it."""

    def split(self, tensor: int, at: int) -> None:
        momentum = self.momenta[tensor]
        super().split(tensor, at)
        rows = np.roll(momentum, -at, axis=0)
        self.momenta[tensor] = rows[:at].copy()


class HalvesShareMemory(Rich):
    """Steps in place, on two views of which one is too long."""

    def split(self, tensor: int, at: int) -> None:
        whole = self.params[tensor].copy()
        super().split(tensor, at)
        more = min(at + 1, len(whole))
        self.params[tensor : tensor + 2] = [whole[:at], whole[at:]]
        self.overlap = (tensor, whole[:more])

    overlap: Any = None

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        views = list(self.params)
        super().step(grads, lr=lr, weight_decay=weight_decay)
        if self.overlap is not None:
            tensor, view = self.overlap
            self.overlap = None
            view[...] = view * 2
            self.params[tensor + 1] = views[tensor + 1]


class MergedInTheOtherOrder(Rich):
    def merge(self, tensor: int) -> None:
        for arrays in (self.params, self.momenta):
            arrays[tensor : tensor + 2] = [np.concatenate(arrays[tensor : tensor + 2][::-1])]


class MomentumDtypeLost(Rich):
    """Casts every momentum to its parameter's dtype on loading, as torch does by itself."""

    @classmethod
    def restored(cls, saved: bytes) -> Rich:
        session = super().restored(saved)
        with np.errstate(all="ignore"):
            pairs = zip(session.params, session.momenta, strict=True)
            session.momenta = [m.astype(p.dtype) for p, m in pairs]
        return session


class MomentumTruncated(Rich):
    """Drops the low bits instead of rounding."""

    def momentum_dtype(self, dtype: str) -> None:
        exact = self.momenta
        super().momentum_dtype(dtype)
        with np.errstate(all="ignore"):
            self.momenta = [
                np.where(
                    np.abs(new.astype(old.dtype)) > np.abs(old), np.nextafter(new, new * 0), new
                )
                if new.dtype.itemsize < old.dtype.itemsize
                else new
                for old, new in zip(exact, self.momenta, strict=True)
            ]


class FirstStepAfterRestoringSkipped(Rich):
    """Builds its state lazily, at the first step after loading."""

    lazy = False

    @classmethod
    def restored(cls, saved: bytes) -> Rich:
        session = super().restored(saved)
        vars(session)["lazy"] = True
        return session

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        if not self.lazy:
            super().step(grads, lr=lr, weight_decay=weight_decay)
        self.lazy = False


class RestoredInAnotherOrder(Rich):
    """Matches the saved momenta by their sorted shapes: two of one shape change places."""

    @classmethod
    def restored(cls, saved: bytes) -> Rich:
        session = super().restored(saved)
        for i, momentum in enumerate(session.momenta):
            for k in range(i):
                if session.momenta[k].shape == momentum.shape:
                    session.momenta[i], session.momenta[k] = session.momenta[k], momentum
        return session


KEPT: dict[int, Any] = {}


class SavedInMemory(Rich):
    """Saves the name of what it keeps: right in this process, lost in any other."""

    def save(self) -> bytes:
        KEPT[len(KEPT)] = super().save()
        return pickle.dumps(len(KEPT) - 1)

    @classmethod
    def restored(cls, saved: bytes) -> Rich:
        return super().restored(KEPT[pickle.loads(saved)])


class LeftOnTheOldDevice(Rich):
    """Moves the parameters, and starts with new momenta there."""

    def move(self, device: str) -> None:
        self.momenta = [np.zeros_like(x) for x in self.momenta]


class TakesNegativeRates(Rich):
    """Goes uphill where η is negative."""

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        if lr < 0:
            grads, lr = [None if x is None else -x for x in grads], -lr
        super().step(grads, lr=lr, weight_decay=weight_decay)


class TakesAnyBeta(Rich):
    """Clamps the betas."""

    def __init__(self, params: Sequence[Any], momenta: Sequence[Any], **betas: float) -> None:
        legal = {name: min(max(x, 0.0), 1 - 2.0**-53) for name, x in betas.items()}
        super().__init__(params, momenta, **legal)


class HalfUpdatedWhenRefused(Rich):
    """Decays the momenta before it looks at the scalars."""

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        before = self.momenta
        self.momenta = [x / 2 for x in before]
        if 0 <= lr < float("inf"):
            self.momenta = before
        super().step(grads, lr=lr, weight_decay=weight_decay)


WRONG: dict[type[Rich], str] = {
    MomentumNotRestored: "save and restore",
    SavedInHalfPrecision: "save and restore",
    RestoredInAnotherOrder: "save and restore",
    MomentumDtypeLost: "save and restore",
    FirstStepAfterRestoringSkipped: "save and restore",
    ScheduleNotResumed: "schedule",
    ScheduleOneStepAhead: "schedule",
    ScheduleStartsOver: "schedule",
    ScheduleForgottenBySplit: "split",
    BetasNotRestored: "save and restore",
    FrozenByPlace: "split",
    MatrixSplitInTheOtherOrder: "split",
    FrozenStillDecays: "freeze",
    ThawedWithOldGradient: "freeze",
    NoGradientIsZeros: "none",
    HalvesSwapped: "split",
    HalvesShareMemory: "split",
    MergedInTheOtherOrder: "merge",
    MomentumTruncated: "momentum in",
    LeftOnTheOldDevice: "move to",
    TakesNegativeRates: "refuse lr=",
    TakesAnyBeta: "refuse beta",
    HalfUpdatedWhenRefused: "refuse lr=",
    SavedInMemory: "in a fresh process",
}
"""Each wrong port, and a word of the event without which nobody could see it."""


def port(session: type[Rich], **changes: Any) -> Port:
    """The port with all its offers."""
    whole: dict[str, Any] = {
        "offers": frozenset(Offer),
        "restore": partial(_restored, session),
        "devices": ("cpu", "elsewhere"),
        "triples": tuple(t for t in lion_ref.legal_triples() if t[0] == t[2] == "float32"),
    }
    return Port(session.__name__, session, **(whole | changes))


def offering(session: type[Rich], *offers: Offer, **changes: Any) -> Port:
    """The port with these offers alone."""
    return port(session, offers=frozenset(offers), **changes)


def _restored(session: type[Rich], saved: bytes) -> Any:
    return session.restored(saved)
