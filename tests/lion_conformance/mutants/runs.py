"""Runs: read seldom, side by side, saved and gone on with, frozen for long, long altogether."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

import lion_ref
from lion_conformance import Offer, Port
from tests.lion_conformance.mutants.catalogue import mutant
from tests.lion_conformance.runs import rich


class _Waiting(rich.Rich):
    """Makes its steps when the state is read."""

    def __init__(self, params: Sequence[Any], momenta: Sequence[Any], **betas: float) -> None:
        super().__init__(params, momenta, **betas)
        self.waiting: list[Any] = []

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        self.waiting.append((list(grads), lr, weight_decay))

    def read(self) -> Any:
        for grads, lr, weight_decay in self.waiting:
            super().step(grads, lr=lr, weight_decay=weight_decay)
        self.waiting = []
        return super().read()


@mutant(makes=True)
def updated_when_read() -> Port:
    """A step is made when the state is read, and of several the last alone."""

    class Lazy(_Waiting):
        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            self.waiting = [([x.copy() for x in grads], lr, weight_decay)]

    return rich.offering(Lazy)


@mutant(makes=True)
def rate_of_the_reading() -> Port:
    """Steps wait until the state is read, and are then all made with η of the last."""

    class Late(_Waiting):
        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            before = [(given, lr, decay) for given, _, decay in self.waiting]
            self.waiting = [*before, ([x.copy() for x in grads], lr, weight_decay)]

    return rich.offering(Late)


@mutant(makes=True)
def read_from_a_cache() -> Port:
    """read() takes what it showed before for the state, unless one step has been made since."""

    class Cached(rich.Rich):
        shown: Any = None
        since = 0

        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            super().step(grads, lr=lr, weight_decay=weight_decay)
            self.since += 1

        def read(self) -> Any:
            if self.shown is None or self.since == 1:
                self.shown = super().read()
            self.since = 0
            return self.shown

    return rich.offering(Cached)


@mutant(makes=True)
def gradients_read_late() -> Port:
    """The gradients' arrays are kept, and read when the state is: the caller has them back."""
    return rich.offering(_Waiting)


@mutant(makes=True)
def momentum_of_the_module() -> Port:
    """The momenta belong to the module, and are those of the session opened last."""

    class Shared(rich.Rich):
        of_all: ClassVar[list[Any]] = []

        def __init__(self, params: Sequence[Any], momenta: Sequence[Any], **betas: float) -> None:
            super().__init__(params, momenta, **betas)
            self.of_all[:] = momenta
            self.momenta = self.of_all

    return rich.offering(Shared)


@mutant(makes=True)
def betas_of_the_session_opened_last() -> Port:
    """β1 and β2 are a setting of the module, which every new session changes."""

    class Shared(rich.Rich):
        of_all: ClassVar[dict[str, float]] = {}

        def __init__(self, params: Sequence[Any], momenta: Sequence[Any], **betas: float) -> None:
            super().__init__(params, momenta)
            self.of_all.update(betas)
            self.betas = self.of_all

    return rich.offering(Shared)


@mutant(makes=True)
def buffers_by_shape() -> Port:
    """Sessions whose tensors have the same shapes are one session, set anew by each."""

    class Pooled(rich.Rich):
        pool: ClassVar[dict[Any, dict[str, Any]]] = {}

        def __init__(self, params: Sequence[Any], momenta: Sequence[Any], **betas: float) -> None:
            super().__init__(params, momenta, **betas)
            key = tuple(x.shape for x in params)
            self.__dict__ = self.pool.setdefault(key, self.__dict__)
            self.params, self.momenta, self.betas = list(params), list(momenta), betas

    return rich.offering(Pooled)


@mutant(makes=True)
def frozen_in_all_sessions() -> Port:
    """A tensor that is frozen in one session is frozen in every other."""

    class Shared(rich.Rich):
        of_all: ClassVar[set[int]] = set()

        def freeze(self, tensor: int) -> None:
            self.of_all.add(tensor)

        def thaw(self, tensor: int) -> None:
            self.of_all.discard(tensor)

        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            given = [None if i in self.of_all else x for i, x in enumerate(grads)]
            super().step(given, lr=lr, weight_decay=weight_decay)

    return rich.offering(Shared, Offer.FREEZE, Offer.NO_GRADIENT)


@mutant(makes=True)
def schedule_of_the_module() -> Port:
    """The steps of all sessions advance one schedule."""

    class Shared(rich.Rich):
        of_all: ClassVar[list[int]] = [0]

        def schedule(self, lr: Sequence[float], weight_decay: Sequence[float]) -> None:
            super().schedule(lr, weight_decay)
            self.of_all[0] = 0

        def step_as_scheduled(self, grads: Sequence[Any]) -> None:
            self.done = self.of_all[0]
            self.of_all[0] += 1
            super().step_as_scheduled(grads)

    return rich.offering(Shared, Offer.SCHEDULE)


@mutant(makes=True)
def momentum_lost_by_saving() -> Port:
    """What is saved is right, but the session that was saved goes on with momenta of zeros."""

    class Resets(rich.Rich):
        def save(self) -> bytes:
            saved = super().save()
            self.momenta = [np.zeros_like(x) for x in self.momenta]
            return saved

    return rich.offering(Resets, Offer.RESTORE)


@mutant(makes=True)
def parameters_rounded_by_saving() -> Port:
    """The parameters are cast to float16 in place for a file, which widens them again."""

    class Halves(rich.Rich):
        def save(self) -> bytes:
            saved = super().save()
            with np.errstate(all="ignore"):
                self.params = [x.astype(np.float16).astype(x.dtype) for x in self.params]
            return saved

    return rich.offering(Halves, Offer.RESTORE)


@mutant(makes=True)
def saved_by_reference() -> Port:
    """What is saved is the name of the session's own state, which goes on changing."""

    class Referred(rich.Rich):
        of_all: ClassVar[list[Any]] = []

        def save(self) -> bytes:
            self.of_all.append(self)
            return pickle.dumps(len(self.of_all) - 1)

        @classmethod
        def restored(cls, saved: bytes) -> rich.Rich:
            session = cls((), ())
            kept = cls.of_all[pickle.loads(saved)]
            vars(session).update(pickle.loads(rich.Rich.save(kept)))
            return session

    return rich.offering(Referred, Offer.RESTORE)


@mutant(makes=True)
def one_checkpoint_for_all() -> Port:
    """Every session saves into the same file, and restores what is in it."""

    class OneFile(rich.Rich):
        file: ClassVar[list[bytes]] = [b""]

        def save(self) -> bytes:
            self.file[0] = super().save()
            return b"the file"

        @classmethod
        def restored(cls, saved: bytes) -> rich.Rich:
            return super().restored(cls.file[0])

    return rich.offering(OneFile, Offer.RESTORE)


@mutant(makes=True)
def frozen_one_at_a_time() -> Port:
    """A second frozen tensor thaws the first, whose momentum decays."""

    class One(rich.Rich):
        def freeze(self, tensor: int) -> None:
            self.frozen = {tensor}

        def thaw(self, tensor: int) -> None:
            self.frozen.discard(tensor)

        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            super().step(grads, lr=lr, weight_decay=weight_decay)
            if self.frozen:
                for i, grad in enumerate(grads):
                    if grad is None and i not in self.frozen:
                        self.momenta[i] = self.momenta[i] * np.float32(self.betas["beta2"])

    return rich.offering(One, Offer.FREEZE, Offer.NO_GRADIENT)


@mutant(makes=True)
def frozen_momentum_dropped() -> Port:
    """A tensor that stays frozen for three steps is thawed with a momentum of zeros."""

    class Drops(rich.Rich):
        def __init__(self, params: Sequence[Any], momenta: Sequence[Any], **betas: float) -> None:
            super().__init__(params, momenta, **betas)
            self.age: dict[int, int] = {}

        def freeze(self, tensor: int) -> None:
            super().freeze(tensor)
            self.age[tensor] = 0

        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            self.age = {i: age + 1 for i, age in self.age.items()}
            super().step(grads, lr=lr, weight_decay=weight_decay)

        def thaw(self, tensor: int) -> None:
            super().thaw(tensor)
            if self.age.pop(tensor) >= 3:
                self.momenta[tensor] = np.zeros_like(self.momenta[tensor])

    return rich.offering(Drops, Offer.FREEZE, Offer.NO_GRADIENT)


@mutant(makes=True)
def momentum_forgotten_without_gradients() -> Port:
    """After three steps without a gradient a tensor's momentum is taken for stale: zeros."""

    class Forgets(rich.Rich):
        def __init__(self, params: Sequence[Any], momenta: Sequence[Any], **betas: float) -> None:
            super().__init__(params, momenta, **betas)
            self.without = [0] * len(self.params)

        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            super().step(grads, lr=lr, weight_decay=weight_decay)
            self.without = [
                0 if x is not None else n + 1 for x, n in zip(grads, self.without, strict=True)
            ]
            for i, n in enumerate(self.without):
                if n >= 3:
                    self.momenta[i] = np.zeros_like(self.momenta[i])

    return rich.offering(Forgets, Offer.NO_GRADIENT)


class _Counting(rich.Rich):
    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        self.done += 1
        self.counted(grads, self.done, {"lr": lr, "weight_decay": weight_decay})

    def counted(self, grads: Sequence[Any], done: int, scalars: dict[str, float]) -> None:
        super().step(grads, lr=scalars["lr"], weight_decay=scalars["weight_decay"])


@mutant(makes=True)
def counter_of_seven_bits() -> Port:
    """The 128th step is taken for one before the first, and left out."""

    class Wraps(_Counting):
        def counted(self, grads: Sequence[Any], done: int, scalars: dict[str, float]) -> None:
            if np.int64(done).astype(np.int8) > 0:
                super().counted(grads, done, scalars)

    return rich.offering(Wraps)


@mutant(makes=True)
def counter_of_eight_bits() -> Port:
    """At the 256th step, the 0th, the momentum begins anew."""

    class Wraps(_Counting):
        def counted(self, grads: Sequence[Any], done: int, scalars: dict[str, float]) -> None:
            if done % 256 == 0:
                self.momenta = [np.zeros_like(x) for x in self.momenta]
            super().counted(grads, done, scalars)

    return rich.offering(Wraps)


@mutant(makes=True)
def decay_from_the_hundredth_step() -> Port:
    """A schedule of the port's own divides η by ten from the hundredth step on."""

    class Decays(_Counting):
        def counted(self, grads: Sequence[Any], done: int, scalars: dict[str, float]) -> None:
            factor = 0.1 if done >= 100 else 1.0
            super().counted(grads, done, scalars | {"lr": factor * scalars["lr"]})

    return rich.offering(Decays)


@mutant(makes=True)
def momentum_rounded_now_and_then() -> Port:
    """Every 64th step the momentum is written to a buffer of bfloat16."""

    class Rounds(_Counting):
        def counted(self, grads: Sequence[Any], done: int, scalars: dict[str, float]) -> None:
            super().counted(grads, done, scalars)
            if done % 64 == 0:
                narrow = lion_ref.STORAGE_DTYPES["bfloat16"]
                self.momenta = [x.astype(narrow).astype(x.dtype) for x in self.momenta]

    return rich.offering(Rounds)
