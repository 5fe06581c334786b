"""The ways in which a run is made otherwise than alone and read after every event, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from lion_conformance.ports.protocol import Port
from lion_conformance.ports.state import State
from lion_conformance.runs.events import Restore, Step
from lion_conformance.runs.rerun import otherwise
from lion_conformance.runs.session import OpenSession
from lion_conformance.runs.trajectory import Trajectory
from lion_conformance.verdict.code import Code
from lion_ref.arithmetic import Array


@dataclass(frozen=True, slots=True)
class Way:
    """One way, and what is said of a port that is wrong in it."""

    words: str
    code: Code
    make: Callable[[Port, Trajectory], list[State]]
    """What is read, at the end or now and then."""


def _opened(port: Port, run: Trajectory) -> OpenSession:
    return OpenSession(port, run.start, beta1=run.beta1, beta2=run.beta2)


def _made(
    port: Port,
    run: Trajectory,
    *,
    read: bool = True,
    beside: bool = False,
    one_memory: bool = False,
    goes_on: bool = False,
) -> list[State]:
    """The states that are shown, where the run is read after every event or at its end alone."""
    session, like, shown = _opened(port, run), run.start, []
    other = None
    if beside:
        negated = State(tuple(-x for x in like.params), tuple(-x for x in like.momenta))
        other = OpenSession(port, negated, beta1=run.beta2, beta2=run.beta1)
    memory: dict[int, Array] = {}
    for event in run.events:
        if isinstance(event, Step):
            grads = session.thawed(event)
            session.step(event, _in_one_memory(grads, memory) if one_memory else grads)
            for array in memory.values():
                array[...] = 1
        elif isinstance(event, Restore) and goes_on:
            session.saved()
        else:
            session.happen(event)
        if other is not None:
            again = otherwise(event)
            if isinstance(again, Step):
                other.step(again, other.thawed(again))
            else:
                other.happen(again)
        if not isinstance(event, Step):
            like = event.leaves(like)
        if read:
            shown.append(session.read(like))
    return [*shown, session.read(like)]


def _in_one_memory(grads: list[Array | None], memory: dict[int, Array]) -> list[Array | None]:
    given: list[Array | None] = []
    for i, grad in enumerate(grads):
        if grad is None:
            given.append(None)
            continue
        if i not in memory or (memory[i].shape, memory[i].dtype) != (grad.shape, grad.dtype):
            memory[i] = grad.copy()
        memory[i][...] = grad
        given.append(memory[i])
    return given


def _late(port: Port, run: Trajectory) -> list[State]:
    """What was saved, restored when the run is over."""
    session, like, saved = _opened(port, run), run.start, []
    for event in run.events:
        if isinstance(event, Restore):
            saved.append((session.saved(), session.again(), like))
            continue
        if isinstance(event, Step):
            session.step(event, session.thawed(event))
        else:
            session.happen(event)
            like = event.leaves(like)
    shown = []
    for octets, later, then in saved:
        later.resume(octets)
        shown.append(later.read(then))
        shown += _a_step_on(run, later, then)
    return shown


def _a_step_on(run: Trajectory, session: OpenSession, state: State) -> Iterator[State]:
    """The state behind a step like the run's last, if it has its own scalars."""
    steps = [x for x in run.events if isinstance(x, Step) and len(x.grads) == len(state.params)]
    for step in steps[-1:]:
        if step.lr is not None:
            grads = [None if i in session.frozen else x for i, x in enumerate(state.params)]
            session.step(step, grads)
            yield session.read(state)


def _anew(port: Port, run: Trajectory) -> list[State]:
    """A session that begins where another stands half-way."""
    half = len(run.events) // 2
    if not all(isinstance(x, (Step, Restore)) for x in run.events):
        return []
    shown = _made(port, run.until(half - 1), read=True)[-1]
    later = OpenSession(port, shown, beta1=run.beta1, beta2=run.beta2)
    whole, states = _opened(port, run), []
    for t, event in enumerate(run.events):
        for session in (whole, later) if t >= half else (whole,):
            if isinstance(event, Step):
                session.step(event, session.thawed(event))
            else:
                session.happen(event)
            states.append(session.read(run.start))
    return states


PLAINLY: Final = Way(
    "a run is other when it is made a second time", Code.OTHER_AT_ANOTHER_CALL, _made
)

WAYS: Final = (
    Way(
        "wrong if read() is not called after each step",
        Code.READING_MATTERS,
        partial(_made, read=False),
    ),
    Way(
        "wrong when two sessions are interleaved",
        Code.SESSIONS_SHARE_STATE,
        partial(_made, beside=True),
    ),
    Way(
        "wrong if gradients lie in the same memory at each step",
        Code.KNOWN_BY_ARRAY,
        partial(_made, one_memory=True),
    ),
    Way(
        "a session that was saved goes on otherwise",
        Code.SAVING_CHANGES_SESSION,
        partial(_made, goes_on=True),
    ),
    Way(
        "what was saved is other when it is restored after the session went on",
        Code.SAVED_STATE_CHANGES,
        _late,
    ),
    Way(
        "a session goes on otherwise than one that begins with its θ and m",
        Code.HIDDEN_STATE,
        _anew,
    ),
)
