"""Runs of several events and several tensors in one session, judged after every event (SPEC C30).

A single step cannot show what a port keeps between steps: a buffer shared by two tensors, the
learning rate of the step before, a first step that is special. Each event is judged from the state
that the port itself was in, so that the accepted set holds here too, event by event. By induction a
port that is bit-exact at every event has gone through the reference's run bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from lion_conformance.cases.pace import Pace
from lion_conformance.ports.protocol import Port, PortError, RaisedError
from lion_conformance.ports.state import State
from lion_conformance.runs.avoiding import avoided, avoided_betas
from lion_conformance.runs.events import Event, Restore, Step
from lion_conformance.runs.observed import Answer, ObservedSession
from lion_conformance.runs.rerun import otherwise, rerun
from lion_conformance.runs.trajectory import Trajectory
from lion_conformance.verdict.failure import Failure, RunFailure
from lion_conformance.verdict.tally import Tally
from lion_ref.arithmetic import same_bits


def answers(
    port: Port, run: Trajectory, shown: list[State] | None = None
) -> Iterator[list[Answer]]:
    """For each event the port's answers, tensor by tensor; PortError where there is none.

    shown: takes the state after each event.
    """
    session = ObservedSession(port, run.start, beta1=run.beta1, beta2=run.beta2)
    for event in run.events:
        answer = session.apply(event)
        if event is run.events[-1]:
            session.look_back()
        if shown is not None:
            shown.append(session.state)
        yield answer


def follow(
    port: Port,
    run: Trajectory,
    tally: Tally,
    *,
    dtype: str | None = None,
    pace: Pace | None = None,
) -> RunFailure[Trajectory] | None:
    """Judge a run after every event, then once more otherwise; what is rejected ends it.

    dtype: that of the θ that are judged, where the tensors have several; all of them if omitted.
    pace: the time there is; without it, all of the run is judged.
    """
    pace = pace or Pace()
    shown: list[State] = []
    answered = answers(port, run, shown)
    if dtype is not None:
        answered = ([x for x in parts if x.case.param.dtype.name == dtype] for parts in answered)
    failure = judged(run, answered, tally, pace=pace)
    if failure is not None or not pace.has_time():
        return failure
    return same_again(port, run.until(len(shown) - 1), shown, tally)


def same_again(
    port: Port, run: Trajectory, shown: Sequence[State], tally: Tally
) -> RunFailure[Trajectory] | None:
    """Where a run that passed, made once more otherwise, is not what it was: see `rerun`."""
    betas, refusals = (run.beta1, run.beta2), tally.refusals
    answered = rerun(port, run.start, betas, run.events, shown, refusals)
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


def refused(failure: RunFailure[Trajectory], tally: Tally) -> bool:
    """Whether a run ended at scalars that the port refuses, which is told apart."""
    last, error = failure.run.events[-1], failure.last.error
    given = isinstance(last, Step) and last.lr is not None
    return (
        given and isinstance(error, RaisedError) and tally.scalars.refuse(failure.last.case, error)
    )


def judged(
    run: Trajectory,
    answered: Iterator[list[Answer]],
    tally: Tally,
    first: int = 0,
    *,
    pace: Pace | None = None,
) -> RunFailure[Trajectory] | None:
    """Judge the answers to a run's events from the first given on, as many as there is time for."""
    for t in range(first, len(run.events)):
        if t > first and pace is not None and not pace.has_time():
            return None
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
