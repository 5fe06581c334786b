"""A run of a port, what it shows along it, and where that parts from a right session."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from lion_conformance.diagnosis.alternatives.alternative import Alternative
from lion_conformance.diagnosis.alternatives.session import (
    Otherwise,
    Reference,
    as_port,
)
from lion_conformance.diagnosis.shown import (
    Moment,
    observed,
    of_session,
    once_more,
    parted,
)
from lion_conformance.ports.protocol import Port, PortError
from lion_conformance.ports.state import State
from lion_conformance.runs.events import (
    Event,
    Freeze,
    Merge,
    MomentumDtype,
    Move,
    Restore,
    Schedule,
    Split,
    Step,
    Thaw,
)
from lion_conformance.runs.fixed import fixed_runs
from lion_conformance.runs.session import OpenSession
from lion_conformance.runs.trajectory import Trajectory

NAMES: dict[type[Event], str] = {
    Restore: "restore",
    Freeze: "freeze",
    Thaw: "thaw",
    Split: "split",
    Merge: "merge",
    MomentumDtype: "momentum_dtype",
    Move: "move",
    Schedule: "schedule",
}


@dataclass
class Judged:
    """A run, what the port shows along it, and where that parts from the right session."""

    port: Port
    right: Port
    run: Trajectory
    reference: Reference

    @cached_property
    def got(self) -> list[Moment]:
        """What the port shows, alone and read after every event."""
        thaw_all(self.port, self.run)
        return list(observed(self.port, self.run))

    @cached_property
    def wanted(self) -> list[Moment]:
        """What the right session shows."""
        return list(of_session(Otherwise(), self.reference, self.run))

    @cached_property
    def at(self) -> int | None:
        """The first event behind which the port is wrong; None if it is right alone."""
        return parted(self.got, iter(self.wanted))

    @cached_property
    def states(self) -> list[State]:
        """The right states."""
        return [x for x in self.wanted if isinstance(x, State)]

    @cached_property
    def got_again(self) -> list[Moment]:
        """What the port shows otherwise."""
        thaw_all(self.port, self.run)
        return list(once_more(self.port, self.run, self.states))

    @cached_property
    def at_again(self) -> int | None:
        """The first event behind which it is wrong then."""
        return parted(self.got_again, once_more(self.right, self.run, self.states))

    def step_number(self) -> int:
        """Which step of the run the wrong event is, or comes behind."""
        until = self.run.events[: (self.at or 0) + 1]
        return sum(isinstance(x, Step) for x in until)

    def wrong(self) -> list[int]:
        """The tensors that are wrong there."""
        at = self.at or 0
        got, wanted = self.got[at], self.wanted[at]
        if not isinstance(got, State) or not isinstance(wanted, State):
            return []
        return differing(got, wanted)

    def is_as(self, other: Alternative, *, until: int | None = None) -> bool:
        """Whether an alternative shows the same, up to an event or all along."""
        got = self.got if until is None else self.got[: until + 1]
        if isinstance(got[-1], str):  # no state, but words: those of a session that is checked
            port = as_port(self.port, other.make, self.reference)
            return parted(got, observed(port, self.run)) is None
        return parted(got, of_session(other.make(), self.reference, self.run)) is None

    def is_as_again(self, other: Port, *, until: int | None = None) -> bool:
        """Whether it does so when the run is made once more otherwise."""
        got = self.got_again if until is None else self.got_again[: until + 1]
        return parted(got, once_more(other, self.run, self.states)) is None


def whole(port: Port, run: Trajectory) -> Trajectory:
    """The fixed run that a run is the beginning of, if it is."""
    count = len(run.events)
    for fixed in fixed_runs(port, run.start.params[0].dtype.name):
        pairs = zip(fixed.events, run.events, strict=False)
        if len(fixed.events) >= count and all(a is b for a, b in pairs):
            return fixed
    return run


def thaw_all(port: Port, run: Trajectory) -> None:
    """Let no run have left frozen what others then find so, where sessions share it."""
    if not any(isinstance(x, Freeze) for x in run.events):
        return
    with suppress(PortError):
        session = OpenSession(port, run.start, beta1=run.beta1, beta2=run.beta2)
        for i in range(len(run.start.params)):
            session.happen(Freeze(i))
            session.happen(Thaw(i))


def differing(one: State, other: State) -> list[int]:
    """The tensors that are not alike."""
    pairs = zip(one.tensors, other.tensors, strict=True)
    return [
        i
        for i, (a, b) in enumerate(pairs)
        if not State((a[0],), (a[1],)).equals(State((b[0],), (b[1],)))
    ]


def frozen_before(events: tuple[Event, ...]) -> set[int]:
    """What has been frozen, by its number then."""
    frozen: set[int] = set()
    for event in events:
        if isinstance(event, Freeze):
            frozen.add(event.tensor)
        elif isinstance(event, Thaw):
            frozen.discard(event.tensor)
    return frozen


def events_in(events: tuple[Event, ...]) -> list[str]:
    """The kinds of events, the last first."""
    found = (NAMES[type(x)] for x in reversed(events) if type(x) in NAMES)
    return list(dict.fromkeys(found))
