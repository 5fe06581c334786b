"""Runs of several steps: what a single step cannot show is rejected, and a right port passes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

import lion_ref
from lion_conformance import Offer, Port, Report, Verdict, from_callable, verify
from lion_conformance.report.counterexample import Counterexample
from lion_conformance.runs.all import judge_runs
from lion_conformance.runs.other_process import judge_elsewhere
from lion_conformance.runs.shortest_run import shortened, smallest
from lion_conformance.runs.state_machine import drive_state_machine
from lion_conformance.verdict.cause import Kind
from lion_conformance.verdict.failure import RunFailure
from lion_conformance.verdict.tally import Tally
from tests.lion_conformance.runs import rich

pytestmark = pytest.mark.clause("C29")

step = lion_ref.step


def widely(sessions: Iterable[type[rich.Rich]]) -> list[Any]:
    """The first session, and the others where there is time: what is said of one holds for each."""
    first, *others = sessions
    return [first, *(pytest.param(x, marks=pytest.mark.slow) for x in others)]


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
    ("opener", "why", "line"),
    [
        (
            RateOfTheStepBefore,
            "event 1, tensor 0: θ': 1 of 1 elements lie outside the accepted set",
            "from the second step on, the η of the step before is used (SPEC C30)",
        ),
        (
            DecayAfterTheFirstStep,
            "event 1, tensor 0: θ': 1 of 1 elements lie outside the accepted set",
            "from the second step on, the λ of the first step is used (SPEC C30)",
        ),
        (
            TenthStepSkipped,
            "event 9, tensor 0: θ': 1 of 1 elements lie outside the accepted set",
            "the tenth step is left out (SPEC C30)",
        ),
        (
            MomentaSwapped,
            "event 0, tensor 0: m': 1 of 1 elements lie outside the accepted set",
            "momenta of two tensors of one shape change places (SPEC C12)",
        ),
        (
            LiveArrays,
            "event 0: the session changed arrays that read() had returned before",
            "it changes arrays that read() has returned (SPEC C30)",
        ),
        (
            AnotherEachTime,
            "event 0: the session shows another state when it is read a second time",
            "read() shows another state the second time (SPEC C30)",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_it_is_rejected_by_a_run_alone(opener: Callable[..., Any], why: str, line: str) -> None:
    report = judged(opener)
    assert report.verdict is Verdict.REJECTED
    found = report.counterexample
    assert found is not None
    assert found.why == why
    assert found.run
    assert report.cause is not None
    assert report.sentence == report.cause.line() == line


@pytest.mark.parametrize(
    ("opener", "why"),
    [
        (OneTensorTooMany, r"event 0: read\(\) returned \d+ params; legal: \d+"),
        (
            LossOfTheShape,
            r"event 0: read\(\) returned params\[\d\] as float32 \(1,\); legal: float32 \(\)",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_session_that_shows_other_tensors_is_rejected(opener: Any, why: str) -> None:
    tally = Tally(None)
    judge_runs(Port("port", opener), "float32", tally, drawn=0)
    assert tally.failure is not None
    assert re.fullmatch(why, tally.failure.why)


@pytest.mark.clause("C30")
def test_a_port_that_offers_everything_passes_in_every_event() -> None:
    triples = (("float32",) * 3, ("float32", "bfloat16", "float32"), ("float64",) * 3)
    port = rich.port(rich.Rich, triples=triples)
    report = verify(port, dtypes=["float32"], max_examples=8)
    assert report.verdict is Verdict.BIT_EXACT
    assert report.not_offered == ()
    events = {offer.value for offer in Offer if offer is not Offer.HAND_OVER}
    kinds = events | {"step", "save and restore in a fresh process"}
    assert set(report.results[0].events) == kinds
    assert report.hand_over is not None
    assert report.hand_over.verdict is Verdict.BIT_EXACT


@pytest.mark.clause("C30")
@pytest.mark.parametrize("session", rich.WRONG, ids=lambda session: session.__name__)
def test_a_port_that_gets_an_event_wrong_is_rejected(session: type[rich.Rich]) -> None:
    """By its runs, which `verify` judges after its cases: see the next test."""
    port, tally = rich.port(session), Tally(None)
    judge_runs(port, "float32", tally, drawn=0)
    failure = tally.failure or judge_elsewhere(port, {"float32": tally})["float32"]
    assert rich.WRONG[session] in " ".join(Counterexample.of(smallest(port, failure)).run)


@pytest.mark.clause("C30")
@pytest.mark.parametrize("session", widely(rich.WRONG), ids=lambda session: session.__name__)
def test_what_goes_wrong_in_runs_alone_is_said(session: type[rich.Rich]) -> None:
    report = verify(rich.port(session), max_examples=1)
    assert report.verdict is Verdict.REJECTED
    assert report.counterexample is not None
    assert rich.WRONG[session] in " ".join(report.counterexample.run)
    assert report.cause is not None
    assert report.cause.kind in (Kind.RUN, Kind.CONTRACT)


@pytest.mark.clause("C30")
@pytest.mark.parametrize("session", rich.WRONG, ids=lambda session: session.__name__)
def test_what_is_not_offered_is_not_judged(session: type[rich.Rich]) -> None:
    """The runs fail for the event alone: without it the same port passes them."""
    silent = rich.port(session, offers=frozenset(), restore=None)
    tally = Tally(None)
    judge_runs(silent, "float32", tally, drawn=1)
    assert tally.verdict is Verdict.BIT_EXACT


@pytest.mark.clause("C30")
@pytest.mark.parametrize("session", widely(rich.WRONG), ids=lambda session: session.__name__)
def test_what_is_not_offered_is_said(session: type[rich.Rich]) -> None:
    silent = rich.port(session, offers=frozenset(), restore=None)
    report = verify(silent, max_examples=1)
    assert report.verdict is Verdict.BIT_EXACT
    assert report.not_offered == tuple(offer.value for offer in Offer)
    assert "not offered, so not judged: no gradient, freeze and thaw, save" in report.to_markdown()


@pytest.mark.clause("C30")
def test_drawn_runs_find_what_is_wrong_and_are_shortened() -> None:
    tally = Tally(None)
    wrong = rich.port(rich.MergedInTheOtherOrder, offers=frozenset({Offer.SPLIT}))
    drive_state_machine(wrong, "float32", tally, runs=20)
    assert isinstance(tally.failure, RunFailure)
    short = shortened(wrong, tally.failure)
    assert len(short.run.events) <= len(tally.failure.run.events)
    assert str(short.run.events[-1]).startswith("merge")


@pytest.mark.clause("C30")
def test_the_same_seed_draws_the_same_runs_and_another_seed_others() -> None:
    def drawn(seed: int) -> Any:
        tally = Tally(None)
        drive_state_machine(from_callable(step), "float32", tally, runs=2, seed=seed)
        return tally.events, tally.elements

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


@pytest.mark.clause("C30")
def test_what_has_no_name_in_another_process_is_said() -> None:
    def restore(saved: bytes) -> Any:
        return rich.Rich.restored(saved)

    local = rich.port(rich.Rich, restore=restore)
    report = verify(local, max_examples=1)
    assert report.ok
    assert len(report.not_offered) == 1
    assert report.not_offered[0].startswith("restore in a fresh process (Rich's restore has no")


@pytest.mark.clause("C30")
def test_an_offer_without_its_method_is_rejected_in_one_line() -> None:
    bare = Port("bare", from_callable(step).open, offers=frozenset({Offer.SCHEDULE}))
    found = verify(bare, dtypes=["float32"], max_examples=1).counterexample
    assert found is not None
    assert (
        "raised AttributeError: 'CallableSession' object has no attribute 'schedule'" in found.why
    )


@pytest.mark.clause("C30")
@pytest.mark.parametrize("name", ["numpy", "array_api_strict"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_drawn_runs_of_the_array_api_adapter(name: str, dtype: str) -> None:
    pytest.importorskip(name, reason=f"needs {name}: pip install 'lion-ref[dev]'")
    from lion_conformance.ports.array_api import _port

    tally = Tally(lion_ref.CANONICAL)
    judge_runs(_port(name, "native"), dtype, tally, drawn=5)
    assert tally.failure is None
    assert tally.verdict is Verdict.BIT_EXACT


@pytest.mark.clause("C30")
def test_the_array_api_adapter_goes_on_in_a_fresh_process() -> None:
    from lion_conformance.ports.array_api import _port

    tallies = {dtype: Tally(lion_ref.CANONICAL) for dtype in lion_ref.STORAGE_DTYPES}
    assert judge_elsewhere(_port("numpy", "native"), tallies) == {}
    assert {tally.verdict for tally in tallies.values()} == {Verdict.BIT_EXACT}
    assert all(x.events["save and restore in a fresh process"] == 1 for x in tallies.values())
