"""Wrong ports beside the catalogue's: what is said of one kind has to hold for its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

import lion_ref
from lion_conformance import Offer, Port, from_callable
from lion_ref import Semantics
from tests.lion_conformance.runs import rich

FUSED = Semantics(momentum_fused="gradient", sign_fused="gradient")

OTHERS: dict[str, tuple[Callable[[], Port], str]] = {}


def said(sentence: str) -> Callable[[Callable[[], Port]], Callable[[], Port]]:
    """Enter a port with what is to be said of it."""

    def enter(make: Callable[[], Port]) -> Callable[[], Port]:
        OTHERS[make.__name__] = (make, sentence)
        return make

    return enter


class Counting(rich.Rich):
    """Steps in a semantics, with the number of the step known."""

    semantics: ClassVar[Semantics] = lion_ref.CANONICAL
    count = 0

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        self.count += 1
        for i, grad in enumerate(grads):
            if grad is not None:
                scalars = {"lr": lr, "weight_decay": weight_decay, **self.betas}
                found = self.one(i, grad, scalars)
                self.params[i], self.momenta[i] = found

    def one(self, i: int, grad: Any, scalars: Any) -> Any:
        return lion_ref.step(
            self.params[i], self.momenta[i], grad, **scalars, semantics=self.semantics
        )


@said("from the second step on, the λ of the step before is used (SPEC C30)")
def decay_of_the_step_before() -> Port:
    class Late(Counting):
        last: Any = None

        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            late, self.last = weight_decay if self.last is None else self.last, weight_decay
            super().step(grads, lr=lr, weight_decay=late)

    return rich.offering(Late)


@said("from the second step on, the η of the step before is used (SPEC C30)")
def rate_of_the_step_before_in_another_rounding() -> Port:
    class Late(Counting):
        semantics = FUSED
        last: Any = None

        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            late, self.last = lr if self.last is None else self.last, lr
            super().step(grads, lr=late, weight_decay=weight_decay)

    return rich.offering(Late)


@said("the third step is left out (SPEC C30)")
def third_step_left_out() -> Port:
    class Third(Counting):
        def one(self, i: int, grad: Any, scalars: Any) -> Any:
            left_out = self.params[i], self.momenta[i]
            return left_out if self.count == 3 else super().one(i, grad, scalars)

    return rich.offering(Third)


@said("every fourth step is left out (SPEC C30)")
def every_fourth_step() -> Port:
    class Fourth(Counting):
        def one(self, i: int, grad: Any, scalars: Any) -> Any:
            left_out = self.params[i], self.momenta[i]
            return super().one(i, grad, scalars) if self.count % 4 else left_out

    return rich.offering(Fourth)


@said("from the fifth step on, there is no decay (SPEC C30)")
def no_decay_from_the_fifth_step() -> Port:
    class NoDecay(Counting):
        def one(self, i: int, grad: Any, scalars: Any) -> Any:
            late = {"weight_decay": 0.0} if self.count >= 5 else {}
            return super().one(i, grad, scalars | late)

    return rich.offering(NoDecay)


@said("m is kept in bfloat16 between steps (SPEC C30)")
def momentum_kept_in_bfloat16() -> Port:
    class Narrow(Counting):
        def one(self, i: int, grad: Any, scalars: Any) -> Any:
            if self.count > 1:
                narrow = self.momenta[i].astype(lion_ref.STORAGE_DTYPES["bfloat16"])
                self.momenta[i] = narrow.astype(self.momenta[i].dtype)
            return super().one(i, grad, scalars)

    return rich.offering(Narrow)


@said("of a list of tensors, those from the fourth on are not updated (SPEC C12)")
def three_tensors() -> Port:
    class Three(Counting):
        def one(self, i: int, grad: Any, scalars: Any) -> Any:
            left_out = self.params[i], self.momenta[i]
            return left_out if i > 2 else super().one(i, grad, scalars)

    return rich.offering(Three)


@said("in the last of several tensors, λ is doubled (SPEC C12)")
def last_decays_twice() -> Port:
    class Last(Counting):
        def one(self, i: int, grad: Any, scalars: Any) -> Any:
            last = 0 < i == len(self.params) - 1
            more = {"weight_decay": 2 * scalars["weight_decay"]} if last else {}
            return super().one(i, grad, scalars | more)

    return rich.offering(Last)


@said("after a restore, the momenta become zeros (SPEC C30)")
def momenta_not_restored() -> Port:
    return rich.offering(rich.MomentumNotRestored, Offer.RESTORE)


@said("the first step after a restore is left out (SPEC C30)")
def lazy_after_restoring() -> Port:
    return rich.offering(rich.FirstStepAfterRestoringSkipped, Offer.RESTORE)


@said("a frozen tensor decays (SPEC C30)")
def frozen_decays() -> Port:
    return rich.offering(rich.FrozenStillDecays, Offer.FREEZE, Offer.NO_GRADIENT)


@said("a tensor without a gradient takes a step as with a gradient of zeros (SPEC C30)")
def zeros_for_none() -> Port:
    return rich.offering(rich.NoGradientIsZeros, Offer.NO_GRADIENT, Offer.FREEZE)


@said("when a tensor is thawed, its momentum becomes zeros (SPEC C30)")
def momentum_lost_by_thawing() -> Port:
    class Loses(rich.Rich):
        def thaw(self, tensor: int) -> None:
            super().thaw(tensor)
            self.momenta[tensor] = np.zeros_like(self.momenta[tensor])

    return rich.offering(Loses, Offer.FREEZE)


@said("when a tensor is cut in two, the second half's momentum becomes zeros (SPEC C30)")
def second_half_anew() -> Port:
    class Anew(rich.Rich):
        def split(self, tensor: int, at: int) -> None:
            super().split(tensor, at)
            self.momenta[tensor + 1] = np.zeros_like(self.momenta[tensor + 1])

    return rich.offering(Anew, Offer.SPLIT)


@said("after a move to another device, the momenta are rounded to float16 (SPEC C30)")
def moved_in_half_precision() -> Port:
    class Halves(rich.Rich):
        def move(self, device: str) -> None:
            with np.errstate(all="ignore"):
                self.momenta = [x.astype(np.float16).astype(x.dtype) for x in self.momenta]

    return rich.offering(Halves, Offer.DEVICE)


@said("when a tensor is cut in two, the schedule starts over (SPEC C30)")
def schedule_forgotten_by_a_split() -> Port:
    return rich.offering(rich.ScheduleForgottenBySplit, Offer.SPLIT, Offer.SCHEDULE)


@said("the schedule is a step ahead (SPEC C30)")
def schedule_ahead() -> Port:
    return rich.offering(rich.ScheduleOneStepAhead, Offer.SCHEDULE)


@said("frozen tensors are known by their place, which a split changes (SPEC C30)")
def frozen_by_place() -> Port:
    return rich.offering(rich.FrozenByPlace, Offer.FREEZE, Offer.SPLIT)


@said("m is wrong after a restore (SPEC C30)")
def momenta_halved_by_restoring() -> Port:
    class Halves(rich.Rich):
        @classmethod
        def restored(cls, saved: bytes) -> rich.Rich:
            session = super().restored(saved)
            session.momenta = [x / 2 for x in session.momenta]
            return session

    return rich.offering(Halves, Offer.RESTORE)


@said("wrong when two sessions are interleaved (SPEC C30)")
def one_count_for_all() -> Port:
    class OneCount(rich.Rich):
        last: ClassVar[list[Any]] = [None]

        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            other = self.last[0] not in (None, id(self)) and self.done
            self.last[0], self.done = id(self), 1
            super().step(grads, lr=lr / 3 if other else lr, weight_decay=weight_decay)

    return rich.offering(OneCount)


@said("wrong if read() is not called after each step (SPEC C30)")
def third_unread_step_lost() -> Port:
    class Loses(rich.Rich):
        unread = 0

        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            self.unread += 1
            if self.unread < 3:
                super().step(grads, lr=lr, weight_decay=weight_decay)

        def read(self) -> Any:
            self.unread = 0
            return super().read()

    return rich.offering(Loses)


@said("θ is wrong at some steps, the third of a session the first (SPEC C30)")
def rate_of_two_before_at_times() -> Port:
    class Odd(Counting):
        rates_given: tuple[float, ...] = ()

        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            self.rates_given = (*self.rates_given, lr)
            at = len(self.rates_given)
            used = self.rates_given[-3] if at % 2 and at > 2 else lr
            super().step(grads, lr=used, weight_decay=weight_decay)

    return rich.offering(Odd)


class _Calls:
    def __init__(self) -> None:
        self.count = 0
        self.last: dict[str, Any] = {}


@said("every third call, nothing is updated (SPEC C12)")
def every_third_call() -> Port:
    class Third(_Calls):
        def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
            self.count += 1
            if self.count % 3 == 0:
                return param.copy(), momentum.copy()
            return lion_ref.step(param, momentum, grad, **scalars)

    return from_callable(Third())


@said("from the second call on, the λ of the call before is used (SPEC C12)")
def decay_of_the_call_before() -> Port:
    class Before(_Calls):
        def __call__(self, *arrays: Any, **scalars: Any) -> Any:
            now = {"weight_decay": scalars["weight_decay"]}
            used, self.last = self.last or now, now
            return lion_ref.step(*arrays, **scalars | used)

    return from_callable(Before())


@said("η grows over the first 10 steps (SPEC C30)")
def rate_warmed_up() -> Port:
    class Warm(Counting):
        def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
            part = min(1.0, (self.count + 1) / 10)
            super().step(grads, lr=lr * part, weight_decay=weight_decay)

    return rich.offering(Warm)


@said("λ grows over the first 1,000 calls (SPEC C12)")
def decay_warmed_up() -> Port:
    class Warm(_Calls):
        def __call__(self, *arrays: Any, **scalars: Any) -> Any:
            self.count += 1
            decay = min(1.0, self.count / 1000) * scalars["weight_decay"]
            return lion_ref.step(*arrays, **scalars | {"weight_decay": decay})

    return from_callable(Warm())


@said(
    "the same inputs give other bits at another call, by chance or by a rule not found (SPEC C12)"
)
def left_out_by_chance() -> Port:
    rng = np.random.default_rng(3)

    def step(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        if rng.random() < 0.1:
            return param.copy(), momentum.copy()
        return lion_ref.step(param, momentum, grad, **scalars)

    return from_callable(step)
