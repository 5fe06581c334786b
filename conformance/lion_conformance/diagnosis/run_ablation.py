"""Without which event a run would be right: a weaker word, where no alternative has every bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from lion_conformance.diagnosis.alternatives.places import EVENTS, ordinal
from lion_conformance.diagnosis.alternatives.session import Otherwise, Reference, Session
from lion_conformance.diagnosis.fresh_runs import twin
from lion_conformance.diagnosis.judged_run import NAMES, Judged, differing
from lion_conformance.diagnosis.run_inquiry import Inquiry
from lion_conformance.diagnosis.unread import PLAINLY, WAYS, Way
from lion_conformance.ports.protocol import PortError
from lion_conformance.ports.state import State
from lion_conformance.runs.events import Event, Freeze, Merge, Refuse, Restore, Split, Step, Thaw
from lion_conformance.runs.trajectory import Trajectory
from lion_conformance.verdict.cause import Cause, Kind
from lion_conformance.verdict.code import Code
from lion_ref.arithmetic import Array

TOGETHER: Final = ({Freeze, Thaw}, {Split, Merge})
"""Events of which one alone cannot be left out."""


def without_which(inquiry: Inquiry) -> Cause | None:
    """What can be said of the run at all, confirmed with and without it."""
    failed = inquiry.failed
    if failed.at is None:
        return _unread(inquiry)
    event = failed.run.events[failed.at]
    if failed.at < len(inquiry.run.events) - 1:  # not yet where it is rejected
        return _unread(inquiry)  # what earlier runs have left may be why it is wrong here, alone
    if isinstance(event, Refuse):
        told = inquiry.judged(twin(failed.run, 0))
        same = told.at is not None and isinstance(told.run.events[told.at], Refuse)
        words = "a refused step changes the state"
        return Cause(Kind.RUN, Code.REFUSED_STEP_CHANGES_STATE, words, "C14") if same else None
    return _after_an_event(inquiry) or _by_an_event(inquiry, event) or _from_a_step(inquiry)


def _by_an_event(inquiry: Inquiry, event: Event) -> Cause | None:
    """The event itself, behind which all was right before."""
    if isinstance(event, Step) or type(event) not in NAMES:
        return None
    run = inquiry.failed.run.until(inquiry.failed.at or 0)
    judged = [inquiry.judged(twin(run, seed)) for seed in (0, 1)]
    if not all(x.at is not None and type(x.run.events[x.at]) is type(event) for x in judged):
        return None
    words = f"{_wrong_arrays(judged)} wrong {_said({type(event)})}"
    return _of_run(Code.WRONG_AFTER_EVENT, words)


def _after_an_event(inquiry: Inquiry) -> Cause | None:
    """Events each of which the failure needs."""
    failed = inquiry.failed
    run = failed.run.until(failed.at or 0)
    fresh = [twin(run, seed) for seed in (0, 1)]
    judged = [inquiry.judged(x) for x in fresh]
    if any(x.at is None for x in judged):
        return None
    needed = []
    for kinds in _kinds(run):
        ablated = [_left_out(x, kinds) for x in (run, *fresh)]
        if all(inquiry.judged(x).at is None for x in ablated if x is not None) and all(ablated):
            needed.append(kinds)
    if _gradients_needed(inquiry, fresh):
        needed.append({Step})
    what = _wrong_arrays([failed, *judged])
    words = [_said(kinds) for kinds in needed]
    if not words or len(words) > 2:
        return None
    return _of_run(Code.WRONG_AFTER_EVENT, f"{what} wrong {' and '.join(words)}")


def _kinds(run: Trajectory) -> Iterator[set[type[Event]]]:
    """The kinds of events in a run, those that belong together in one."""
    found: set[type[Event]] = {type(x) for x in run.events} & NAMES.keys()
    for together in TOGETHER:
        if found & together:
            yield found & together
            found -= together
    for kind in found:
        yield {kind}


def _left_out(run: Trajectory, kinds: set[type[Event]]) -> Trajectory | None:
    """The run without events of some kinds; None if it would not fit together."""
    events = tuple(x for x in run.events if type(x) not in kinds)
    state = run.start
    for event in events:
        if isinstance(event, Step):
            shapes = [x.shape for x in state.params]
            given = [None if g is None else g.shape for g in event.grads]
            fits = len(given) == len(shapes) and all(
                g is None or g == s for g, s in zip(given, shapes, strict=True)
            )
            if not fits or event.lr is None:
                return None
        else:
            state = event.leaves(state)
    return replace(run, events=events) if any(isinstance(x, Step) for x in events) else None


def _gradients_needed(inquiry: Inquiry, fresh: Sequence[Trajectory]) -> bool:
    """Whether the failure needs a tensor without a gradient."""
    full = []
    for run in fresh:
        steps = [x for x in run.events if isinstance(x, Step)]
        if not any(grad is None for x in steps for grad in x.grads):
            return False
        events = []
        for event in run.events:
            filled = event
            if isinstance(event, Step):
                zeros = [p * 0 + p.dtype.type(0.25) for p in _params(run, event)]
                if len(zeros) != len(event.grads):
                    return False
                pairs = zip(event.grads, zeros, strict=True)
                filled = event.with_grads(tuple(z if g is None else g for g, z in pairs))
            events.append(filled)
        full.append(replace(run, events=tuple(events)))
    return all(inquiry.judged(run).at is None for run in full)


def _params(run: Trajectory, step: Step) -> Sequence[Array]:
    """The parameters when a step comes."""
    state = run.start
    for event in run.events:
        if event is step:
            break
        if not isinstance(event, Step):
            state = event.leaves(state)
    return state.params


def _said(kinds: set[type[Event]]) -> str:
    if kinds == {Step}:
        return "once a tensor had no gradient"
    first = next(x for x in NAMES if x in kinds)
    words = EVENTS[NAMES[first]]
    return f"after {words}" if words.endswith(("restore", "device")) else f"once {words}"


def _wrong_arrays(judged: Sequence[Judged]) -> str:
    """Which of θ and m are wrong."""
    found = set()
    for x in judged:
        got, wanted = x.got[x.at or 0], x.wanted[x.at or 0]
        if isinstance(got, State) and isinstance(wanted, State):
            for name, which in (("θ", "params"), ("m", "momenta")):
                pair = (State(getattr(s, which), getattr(s, which)) for s in (got, wanted))
                if differing(*pair):
                    found.add(name)
    names = [x for x in ("θ", "m") if x in found]
    return f"{' and '.join(names)} are" if len(names) > 1 else f"{names[0] if names else 'it'} is"


def _from_a_step(inquiry: Inquiry) -> Cause | None:
    """From which step of a session on, or at which, if it is steps alone."""
    if not all(isinstance(x, Step) for x in inquiry.run.events):
        return None
    twins = inquiry.twins
    found = [wrong_steps(x, inquiry.reference) for x in twins]
    if not all(found):
        return None
    firsts = {x[0] for x in found}
    if len(firsts) != 1:
        return None
    first = firsts.pop()
    what = _wrong_arrays(twins)
    every = all(
        steps == list(range(first, len(x.got) + 1)) for steps, x in zip(found, twins, strict=True)
    )
    if first == 1:
        words = f"{what} wrong in a list of several tensors"
        alone = _alone_right(inquiry)
        return Cause(Kind.RUN, Code.TENSORS_MIXED_UP, words, "C12") if alone else None
    if every:
        words = f"from the {ordinal(first)} step of a session on"
    elif all(steps == [first] for steps in found):
        words = f"at the {ordinal(first)} step of a session"
    else:
        words = f"at some steps, the {ordinal(first)} of a session the first"
    return _of_run(Code.SOME_STEPS_WRONG, f"{what} wrong {words}")


def _of_run(code: Code, words: str) -> Cause:
    return Cause(Kind.RUN, code, words, "C30")


def _alone_right(inquiry: Inquiry) -> bool:
    """Whether each of the first tensors is right in a session of its own."""
    run = inquiry.twins[0].run
    for i in range(min(3, len(run.start.params))):
        start = State(run.start.params[i : i + 1], run.start.momenta[i : i + 1])
        events = [x.with_grads(x.grads[i : i + 1]) for x in run.events if isinstance(x, Step)]
        if inquiry.judged(replace(run, start=start, events=tuple(events))).at is not None:
            return False
    return len(run.start.params) > 1


def wrong_steps(judged: Judged, reference: Reference) -> list[int]:
    """The steps, by their number, that are wrong from the state that the port was in."""
    run, state, found = judged.run, judged.run.start, []
    for t, (event, after) in enumerate(zip(run.events, judged.got, strict=False)):
        if not isinstance(after, State) or not isinstance(event, Step):
            return []
        session = Session(
            Otherwise(), reference, state.params, state.momenta, beta1=run.beta1, beta2=run.beta2
        )
        event.happen(session, list(event.grads))
        if not State(*map(tuple, session.read())).equals(after):
            found.append(t + 1)
        state = after
    return found


def _unread(inquiry: Inquiry) -> Cause | None:
    """In which way the run has to be made to be wrong."""
    runs = inquiry.others if inquiry.failed.at is not None else [inquiry.failed, *inquiry.others]
    if any(x.at is not None for x in runs):
        return None
    if any(isinstance(x, Restore) and x.fresh for x in inquiry.run.events):
        words = "a run goes on otherwise when it is restored in another process"
        return _of_run(Code.NOT_RESTORED_ELSEWHERE, words)
    if all(_wrong_if_made(PLAINLY, x) for x in runs):
        without = [_left_out(x.run, {Restore}) for x in runs]
        for run in without:
            if run is None or any(inquiry.judged(run).at is not None for _ in range(2)):
                return _of_run(PLAINLY.code, PLAINLY.words)
        words = "what was saved is other when it is restored a second time"
        return _of_run(Code.SAVED_STATE_CHANGES, words)
    for way in WAYS:
        if all(_wrong_if_made(way, x) and not _wrong_if_made(PLAINLY, x) for x in runs):
            return _of_run(way.code, way.words)
    return None


def _wrong_if_made(way: Way, judged: Judged) -> bool:
    """Whether the port is wrong if a run is made so, and another session of the right one not."""
    make: Callable[..., list[State]] = way.make
    try:
        got = make(judged.port, judged.run)
    except PortError:
        return True
    wanted = make(judged.right, judged.run)
    return not all(a.equals(b) for a, b in zip(got, wanted, strict=True))
