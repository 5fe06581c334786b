"""From a rejected run to the shortest one found that the port still gets wrong.

Where the port is wrong on the failing event alone, in a session of its own, it is no matter of the
run: `reduce` then finds a simple case. Else events are left out, then tensors, then elements.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lion_conformance.judge import Failure, Tally, first_difference
from lion_conformance.reduce import reduced
from lion_conformance.trajectory import RunFailure, Trajectory, follow
from lion_conformance.walk import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lion_conformance.port import Port
    from lion_conformance.walk import Array

ATTEMPTS = 60
"""Runs of the port at the most."""


def smallest(port: Port, failure: Failure | RunFailure) -> Failure | RunFailure:
    """The simplest failure found near the given one: a single step if one fails too, else a run."""
    if isinstance(failure, Failure):
        return reduced(port, failure)
    tally = Tally(port.declared)
    if not tally.add(port, failure.last.case) and isinstance(tally.failure, Failure):
        return reduced(port, tally.failure)
    return shortened(port, failure)


def shortened(port: Port, failure: RunFailure) -> RunFailure:
    """The shortest rejected run found."""
    best, attempts = failure, 0
    progress = True
    while progress and attempts < ATTEMPTS:
        progress = False
        for run in _shorter(best):
            attempts += 1
            found = follow(port, run, Tally(port.declared))
            if found is not None:
                best, progress = found, True
                break
            if attempts >= ATTEMPTS:
                break
    return best


def _shorter(failure: RunFailure) -> Iterator[Trajectory]:
    """Runs with something left out: elements, tensors, then events but the one that fails."""
    run = failure.run
    if any(x.size > 1 for x in run.start.params):
        case, got = failure.last.case, failure.last.got
        index = 0 if got is None else first_difference(case, got)
        yield _element(run, index or 0)
    tensors = len(run.start.params)
    if tensors > 1:
        yield from (_only(run, [i]) for i in range(tensors))
        yield from (_only(run, [k for k in range(tensors) if k != i]) for i in range(tensors))
    *before, last = run.events
    for count in dict.fromkeys((len(before), len(before) // 2, 1)):
        for at in range(0, len(before), count or 1):
            yield replace(run, events=(*before[:at], *before[at + count :], last))


def _only(run: Trajectory, kept: list[int]) -> Trajectory:
    """The run of some of its tensors."""
    start = State.of((run.start.params[i] for i in kept), (run.start.momenta[i] for i in kept))
    events = tuple(e.with_grads(tuple(e.grads[i] for i in kept)) for e in run.events)
    return replace(run, start=start, events=events)


def _element(run: Trajectory, index: int) -> Trajectory:
    """The run of one element of each tensor that has as many."""

    def cut(array: Array) -> Array:
        flat = array.reshape(-1)
        return flat[index : index + 1] if index < flat.size else flat[:1]

    start = State.of(map(cut, run.start.params), map(cut, run.start.momenta))
    events = tuple(e.with_grads(tuple(map(cut, e.grads))) for e in run.events)
    return replace(run, start=start, events=events)
