"""Runs of several steps: what a single step cannot show is rejected, and a right port passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import lion_ref
from lion_conformance import Port, Report, Verdict, from_callable, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

pytestmark = pytest.mark.clause("C29")

step = lion_ref.step


class RateOfTheStepBefore:
    """Uses the η of the previous call, as a schedule does that is read before it is advanced.

    Right in a fresh session, where the first step has an η of its own.
    """

    def __init__(self, params: Sequence[Any], momenta: Sequence[Any], **betas: float) -> None:
        self.inner = from_callable(step).open(params, momenta, **betas)
        self.lr: float | None = None

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        used = lr if self.lr is None else self.lr
        self.inner.step(grads, lr=used, weight_decay=weight_decay)
        self.lr = lr

    def read(self) -> Any:
        return self.inner.read()


class DecayAfterTheFirstStep(RateOfTheStepBefore):
    """Forms the decay once and keeps it."""

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        self.lr = weight_decay if self.lr is None else self.lr
        self.inner.step(grads, lr=lr, weight_decay=self.lr)


class TenthStepSkipped(RateOfTheStepBefore):
    """Leaves out one step of many."""

    done = 0

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        self.done += 1
        if self.done != 10:
            self.inner.step(grads, lr=lr, weight_decay=weight_decay)


class MomentaSwapped(RateOfTheStepBefore):
    """After a step, two tensors of one shape have each other's momentum."""

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        self.inner.step(grads, lr=lr, weight_decay=weight_decay)
        momenta: Any = self.inner._momenta  # type: ignore[attr-defined]  # from inside
        for i, first in enumerate(momenta):
            for k in range(i):
                if first.shape == momenta[k].shape:
                    momenta[i], momenta[k] = momenta[k], momenta[i]


class LiveArrays:
    """Shows its own arrays, which the next step changes."""

    def __init__(self, params: Sequence[Any], momenta: Sequence[Any], **betas: Any) -> None:
        self.params, self.momenta, self.betas = params, momenta, betas

    def step(self, grads: Sequence[Any], **scalars: Any) -> None:
        for param, momentum, grad in zip(self.params, self.momenta, grads, strict=True):
            param[...], momentum[...] = step(param, momentum, grad, **scalars, **self.betas)

    def read(self) -> Any:
        return self.params, self.momenta


class AnotherEachTime(LiveArrays):
    """Steps when it is read."""

    def step(self, grads: Sequence[Any], **scalars: Any) -> None:
        self.params, self.momenta = ([x.copy() for x in xs] for xs in (self.params, self.momenta))
        super().step(grads, **scalars)
        self.params, self.momenta = ([x.copy() for x in xs] for xs in (self.params, self.momenta))

    def read(self) -> Any:
        shown = [x.copy() for x in self.params], [x.copy() for x in self.momenta]
        self.params = [x + 1 for x in self.params]
        return shown


class OneTensorTooMany(LiveArrays):
    def read(self) -> Any:
        return [*self.params, *self.params], self.momenta


class LossOfTheShape(LiveArrays):
    def read(self) -> Any:
        return [x.reshape(-1).copy() for x in self.params], [x.copy() for x in self.momenta]


def judged(opener: Any, **more: Any) -> Report:
    return verify(Port("port", opener), dtypes=["float32"], max_examples=1, **more)


@pytest.mark.parametrize(
    ("opener", "why"),
    [
        (
            RateOfTheStepBefore,
            "event 1, tensor 0: θ': 1 of 1 elements lie outside the accepted set",
        ),
        (
            DecayAfterTheFirstStep,
            "event 1, tensor 0: θ': 1 of 1 elements lie outside the accepted set",
        ),
        (TenthStepSkipped, "event 9, tensor 0: θ': 1 of 1 elements lie outside the accepted set"),
        (MomentaSwapped, "event 0, tensor 0: m': 1 of 1 elements lie outside the accepted set"),
        (LiveArrays, "event 0: the session changed arrays that read() had returned before"),
        (AnotherEachTime, "event 0: the session shows another state when it is read a second time"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_it_is_rejected_by_a_run_alone(opener: Callable[..., Any], why: str) -> None:
    report = judged(opener)
    assert report.verdict is Verdict.REJECTED
    found = report.counterexample
    assert found is not None
    assert found.why == why
    assert found.run
    assert report.sentence == "a single step equals the reference; a run of several does not"
