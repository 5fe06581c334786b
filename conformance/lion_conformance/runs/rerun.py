"""A run once more, as programs make it; right is, to the bit, what it was the first time.

`ObservedSession` reads after every event, alone, and goes on in what was restored. So it cannot
show a state that is made when it is read, one that two sessions share, one that saving moves, or
one of which more is kept than read() shows. Here nobody reads for long, another run goes on beside
this one and is ahead of it, a third begins where this one stands half-way, what was saved is
restored at the very end and goes on then, and every gradient lies in the memory of the one before,
all of them in one array (SPEC C30).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from lion_conformance.ports.protocol import Port
from lion_conformance.ports.refusal import Refusal
from lion_conformance.ports.state import State
from lion_conformance.runs.avoiding import avoided, avoided_betas
from lion_conformance.runs.events import Event, Restore, Schedule, Step
from lion_conformance.runs.observed import Answer, without_gradient
from lion_conformance.runs.session import OpenSession
from lion_ref.arithmetic import Array

Betas = tuple[float, float]

AHEAD: Final = 2
"""Events that the run beside is ahead: a freezing there comes before a step here."""

SEVERAL: Final = 8
"""A run of so many events is also read half-way."""

UNREAD: Final = "are others than where the run is read after every event, alone"
ANEW: Final = "are others than in a session that began with what this one showed half-way"
LATE: Final = "are others than when they were saved: restored after the session went on"


def rerun(
    port: Port,
    start: State,
    betas: Betas,
    events: Sequence[Event],
    shown: Sequence[State],
    refusals: Sequence[Refusal] = (),
) -> Iterator[list[Answer]]:
    """For each event, what the session shows where it is read; nothing where it is not.

    shown: the states after each event, of a session that was read after every one.
    refusals: scalars that the run beside does not take.
    """
    beside_it = [avoided(otherwise(event), refusals) for event in events]
    last = len(events) - 1
    reads = {last, last // 2} if len(events) >= SEVERAL else {last}
    steps_alone = all(isinstance(event, (Step, Restore)) for event in events)
    anew: OpenSession | None = None
    saved: list[tuple[int, bytes, OpenSession]] = []
    buffers = _Buffers()
    session = OpenSession(port, start, beta1=betas[0], beta2=betas[1])
    # Other betas, but where each pair of them is compiled for.
    others = avoided_betas(betas if port.compiles else betas[::-1], refusals)
    beside = OpenSession(port, _negated(start), beta1=others[0], beta2=others[1])
    for event in beside_it[:AHEAD]:
        _happen(beside, event, buffers)
    for t, event in enumerate(events):
        if isinstance(event, Restore):
            saved.append((t, session.saved(), session.again()))
            beside.saved()
        else:
            _happen(session, event, buffers)
        for later in beside_it[t + AHEAD : t + AHEAD + 1]:
            _happen(beside, later, buffers)
        if anew is not None:
            _happen(anew, event, buffers)
        elif steps_alone and t == last // 2:
            anew = OpenSession(port, shown[t], beta1=betas[0], beta2=betas[1])
        answers = []
        if t in reads:
            answers += _compared(session.read(shown[t]), shown[t], betas, UNREAD)
        if t == last:
            if anew is not None:
                answers += _compared(anew.read(shown[t]), shown[t], betas, ANEW)
            if saved:  # the session opened last is none of this run's
                OpenSession(port, _negated(start), beta1=others[0], beta2=others[1])
            answers += _late(saved, betas, events, shown, buffers)
        yield answers


def _late(
    saved: Sequence[tuple[int, bytes, OpenSession]],
    betas: Betas,
    events: Sequence[Event],
    shown: Sequence[State],
    buffers: _Buffers,
) -> Iterator[Answer]:
    """What was saved, the last of it first, restored and taken one event on."""
    for at, octets, session in reversed(saved):
        session.resume(octets)
        yield from _compared(session.read(shown[at]), shown[at], betas, LATE)
        for event in events[at + 1 : at + 2]:
            _happen(session, event, buffers)
            yield from _compared(session.read(shown[at + 1]), shown[at + 1], betas, LATE)


def _happen(session: OpenSession, event: Event, buffers: _Buffers) -> None:
    """Let an event happen; a session that is saved goes on itself."""
    if isinstance(event, Restore):
        session.saved()
    elif isinstance(event, Step):
        session.step(event, buffers.filled(session.thawed(event)))
        buffers.spoil()
    else:
        session.happen(event)


def _compared(got: State, right: State, betas: Betas, otherwise: str) -> list[Answer]:
    return [
        Answer(i, without_gradient(want, betas), found, want, otherwise)
        for i, (found, want) in enumerate(zip(got.tensors, right.tensors, strict=True))
    ]


class _Buffers:
    """Arrays that hold the gradients of one step after another, of one session and the other."""

    def __init__(self) -> None:
        self._kept: dict[int, Array] = {}

    def filled(self, grads: Sequence[Array | None]) -> list[Array | None]:
        """The same numbers in the arrays of the step before, where they fit."""
        given = {i: grad for i, grad in enumerate(grads) if grad is not None}
        if not all(_fits(self._kept.get(i), grad) for i, grad in given.items()):
            self._kept = _in_buckets(given)
        for i, grad in given.items():
            self._kept[i][...] = grad
        return [self._kept[i] if i in given else None for i in range(len(grads))]

    def spoil(self) -> None:
        """Other numbers: nobody may read them now."""
        for array in self._kept.values():
            array[...] = 1


def _fits(kept: Array | None, grad: Array) -> bool:
    return kept is not None and (kept.shape, kept.dtype) == (grad.shape, grad.dtype)


def _in_buckets(grads: dict[int, Array]) -> dict[int, Array]:
    """Views of one array for each dtype, as data-parallel training gathers gradients."""
    sizes: dict[np.dtype[Any], int] = {}
    places = {}
    for i, grad in grads.items():
        start = sizes.get(grad.dtype, 0)
        sizes[grad.dtype] = start + grad.size
        places[i] = slice(start, start + grad.size)
    flat = {dtype: np.empty(size, dtype) for dtype, size in sizes.items()}
    return {i: flat[grads[i].dtype][place].reshape(grads[i].shape) for i, place in places.items()}


def _negated(state: State) -> State:
    return State(tuple(-x for x in state.params), tuple(-x for x in state.momenta))


def otherwise(event: Event) -> Event:
    """The event as it happens to the run beside: other gradients, another η and λ."""
    if isinstance(event, Schedule):
        return Schedule(event.lr[::-1], event.weight_decay[::-1])
    if not isinstance(event, Step):
        return event
    negated = event.with_grads(tuple(None if x is None else -x for x in event.grads))
    if event.lr is None or event.weight_decay is None:
        return negated
    return replace(negated, lr=event.lr / 2, weight_decay=event.weight_decay / 2)
