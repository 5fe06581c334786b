"""From bits to a verdict: the port's results against the reference's (SPEC C28, C29)."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import Any

import lion_ref
from lion_conformance.cases.case import Case
from lion_conformance.cases.fixed import ordinary_case
from lion_conformance.ports.declaration import not_as_declared
from lion_conformance.ports.protocol import (
    ChangedAnswerError,
    ChangedResultError,
    OtherDtypeError,
    Port,
    PortError,
    RaisedError,
    Triple,
    run_once,
)
from lion_conformance.ports.refusal import Refusal
from lion_conformance.verdict.accepted_set import Measure
from lion_conformance.verdict.differences import Difference, sample
from lion_conformance.verdict.failure import Failure, RunFailure
from lion_conformance.verdict.refusals import Scalars, answers, refusals_of, undeclared
from lion_conformance.verdict.verdict import Verdict
from lion_ref import Semantics
from lion_ref.acceptance import Reason, judge
from lion_ref.arithmetic import Array, all_same_bits

NO_ANSWER = (RaisedError, OtherDtypeError)
"""What a port does that does not take a dtype: it raises, or answers in another."""

OTHER_SIZES = (257, 256, 1)
"""Elements of the arrays with which a dtype is tried again before it is not taken."""

AGAIN = 3
"""Every so many cases, the first among them, the port is asked a second time (SPEC C12)."""

KEPT = 4
"""Results that are looked at again after each case: a port may reuse the memory of one in turn."""

POINTS = 400
"""Differing elements kept for the report's picture."""


@dataclass(slots=True)
class Tally:
    """What the judged cases have said so far of one port in one dtype of θ."""

    declared: Semantics | None
    cases: int = 0
    elements: int = 0
    share: float = 1.0
    """Of the cases and runs that were planned, the share that there was time for."""
    triples: set[Triple] = field(default_factory=set)
    """Those of the cases so far."""
    answers: int = 0
    """Calls that the port answered, second ones too."""
    canonical: bool = True
    as_declared: bool = True
    reasons: Counter[Reason] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    widths: Measure = field(default_factory=Measure)
    """How wide the accepted sets of the cases are."""
    events: Counter[str] = field(default_factory=Counter)
    """Events of runs by their kind: SPEC C30."""
    not_taken: dict[Triple, str] = field(default_factory=dict)
    """Triples of dtypes that the port does not take, with its words; none of them was judged."""
    scalars: Scalars = field(default_factory=Scalars.none)
    """Which scalars the port has answered and refused."""
    refusals: tuple[Refusal, ...] = ()
    """What it refuses, and what of that it does not declare, once that has been found out."""
    undeclared: tuple[Refusal, ...] = ()
    passed: Case | None = None
    """The first case of all, if that was right."""
    failure: Failure | RunFailure[Any] | None = None
    broken: Failure | None = None
    """The first case whose bits are accepted, but not those that the port declares."""
    returned: deque[list[tuple[Array, Array]]] = field(default_factory=lambda: deque(maxlen=KEPT))
    """The last results with copies of them: a port may not change what it has returned."""
    port_seconds: float = 0.0
    judge_seconds: float = 0.0

    def add(self, port: Port, case: Case) -> bool:
        """Judge one case; False if it is rejected, not if its scalars are refused.

        One that lies outside its accepted set is asked again before it is said to: what rounds by
        chance is not deterministic, whatever its bits (SPEC C29).
        """
        passed = self._add(port, case)
        if isinstance(self.failure, Failure):
            self.failure = replace(self.failure, passed=self.passed)
        elif self.passed is None:
            self.passed = case
        return passed

    def _add(self, port: Port, case: Case) -> bool:
        got = self._answer(port, case)
        if got is None:
            if self.failure is not None:
                self._count(case)
            return self.failure is None
        why = self.take(case, got)
        if not why and self.cases % AGAIN != 1:
            return True
        again = self._answer(port, case)
        if again is not None and not _same(got, again):
            why = "a second call with the same inputs gave other bits; legal: the same bits"
            error = ChangedAnswerError(why)
            self.failure = Failure(case, got, why, error=error, again=again, alone=False)
        elif why:  # and no second answer is no better
            self.failure = Failure(case, got, why)
        return self.failure is None

    def _answer(self, port: Port, case: Case) -> tuple[Array, Array] | None:
        """What the port returns; None, and the failure, if that is no answer."""
        begin = time.perf_counter()
        try:
            got = run_once(port, *case.arrays, **case.scalars)
        except PortError as error:
            if isinstance(error, RaisedError) and self.scalars.refuse(case, error):
                return None
            self.failure = Failure(case, None, str(error), error=error)
            return None
        self.port_seconds += time.perf_counter() - begin
        self.scalars.answer(case)
        self.answers += 1
        if not all(all_same_bits(*pair) for pairs in self.returned for pair in pairs):
            why = "the port changed a result that it had returned before; legal: new arrays"
            self.failure = Failure(case, None, why, error=ChangedResultError(why))
            self.returned.clear()
            return None
        self.returned.append([(x, x.copy()) for x in got])
        return got

    def takes(self, port: Port, triple: Triple) -> bool:
        """Judge an ordinary case; False, and no failure, if the port does not take its dtypes."""
        before, answered = (self.cases, self.elements), self.answers
        if self.add(port, ordinary_case(triple)):
            return True
        error = self.failure.error if isinstance(self.failure, Failure) else None
        if self.answers > answered or not isinstance(error, NO_ANSWER):
            return True
        if any(answers(port, ordinary_case(triple, size), NO_ANSWER) for size in OTHER_SIZES):
            return True  # it takes the dtype, but not always
        self.not_taken[triple] = str(error)
        self.failure, (self.cases, self.elements) = None, before
        return False

    def find_refusals(self, port: Port) -> None:
        """Find out which scalars the port refuses, from the cases so far.

        A port that is rejected for what it raises has no refusals beside: they would be the same.
        """
        if isinstance(self.failure, Failure) and isinstance(self.failure.error, RaisedError):
            return
        self.refusals = refusals_of(port, self.scalars)
        self.undeclared = tuple(undeclared(port, self.refusals))

    def go_on(self) -> None:
        """Judge more, though something was rejected."""
        self.failure = None

    def take(self, case: Case, got: tuple[Array, Array]) -> str:
        """Judge a port's answer to a case: why it is rejected, nothing if it is not."""
        begin = time.perf_counter()
        self._count(case)
        why = self._judge(case, got)
        self.judge_seconds += time.perf_counter() - begin
        return why

    def _count(self, case: Case) -> None:
        self.cases += 1
        self.elements += case.param.size
        self.triples.add(case.triple)

    def _judge(self, case: Case, got: tuple[Array, Array]) -> str:
        if self._equals(got, case, lion_ref.CANONICAL):
            # Bits that are canonical may still not be the declared ones.
            self._hold_to_declaration(case, got)
            return ""
        self.canonical = False
        declared = self._hold_to_declaration(case, got)
        if declared and self.declared is not None and not self.declared.is_other_algorithm:
            if len(self.differences) < POINTS:
                accepted = judge(*case.arrays, *got, **case.scalars)
                self.differences += sample(case, got[0], accepted.param)
            return ""  # and so accepted: SPEC C23
        judgement = judge(*case.arrays, *got, **case.scalars)
        self.reasons += judgement.param.counts() + judgement.momentum.counts()
        if len(self.differences) < POINTS:
            self.differences += sample(case, got[0], judgement.param)
        for name, part in (("θ'", judgement.param), ("m'", judgement.momentum)):
            outside = int((~part.accepted).sum())
            if outside:
                total = part.accepted.size
                return f"{name}: {outside} of {total} elements lie outside the accepted set"
        return ""

    def _hold_to_declaration(self, case: Case, got: tuple[Array, Array]) -> bool:
        """Whether a declaring port's bits are those that it declares."""
        if self.declared is None:
            return False
        if self._equals(got, case, self.declared):
            return True
        if self.as_declared:
            why = not_as_declared(self.declared)
            self.broken = Failure(case, got, why, promised=self.declared)
        self.as_declared = False
        return False

    @staticmethod
    def _equals(got: tuple[Array, Array], case: Case, semantics: Semantics) -> bool:
        expected = lion_ref.step(*case.arrays, **case.scalars, semantics=semantics)
        return _same(got, expected)

    @property
    def verdict(self) -> Verdict:
        """The best verdict that all cases so far allow."""
        if self.failure is not None:
            return Verdict.REJECTED
        if self.not_taken and not self.cases:
            return Verdict.NOT_TAKEN
        if self.canonical:
            return Verdict.BIT_EXACT
        if self.declared is not None and self.as_declared:
            return Verdict.BIT_EXACT_AS
        return Verdict.ACCEPTED

    @property
    def as_promised(self) -> bool:
        """Whether the port keeps to its declaration, or is accepted where it has none."""
        return self.shortfall is None and not self.undeclared

    @property
    def shortfall(self) -> Failure | RunFailure[Any] | None:
        """What is rejected, else what breaks the declaration."""
        return self.failure or self.broken


def _same(some: tuple[Array, Array], others: tuple[Array, Array]) -> bool:
    return all(all_same_bits(*pair) for pair in zip(some, others, strict=True))
