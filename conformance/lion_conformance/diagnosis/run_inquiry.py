"""Which alternative a port is: what has every bit of the run that failed, then of fresh ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from lion_conformance.diagnosis.alternatives.absences import absences
from lion_conformance.diagnosis.alternatives.alternative import Alternative, in_steps
from lion_conformance.diagnosis.alternatives.events import after_event, casts, cuts
from lion_conformance.diagnosis.alternatives.hidden import hidden, known_by_place
from lion_conformance.diagnosis.alternatives.lists import lists
from lion_conformance.diagnosis.alternatives.places import (
    EVERYWHERE,
    Where,
    whens,
    whens_after,
    wheres,
)
from lion_conformance.diagnosis.alternatives.restores import restores
from lion_conformance.diagnosis.alternatives.schedules import schedules, warm_ups
from lion_conformance.diagnosis.alternatives.session import (
    Otherwise,
    Reference,
    Session,
    Turn,
    as_port,
)
from lion_conformance.diagnosis.alternatives.sharing import sharing
from lion_conformance.diagnosis.alternatives.steps import Change, changes
from lion_conformance.diagnosis.fresh_runs import designed, twin
from lion_conformance.diagnosis.judged_run import (
    NAMES,
    Judged,
    differing,
    events_in,
    frozen_before,
    whole,
)
from lion_conformance.diagnosis.shown import (
    happened,
)
from lion_conformance.ports.protocol import Port
from lion_conformance.ports.state import State
from lion_conformance.runs.events import (
    Event,
    Freeze,
    Merge,
    MomentumDtype,
    Refuse,
    Restore,
    Schedule,
    Split,
    Step,
    Thaw,
)
from lion_conformance.runs.trajectory import Trajectory
from lion_ref import Semantics

MANY = 20_000
"""Elements of a run beyond which few steps are added to it."""

OLDEST = 6
"""Steps without a gradient, one after another, that are told apart."""

LONGEST = 320
"""Steps of a fresh run."""


@dataclass
class Inquiry:
    """A run that failed, and fresh ones like it."""

    port: Port
    semantics: Semantics
    run: Trajectory

    def __post_init__(self) -> None:
        self.reference = Reference(self.semantics)
        self.right = as_port(self.port, Otherwise, self.reference)
        self.failed = self.judged(self.run)
        if self.failed.at is None:  # the run beside is ahead, so that what follows may tell
            self.run = whole(self.port, self.run)
            self.failed = self.judged(self.run)

    def judged(self, run: Trajectory) -> Judged:
        """Another run of the port."""
        return Judged(self.port, self.right, run, self.reference)

    def as_port(self, alternative: Alternative) -> Port:
        """A port that is the alternative."""
        return as_port(self.port, alternative.make, self.reference)

    def answer(self) -> Alternative | None:
        """The alternative that is confirmed."""
        if self.failed.at is None:
            return self._first(self._beside(), self._same_again)
        return self._first(self._alone(), self.confirms)

    def _first(
        self, alternatives: Iterable[Alternative], same: Callable[[Alternative], bool]
    ) -> Alternative | None:
        return next(filter(same, alternatives), None)

    # Alone, and read after every event.

    @cached_property
    def twins(self) -> list[Judged]:
        """Fresh runs: one longer at its end, one at its beginning too."""
        found = [self._twin(0, 0), self._twin(1, 2)]
        if found[0].at is None:
            turned = twin(self.run, 0, after=1, turned=True)
            found.append(self.judged(turned))
        return found

    def _twin(self, seed: int, before: int) -> Judged:
        size = sum(x.size for x in self.run.start.params)
        after = 1 if size > MANY else self._more()
        return self.judged(twin(self.run, seed, before=before, after=after))

    def _more(self) -> int:
        """So many steps that what happens at the failing one happens once more, if it does."""
        steps = [x for x in self.run.events if isinstance(x, Step)]
        return max(3, min(self.failed.step_number() + 3, LONGEST - len(steps)))

    @cached_property
    def elsewhere(self) -> list[Judged]:
        """Other runs, in which what is named may not show, or show otherwise."""
        runs = designed(self.port, self.run, self.failed.step_number())
        return [self.judged(run) for run in runs]

    def confirms(self, alternative: Alternative) -> bool:
        """Whether it has every bit of the run up to where that is wrong, and of all the others."""
        at = self.failed.at
        return (
            self.failed.is_as(alternative, until=at)
            and any(x.at is not None for x in self.twins)
            and all(x.is_as(alternative) for x in self.twins)
            and all(x.is_as(alternative) for x in self.elsewhere)
        )

    def _alone(self) -> Iterator[Alternative]:
        at = self.failed.at or 0
        event = self.run.events[at]
        if isinstance(event, Step):
            yield from self._of_a_step(at, event)
        elif type(event) in NAMES:
            yield from self._of_an_event(at, event)
        elif isinstance(event, Refuse):
            yield from ()

    def _of_a_step(self, at: int, step: Step) -> Iterator[Alternative]:
        before = self.run.events[:at]
        wrong = self.failed.wrong()
        frozen = frozen_before(before)
        if any(i in frozen or step.grads[i] is None for i in wrong):
            yield from self._of_absent_tensors()
        if self._several() or step.needs is not None:
            yield from lists()
        yield from self._of_schedules(before)
        yield from warm_ups()
        yield from self._of_changes()
        yield from self._hidden()
        yield from self._of_earlier_events(before)

    def _hidden(self) -> Iterator[Alternative]:
        param, momentum = self.run.start.tensors[0]
        yield from hidden(param.dtype.name, momentum.dtype.name)
        if self.port.restore is None:
            yield from known_by_place()

    def _several(self) -> bool:
        return len(self.run.start.params) > 1

    def _of_absent_tensors(self) -> Iterator[Alternative]:
        session = self._session(self.failed)
        wrong = self.failed.wrong()
        absent = session.memory.get("absent", [])
        most = max((absent[i] + 1 for i in wrong if i < len(absent)), default=1)
        ages = range(1, min(most, OLDEST) + 1)
        sizes = [x.size for x in session.kept.params]
        places = [x for x in wheres(wrong, sizes) if all(x.holds(session, i) for i in wrong)]
        yield from absences(ages, places)

    @staticmethod
    def _of_schedules(before: tuple[Event, ...]) -> Iterator[Alternative]:
        if any(isinstance(x, (Schedule, Freeze)) for x in before):
            yield from schedules()

    def _of_earlier_events(self, before: tuple[Event, ...]) -> Iterator[Alternative]:
        for name in events_in(before):
            yield from after_event(name)
        if any(isinstance(x, (Split, Merge)) for x in before):
            yield from cuts()
        if any(isinstance(x, Restore) for x in before):
            yield from restores()

    def _of_an_event(self, at: int, event: Event) -> Iterator[Alternative]:
        if isinstance(event, (Split, Merge)):
            yield from cuts()
        if isinstance(event, MomentumDtype):
            yield from casts()
        if isinstance(event, Restore):
            yield from restores()
        yield from after_event(NAMES[type(event)], self._age(at, event))

    def _age(self, at: int, event: Event) -> int:
        """For how many steps a tensor that is thawed was frozen."""
        if not isinstance(event, Thaw):
            return 0
        count = 0
        for earlier in reversed(self.run.events[:at]):
            if isinstance(earlier, Freeze) and earlier.tensor == event.tensor:
                break
            count += isinstance(earlier, Step)
        return count

    # Changes that a step may make.

    def _of_changes(self) -> Iterator[Alternative]:
        told = [self.failed, *(x for x in self.twins if self._steps_at(x))]
        made = [(x, self._session(x)) for x in told]
        steps = sorted({2, *(x.step_number() for x in told[:2])} | {1})
        if self.failed.step_number() > 1:
            steps.remove(1)
        for change in changes():
            if not all(self._explains(change, x, session) for x, session in made):
                continue
            places = [x for x in self._places(made) if self._fits(change, x, made)]
            events = events_in(self.run.events[: self.failed.at])
            for when in (*whens(steps), *whens_after(events)):
                for where in places:
                    yield in_steps(change, when, where)

    @staticmethod
    def _steps_at(judged: Judged) -> bool:
        return judged.at is not None and isinstance(judged.run.events[judged.at], Step)

    def _session(self, judged: Judged) -> Session:
        """The right session as it is before the event at which the port is wrong."""
        run = judged.run
        session = Session(
            Otherwise(), self.reference, run.start.params, run.start.momenta,
            beta1=run.beta1, beta2=run.beta2,
        )  # fmt: skip
        for event in run.events[: judged.at]:
            session = happened(session, event)
        return session

    def _explains(self, change: Change, judged: Judged, session: Session) -> bool:
        """Whether all tensors that are wrong at the step are as the change has them."""
        changed = self._changed(change, judged, session, EVERYWHERE)
        got = judged.got[judged.at or 0]
        if not isinstance(got, State):
            return False
        return not set(differing(got, changed)) & set(judged.wrong())

    @staticmethod
    def _changed(change: Change, judged: Judged, session: Session, where: Where) -> State:
        forked = session.fork()
        forked.otherwise = _Once(change, where)
        event = judged.run.events[judged.at or 0]
        assert isinstance(event, Step)  # noqa: S101 - for mypy: see `_steps_at`
        event.happen(forked, forked.thawed(event.grads))
        return State(tuple(forked.kept.params), tuple(forked.kept.momenta))

    def _places(self, made: list[tuple[Judged, Session]]) -> list[Where]:
        wrong = sorted({i for x, _ in made for i in x.wrong()})
        sizes = [x.size for x in made[0][1].kept.params]
        return list(wheres(wrong, sizes))

    def _fits(self, change: Change, where: Where, made: list[tuple[Judged, Session]]) -> bool:
        for judged, session in made:
            got = judged.got[judged.at or 0]
            changed = self._changed(change, judged, session, where)
            if not isinstance(got, State) or differing(got, changed):
                return False
        return True

    # Once more: unread, beside another session, restored late.

    def _beside(self) -> Iterator[Alternative]:
        saves = self.port.restore is not None and any(
            isinstance(x, Restore) for x in self.run.events
        )
        yield from sharing(restores=saves)
        yield from self._hidden()

    @cached_property
    def others(self) -> list[Judged]:
        """Fresh runs, for the same."""
        runs = (twin(self.run, 2, after=3), twin(self.run, 0, before=1))
        return [self.judged(run) for run in runs]

    def _same_again(self, alternative: Alternative) -> bool:
        at = self.failed.at_again
        return (
            at is not None
            and self.failed.is_as_again(self.as_port(alternative), until=at)
            and all(
                x.is_as(alternative) and x.is_as_again(self.as_port(alternative))
                for x in self.others
            )
            and any(x.at_again is not None for x in self.others)
        )


class _Once(Otherwise):
    """The next step makes a change."""

    def __init__(self, change: Change, where: Where) -> None:
        self.change, self.where = change, where

    def stepped(self, session: Session, turn: Turn) -> tuple:  # type: ignore[type-arg]
        if self.where.holds(session, turn.tensor):
            return self.change.act(session, turn)
        return super().stepped(session, turn)
