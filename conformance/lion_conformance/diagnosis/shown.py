"""What a port shows along a run, event by event, to be compared bit for bit with another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lion_conformance.diagnosis.alternatives.session import (
    Otherwise,
    Reference,
    Session,
    restored,
)
from lion_conformance.ports.protocol import Port, PortError
from lion_conformance.ports.state import State
from lion_conformance.runs.events import Event, Refuse, Restore, Step
from lion_conformance.runs.observed import ObservedSession
from lion_conformance.runs.rerun import rerun
from lion_conformance.runs.trajectory import Trajectory

Moment = State | str
"""The state behind an event; where there is none, what is wrong."""


def observed(port: Port, run: Trajectory) -> Iterator[Moment]:
    """The state behind each event of a run that is read after every one, alone."""
    try:
        session = ObservedSession(port, run.start, beta1=run.beta1, beta2=run.beta2)
        for event in run.events:
            session.apply(event)
            if event is run.events[-1]:
                session.look_back()
            yield session.state
    except PortError as error:
        yield str(error)


def of_session(otherwise: Otherwise, reference: Reference, run: Trajectory) -> Iterator[Moment]:
    """The same of a session of the reference in which one thing is otherwise, without checks."""
    session = Session(
        otherwise, reference, run.start.params, run.start.momenta, beta1=run.beta1, beta2=run.beta2
    )
    session.read()
    for event in run.events:
        session = happened(session, event)
        with np.errstate(all="ignore"):
            params, momenta = session.read()
        yield State(tuple(params), tuple(momenta))


def happened(session: Session, event: Event) -> Session:
    """The session behind an event."""
    with np.errstate(all="ignore"):
        if isinstance(event, Restore):
            return restored(session.otherwise, session.reference, session.save())
        if isinstance(event, Step):
            event.happen(session, session.thawed(event.grads))
        elif not isinstance(event, Refuse):
            event.happen(session)
    return session


def once_more(port: Port, run: Trajectory, shown: Sequence[State]) -> Iterator[Moment]:
    """What is read when the run is made once more otherwise: see `rerun`."""
    betas = (run.beta1, run.beta2)
    try:
        for answers in rerun(port, run.start, betas, run.events, shown):
            yield State(tuple(x.got[0] for x in answers), tuple(x.got[1] for x in answers))
    except PortError as error:
        yield str(error)


def alike(one: Moment, other: Moment) -> bool:
    """The same bits, or the same words."""
    if isinstance(one, State) and isinstance(other, State):
        return one.equals(other)
    return isinstance(one, str) and isinstance(other, str) and one == other


def parted(some: Iterator[Moment] | Sequence[Moment], others: Iterator[Moment]) -> int | None:
    """The first event behind which they are not alike."""
    for t, (one, other) in enumerate(zip(some, others, strict=False)):
        if not alike(one, other):
            return t
    return None
