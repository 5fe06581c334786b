"""What a port keeps from call to call: chance, a count, the scalars of the call before, a cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.diagnosis import call_sequences as sequences
from lion_conformance.diagnosis.alternatives.calls import kept_between_calls
from lion_conformance.diagnosis.alternatives.places import ordinal
from lion_conformance.diagnosis.alternatives.schedules import WARM_UPS
from lion_conformance.diagnosis.alternatives.session import (
    Otherwise,
    Pair,
    Reference,
    Session,
    Turn,
)
from lion_conformance.diagnosis.alternatives.steps import Change, changes
from lion_conformance.diagnosis.single_step import semantics_of_a_step
from lion_conformance.ports.layouts import like
from lion_conformance.ports.protocol import Port, PortError, answering, run_once
from lion_conformance.verdict.cause import Cause, Kind
from lion_conformance.verdict.code import Code
from lion_conformance.verdict.failure import Failure
from lion_ref import CANONICAL
from lion_ref.acceptance import judge
from lion_ref.arithmetic import Array, all_same_bits

REPEATS = 128
"""Calls with the same inputs: beyond the period of most counters."""

LATE = 100_000
"""A call at which a count decides nothing more."""

VALUES = 3
"""Bits that an element has by chance: of two ways, or of none."""


def cause_of_calls(port: Port, failure: Failure) -> Cause | None:
    """The cause of a step that is right, or other, at another call; None if there is no other."""
    try:
        return _Calls(port, failure).cause()
    except PortError:
        return None


def same(one: Pair, other: Pair) -> bool:
    """The same bits."""
    return all(all_same_bits(a, b) for a, b in zip(one, other, strict=True))


def _of_calls(words: str) -> Cause:
    """Of a cause that begins, or comes again, at some calls."""
    return Cause(Kind.RUN, Code.SOME_STEPS_WRONG, words, "C12")


def as_turn(case: Case) -> Turn:
    """A case as a turn."""
    return Turn(0, *case.arrays, **case.scalars)


def reversed_in_place(session: Session, turn: Turn) -> Pair:
    """The elements, and so the results, from the last to the first."""
    names = ("param", "momentum", "grad")
    flipped: dict[str, Any] = {
        name: x.reshape(-1)[::-1].reshape(x.shape)
        for name in names
        if (x := getattr(turn, name)) is not None
    }
    return session.reference.step(replace(turn, **flipped))


class _Calls:
    def __init__(self, port: Port, failure: Failure) -> None:
        self.port, self.failure, self.case = port, failure, failure.case
        semantics = port.declared or CANONICAL
        if self._stays and not self._once_right:
            semantics = semantics_of_a_step(port, self.case.triple) or semantics
        self.reference = Reference(semantics)
        self.session = Session(
            Otherwise(), self.reference, [self.case.param], [self.case.momentum],
            beta1=self.case.beta1, beta2=self.case.beta2,
        )  # fmt: skip

    def ask(self, case: Case) -> Pair:
        """What the port says, copied: it may use its memory again."""
        got = run_once(self.port, *case.arrays, **case.scalars)
        return got[0].copy(), got[1].copy()

    @cached_property
    def _again(self) -> list[Pair]:
        """The case's answers now."""
        return [self.ask(self.case) for _ in range(3)]

    @cached_property
    def _stays(self) -> bool:
        """Whether the case has the bits that it had."""
        failure = self.failure
        if failure.again is not None or not failure.alone:
            return False
        return all(failure.got is None or same(x, failure.got) for x in self._again)

    @cached_property
    def _once_right(self) -> bool:
        """Whether the first case of all, which passed, is wrong by now."""
        first = self.failure.passed
        if first is None:
            return False
        judged = judge(*first.arrays, *self.ask(first), **first.scalars)
        return not (judged.param.accepted.all() and judged.momentum.accepted.all())

    def cause(self) -> Cause | None:
        """The cause, if it is one of calls."""
        known = self._written_late() or self._known_by_array()
        if known is not None:
            return known
        kept = self._kept()
        if kept is not None or self._stays:
            return kept
        answers = [self.ask(self.case) for _ in range(REPEATS)]
        return (
            self._periodic(answers)
            or self._counted(answers)
            or self._at_first(answers)
            or self._by_chance(answers)
        )

    # What is kept.

    def _kept(self) -> Cause | None:
        """Something that gives each answer of two fresh sequences of calls."""
        made = [self._sequence(seed) for seed in (0, 1)]
        if all(not x.wrong for x in made):
            return None
        for which in kept_between_calls((self.failure.passed or self.case).scalars):
            if all(x.fits(which.make(self.reference)) for x in made):
                return Cause(Kind.RUN, which.code, which.sentence, "C12")
        if self._once_right and all(x.wrong == list(range(len(x.cases))) for x in made):
            return self._from_some_call_on(made)
        return None

    def _sequence(self, seed: int) -> sequences.Sequence:
        cases = sequences.drawn(self.case.triple, seed, avoiding=self.port.compiles)
        return sequences.Sequence(cases, [self.ask(x) for x in cases], self.reference)

    def _from_some_call_on(self, made: Sequence[sequences.Sequence]) -> Cause:
        pairs = [pair for x in made for pair in zip(x.cases, x.got, strict=True)]
        for change in self._changes():
            if all(self._is(change, case, got) for case, got in pairs):
                return _of_calls(f"from some call on, {change.words}")
        return _of_calls("right in the first calls, wrong from some call on")

    def _changes(self) -> Iterator[Change]:
        yield from changes()
        yield Change(
            "the elements come in reversed order", Code.SOME_STEPS_WRONG, reversed_in_place
        )

    def _is(self, change: Change, case: Case, got: Pair) -> bool:
        return same(change.act(self.session, as_turn(case)), got)

    def _written_late(self) -> Cause | None:
        """Whether what was returned changes until the next call is over, and is right then."""
        for case in sequences.of_one_shape(self.case.triple)[:2]:
            got = run_once(self.port, *case.arrays, **case.scalars)
            before, right = (got[0].copy(), got[1].copy()), self.reference.step(as_turn(case))
            self.ask(self.case)
            if same(got, before) or same(before, right) or not same(got, right):
                return None
        words = "results are still being written when the call has returned"
        return Cause(Kind.CONTRACT, Code.STILL_BEING_WRITTEN, words, "C12")

    def _known_by_array(self) -> Cause | None:
        """Whether new numbers in an array that it knows are not read."""
        cases = sequences.of_one_shape(self.case.triple)
        for at, name in ((2, "gradient"), (1, "momentum"), (0, "parameter")):
            arrays = [like(x) for x in cases[0].arrays]
            found = []
            for case in cases:
                given = [like(x) for x in case.arrays]
                arrays[at][...] = case.arrays[at]
                given[at] = arrays[at]
                old = list(case.arrays)
                old[at] = cases[0].arrays[at]
                got = self._step(case, given)
                wrong = not same(got, self.reference.step(as_turn(case)))
                found.append(
                    wrong and same(got, self.reference.step(as_turn(case.with_arrays(old))))
                )
            if not found[0] and all(found[1:]):
                words = f"a {name} is known by its array: new numbers in it are not read"
                return Cause(Kind.RUN, Code.KNOWN_BY_ARRAY, words, "C12")
        return None

    def _step(self, case: Case, given: Sequence[Array]) -> Pair:
        """A step with these very arrays."""
        param, momentum, grad = given
        with answering():
            session = self.port.open([param], [momentum], beta1=case.beta1, beta2=case.beta2)
            session.step([grad], lr=case.lr, weight_decay=case.weight_decay)
            shown = session.read()
            return np.array(shown[0][0]), np.array(shown[1][0])

    # The same call, many times.

    def _right(self) -> Pair:
        return self.reference.step(as_turn(self.case))

    def _periodic(self, answers: Sequence[Pair]) -> Cause | None:
        """Every so many calls, and no other."""
        right = self._right()
        wrong = [t for t, x in enumerate(answers) if not same(x, right)]
        gaps = {b - a for a, b in pairwise(wrong)}
        if len(gaps) != 1 or len(wrong) < 3 or gaps == {1}:
            return None
        period = gaps.pop()
        if wrong[0] >= period or wrong[-1] + period < len(answers):
            return None
        every = "every other call" if period == 2 else f"every {ordinal(period)} call"
        for change in self._changes():
            if all(self._is(change, self.case, answers[t]) for t in wrong):
                return _of_calls(f"{every}, {change.words}")
        return _of_calls(f"{every} is wrong")

    def _at_first(self, answers: Sequence[Pair]) -> Cause | None:
        """Wrong at the first calls of all, right by now."""
        got, again, right = self.failure.got, self.failure.again, self._right()
        if got is None or same(got, right) or not all(same(x, right) for x in answers):
            return None
        if again is None or same(again, right):
            first = "the first call" if self.failure.passed is None else "one call"
            for change in self._changes():
                if self._is(change, self.case, got):
                    return _of_calls(f"{first} alone is wrong: {change.words}")
            return _of_calls(f"{first} alone is wrong")
        return _of_calls("wrong at the first calls of all, right later")

    def _counted(self, answers: Sequence[Pair]) -> Cause | None:
        """What the count of calls decides: the first two, and those of now."""
        got, again = self.failure.got, self.failure.again
        if got is None or again is None:
            return None
        for words, made, number in self._by_count():
            if same(got, made(1)) and same(again, made(2)):
                now = number(answers[0])
                if all(same(x, made(now + t)) for t, x in enumerate(answers)):
                    return Cause(Kind.RUN, Code.HIDDEN_SCHEDULE, words, "C12")
        return None

    def _by_count(self) -> Iterator[tuple[str, Callable[[int], Pair], Callable[[Pair], int]]]:
        """In words, the answer of the t-th call, and which call an answer is of."""
        for calls in WARM_UPS:
            for name, greek in (("lr", "η"), ("weight_decay", "λ")):
                yield (
                    f"{greek} grows over the first {calls:,} calls",
                    partial(self._grown, name, calls),
                    partial(self._number_grown, name, calls),
                )
        yield (
            "m' is divided by 1-β2^t, t counted over all calls",
            self._corrected,
            self._number_corrected,
        )

    def _grown(self, name: str, calls: int, number: int) -> Pair:
        turn = as_turn(self.case)
        setattr(turn, name, min(1.0, number / calls) * getattr(turn, name))
        return self.reference.step(turn)

    def _number_grown(self, name: str, calls: int, answer: Pair) -> int:
        found = (t for t in range(1, calls + 1) if same(answer, self._grown(name, calls, t)))
        return next(found, calls)

    def _corrected(self, number: int) -> Pair:
        param, momentum = self._right()
        with np.errstate(all="ignore"):
            exact = momentum.astype(np.float64) / (1 - self.case.beta2**number)
            return param, exact.astype(momentum.dtype)

    def _number_corrected(self, answer: Pair) -> int:
        """Its t, from the largest finite quotient of the answer and what is right."""
        with np.errstate(all="ignore"):
            quotient = self._right()[1].astype(np.float64) / answer[1].astype(np.float64)
            power = 1 - np.median(quotient[np.isfinite(quotient)])
            about = np.log(power) / np.log(self.case.beta2) if power > 0 else np.inf
        near = range(max(1, int(about) - 60), int(about) + 60) if np.isfinite(about) else ()
        return next((t for t in near if same(answer, self._corrected(t))), LATE)

    def _by_chance(self, answers: Sequence[Pair]) -> Cause | None:
        """Whether each element has one of few values, at calls that have no rule."""
        if all(same(x, answers[0]) for x in answers):
            return None
        most = 0
        for which in (0, 1):
            stacked = np.stack([x[which].reshape(-1) for x in answers])
            patterns = np.sort(stacked.view(f"u{stacked.dtype.itemsize}"), axis=0)
            distinct = 1 + (patterns[1:] != patterns[:-1]).sum(axis=0)
            most = max(most, int(distinct.max(initial=1)))
        words = "the same inputs give other bits at another call"
        if most <= VALUES:
            words += ", by chance or by a rule not found"
        return Cause(Kind.CHANCE, Code.OTHER_AT_ANOTHER_CALL, words, "C12")
