"""Runs of several events and several tensors in one session, judged after every event (SPEC C30).

A single step cannot show what a port keeps between steps: a buffer shared by two tensors, the
learning rate of the step before, a first step that is special. Each event is judged from the state
that the port itself was in, so that the accepted set holds here too, event by event. By induction a
port that is bit-exact at every event has gone through the reference's run bit for bit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lion_conformance.cases import Case
from lion_conformance.events import Restore, Step, spelled
from lion_conformance.judge import Failure, Tally
from lion_conformance.once_more import once_more, otherwise
from lion_conformance.port import Port, PortError, RaisedError
from lion_conformance.refusals import avoided, avoided_betas
from lion_conformance.walk import Walk
from lion_ref.arithmetic import same_bits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lion_conformance.events import Event
    from lion_conformance.state import State
    from lion_conformance.walk import Answer

Array = NDArray[Any]

TOLD = 20
"""Events of a long run that are told from its beginning, and as many from its end."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Where a run starts, and what happens to it."""

    start: State
    beta1: float
    beta2: float
    events: tuple[Event, ...]

    def until(self, event: int) -> Trajectory:
        """The run up to an event, and with it."""
        return replace(self, events=self.events[: event + 1])

    def unanswered(self, error: PortError) -> Failure:
        """A failure without an answer: shown for the first tensor, as it was at the start."""
        param, momentum = self.start.tensors[0]
        steps = [x for x in self.events if isinstance(x, Step)]
        given = (x for step in steps[-1:] for x in step.grads[:1] if x is not None)
        grad = next(given, np.zeros(param.shape, param.dtype))
        lr, weight_decay = (steps[-1].lr, steps[-1].weight_decay) if steps else (0.0, 0.0)
        if grad.shape != param.shape:  # the tensors were cut or joined since
            grad = np.zeros(param.shape, param.dtype)
        betas = (self.beta1, self.beta2)
        case = Case(param, momentum, grad, lr or 0.0, *betas, weight_decay or 0.0)
        return Failure(case, None, str(error), error=error)

    def lines(self) -> list[str]:
        """The run as text, one event a line; small tensors as their bits."""
        tensors = [
            f"tensor {i}: θ {spelled(param)}, m {spelled(momentum)}"
            for i, (param, momentum) in enumerate(self.start.tensors)
        ]
        events = [f"event {t}: {event}" for t, event in enumerate(self.events)]
        if len(events) > 2 * TOLD:
            more = f"events {TOLD} to {len(events) - TOLD - 1}: as many more"
            events[TOLD:-TOLD] = [more]
        return [*tensors, *events]


@dataclass(frozen=True, slots=True)
class RunFailure:
    """A run that is rejected at its last event."""

    run: Trajectory
    last: Failure
    """That event for one tensor; `got` is None where the port did not answer."""
    tensor: int | None = None

    @property
    def why(self) -> str:
        """Which event of which tensor, and why, in one line."""
        which = f"event {len(self.run.events) - 1}"
        if self.tensor is not None:
            which += f", tensor {self.tensor}"
        return f"{which}: {self.last.why}"


def answers(
    port: Port, run: Trajectory, shown: list[State] | None = None
) -> Iterator[list[Answer]]:
    """For each event the port's answers, tensor by tensor; PortError where there is none.

    shown: takes the state after each event.
    """
    walk = Walk(port, run.start, beta1=run.beta1, beta2=run.beta2)
    for event in run.events:
        answer = walk.apply(event)
        if event is run.events[-1]:
            walk.look_back()
        if shown is not None:
            shown.append(walk.state)
        yield answer


def follow(
    port: Port, run: Trajectory, tally: Tally, *, dtype: str | None = None
) -> RunFailure | None:
    """Judge a run after every event, then once more otherwise; what is rejected ends it.

    dtype: that of the θ that are judged, where the tensors have several; all of them if omitted.
    """
    shown: list[State] = []
    answered = answers(port, run, shown)
    if dtype is not None:
        answered = ([x for x in parts if x.case.param.dtype.name == dtype] for parts in answered)
    failure = judged(run, answered, tally)
    return failure or same_again(port, run.until(len(shown) - 1), shown, tally)


def same_again(
    port: Port, run: Trajectory, shown: Sequence[State], tally: Tally
) -> RunFailure | None:
    """Where a run that passed, made once more otherwise, is not what it was: see `once_more`."""
    betas, refusals = (run.beta1, run.beta2), tally.refusals
    answered = once_more(port, run.start, betas, run.events, shown, refusals)
    failure = judged(run, answered, Tally(None))
    if failure is None or not isinstance(failure.last.error, RaisedError):
        return failure
    others = avoided_betas(betas[::-1], refusals)
    beside = (avoided(otherwise(event), refusals) for event in run.events)
    scalars = [*_scalars(run.events, betas), *_scalars(beside, others)]
    # Any of them may be what it raised for: the run beside is ahead of this one.
    cases = (replace(failure.last.case, **changed) for changed in scalars)
    return None if any(tally.scalars.refuses(port, case) for case in cases) else failure


def _scalars(events: Iterable[Event], betas: tuple[float, float]) -> Iterator[dict[str, Any]]:
    """The scalars of each step that has its own."""
    for event in events:
        if isinstance(event, Step) and event.lr is not None:
            rates = {"lr": event.lr, "weight_decay": event.weight_decay}
            yield rates | {"beta1": betas[0], "beta2": betas[1]}


def refused(failure: RunFailure, tally: Tally) -> bool:
    """Whether a run ended at scalars that the port refuses, which is told apart."""
    last, error = failure.run.events[-1], failure.last.error
    given = isinstance(last, Step) and last.lr is not None
    return (
        given and isinstance(error, RaisedError) and tally.scalars.refuse(failure.last.case, error)
    )


def judged(
    run: Trajectory, answered: Iterator[list[Answer]], tally: Tally, first: int = 0
) -> RunFailure | None:
    """Judge the answers to a run's events, from the first that is given on."""
    for t in range(first, len(run.events)):
        begin = time.perf_counter()
        try:
            answer = next(answered)
        except PortError as error:
            run = run.until(t)
            failure = RunFailure(run, run.unanswered(error))
            return None if refused(failure, tally) else failure
        tally.port_seconds += time.perf_counter() - begin
        tally.events[_kind(run.events[t])] += 1
        for part in answer:
            why = _wrong(part, tally)
            if why:
                last = Failure(part.case, part.got, why, part.expected)
                return RunFailure(run.until(t), last, part.tensor)
    return None


def _kind(event: Event) -> str:
    if isinstance(event, Restore):
        return str(event)
    return "step" if event.needs is None else event.needs.value


def _wrong(answer: Answer, tally: Tally) -> str:
    """Why an answer is rejected; nothing if it is not."""
    if answer.expected is None:
        return tally.take(answer.case, answer.got)
    for name, found, wanted in zip(("θ", "m"), answer.got, answer.expected, strict=True):
        other = int((~same_bits(found, wanted)).sum())
        if other:
            return f"{name}: {other} of {wanted.size} elements {answer.otherwise}"
    return ""
