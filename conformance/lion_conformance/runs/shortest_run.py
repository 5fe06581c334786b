"""From a rejected run to the shortest one found that the port still gets wrong.

Where the port is wrong on the failing step alone, in a session of its own, it is no matter of the
run: `smallest_case` then finds a simple case. Else elements are left out, then tensors, then
events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lion_conformance.ports.protocol import Port, RaisedError, run_once
from lion_conformance.ports.state import State
from lion_conformance.runs.events import Event, Freeze, Merge, Schedule, Split, Step, Thaw
from lion_conformance.runs.follow import follow
from lion_conformance.runs.trajectory import Trajectory
from lion_conformance.verdict.failure import Failure, RunFailure, first_difference
from lion_conformance.verdict.refusals import plainer
from lion_conformance.verdict.smallest_case import reduced
from lion_conformance.verdict.tally import Tally
from lion_ref.arithmetic import Array

ATTEMPTS = 60
"""Runs of the port at the most; one of many events counts as several."""

EVENTS = 20
"""In a run that counts as one."""


def smallest(
    port: Port, failure: Failure | RunFailure[Trajectory]
) -> Failure | RunFailure[Trajectory]:
    """The simplest failure found near the given one: a single step if one fails too, else a run."""
    if isinstance(failure, Failure):
        return reduced(port, failure)
    tally = Tally(port.declared)
    stepped = failure.last.expected is None
    if stepped and not tally.add(port, failure.last.case) and isinstance(tally.failure, Failure):
        return reduced(port, tally.failure)
    return shortened(port, failure)


def refused_alone(port: Port, tally: Tally) -> Failure:
    """A refused case as a failure without an answer, as plain as the port still refuses it."""
    refusal = tally.undeclared[0]
    case, words = tally.scalars.example(refusal)
    simpler = plainer(case, refusal)
    try:
        run_once(port, *simpler.arrays, **simpler.scalars)
    except RaisedError as error:
        case, words = simpler, str(error)
    return Failure(case, None, words, error=RaisedError(words))


def shortened(port: Port, failure: RunFailure[Trajectory]) -> RunFailure[Trajectory]:
    """The shortest rejected run found."""
    best, attempts = failure, 0
    progress = True
    while progress and attempts < ATTEMPTS:
        progress = False
        for run in filter(_possible, _shorter(best)):
            attempts += 1 + len(run.events) // EVENTS
            found = follow(port, run, Tally(port.declared))
            if found is not None:
                best, progress = found, True
                break
            if attempts >= ATTEMPTS:
                break
    return best


def _shorter(failure: RunFailure[Trajectory]) -> Iterator[Trajectory]:
    """Runs with something left out: elements, tensors, then events but the one that fails."""
    run = failure.run
    if not any(isinstance(event, (Split, Merge)) for event in run.events):
        if any(x.size > 1 for x in run.start.params):
            yield _element(run, first_difference(failure.last) or 0)
        tensors = range(len(run.start.params))
        if len(tensors) > 1:
            yield from (_only(run, [i]) for i in tensors)
            yield from (_only(run, [k for k in tensors if k != i]) for i in tensors)
    *before, last = run.events
    for count in dict.fromkeys((len(before), len(before) // 2, 1)):
        for at in range(0, len(before), count or 1):
            yield replace(run, events=(*before[:at], *before[at + count :], last))


def _possible(run: Trajectory) -> bool:
    """Whether every event still has what it needs: tensors that fit, a schedule, a frozen one."""
    state, scheduled, frozen = run.start, False, set[int]()
    for event in run.events:
        if isinstance(event, Step):
            scheduled &= event.lr is None
            if not _fits(event, state) or (event.lr is None and not scheduled):
                return False
            continue
        scheduled |= isinstance(event, Schedule)
        if isinstance(event, Freeze):
            frozen.add(event.tensor)
        elif isinstance(event, Thaw):
            if event.tensor not in frozen:
                return False
            frozen.remove(event.tensor)
        elif isinstance(event, (Split, Merge)) and (frozen or not _can_be_cut(event, state)):
            return False
        state = event.leaves(state)
    return True


def _fits(step: Step, state: State) -> bool:
    """Whether there is a gradient of its shape for each tensor, or none."""
    return len(step.grads) == len(state.params) and all(
        grad is None or grad.shape == param.shape
        for grad, param in zip(step.grads, state.params, strict=True)
    )


def _can_be_cut(event: Split | Merge, state: State) -> bool:
    """Whether the tensor has rows; and the next one, where the two are joined."""
    shapes = [x.shape for x in state.params[event.tensor : event.tensor + 2]]
    if isinstance(event, Split):
        return bool(shapes and shapes[0])
    return len(shapes) == 2 and all(shapes) and shapes[0][1:] == shapes[1][1:]


def _only(run: Trajectory, kept: list[int]) -> Trajectory:
    """The run of some of its tensors."""
    start = State.of((run.start.params[i] for i in kept), (run.start.momenta[i] for i in kept))
    events = (_event_of(event, kept) for event in run.events)
    return replace(run, start=start, events=tuple(event for event in events if event is not None))


def _event_of(event: Event, kept: list[int]) -> Event | None:
    """What is left of an event where some tensors are left out."""
    if isinstance(event, Step):
        return event.with_grads(tuple(event.grads[i] for i in kept))
    if isinstance(event, (Freeze, Thaw)):
        return replace(event, tensor=kept.index(event.tensor)) if event.tensor in kept else None
    return event


def _element(run: Trajectory, index: int) -> Trajectory:
    """The run of one element of each tensor that has as many."""

    def cut(array: Array) -> Array:
        flat = array.reshape(-1)
        return flat[index : index + 1] if index < flat.size else flat[:1]

    start = State.of(map(cut, run.start.params), map(cut, run.start.momenta))
    events = (
        event.with_grads(tuple(None if x is None else cut(x) for x in event.grads))
        if isinstance(event, Step)
        else event
        for event in run.events
    )
    return replace(run, start=start, events=tuple(events))
