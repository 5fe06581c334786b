"""A port's judging as separate checks, each with a name: what a test suite shows.

`verify` stops at the first case that is rejected. Here every case is judged, once, so that each
check has its own verdict and its own counterexample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from typing import Any

from lion_conformance.cases.case import Case
from lion_conformance.cases.feed import feed_random, fixed, swept
from lion_conformance.cases.fixed import ordinary_case
from lion_conformance.diagnosis.cause import named, named_at_once
from lion_conformance.diagnosis.explain import explained
from lion_conformance.ports.dtypes import Asked, Dtypes, asked_for
from lion_conformance.ports.protocol import (
    ChangedAnswerError,
    ChangedInputError,
    ChangedResultError,
    Port,
    PortError,
    Triple,
)
from lion_conformance.report import shown
from lion_conformance.report.counterexample import Counterexample
from lion_conformance.report.findings import DtypeResult
from lion_conformance.report.origin import Origin
from lion_conformance.report.report import Report
from lion_conformance.report.table import meaning
from lion_conformance.report.told import port_name, said, shown_first
from lion_conformance.runs import hand_over, tape
from lion_conformance.runs.all import affordable, judge_runs
from lion_conformance.runs.other_process import judge_elsewhere, why_not
from lion_conformance.runs.shortest_run import refused_alone, smallest
from lion_conformance.runs.tape import TapeResult
from lion_conformance.verdict.cause import Cause, Kind
from lion_conformance.verdict.failure import Failure, RunFailure
from lion_conformance.verdict.tally import Tally
from lion_conformance.verdict.verdict import Verdict
from lion_conformance.verify import check_budget, report_on, result_of, with_refusals
from lion_ref.acceptance import judge
from lion_ref.arithmetic import all_same_bits


class Check(Enum):
    """One thing that has to be so; its value is its name in a test suite."""

    ANSWERS = "answers every case"
    READS = "writes to no input"
    KEEPS = "leaves what it returned alone"
    PARAM_FIXED = "param on the fixed cases"
    MOMENTUM_FIXED = "momentum on the fixed cases"
    PARAM_RANDOM = "param on random cases"
    MOMENTUM_RANDOM = "momentum on random cases"
    REPEATS = "the same bits when asked again"
    RUNS = "runs of several steps"
    DECLARED = "bits as declared"
    SEMANTICS = "has the semantics of Lion"
    TAPE = "real gradients"
    HAND_OVER = "hand-over"


BY_STAGE = {
    "fixed": (Check.PARAM_FIXED, Check.MOMENTUM_FIXED),
    "random": (Check.PARAM_RANDOM, Check.MOMENTUM_RANDOM),
}


FEW = 8
"""So many elements may be the same twice by chance, in a port whose bits vary."""

_BY_ERROR: dict[type[PortError | None], Check] = {
    ChangedInputError: Check.READS,
    ChangedResultError: Check.KEEPS,
    ChangedAnswerError: Check.REPEATS,
}


class _Judged:
    """All checks of one dtype, after one pass over its cases."""

    def __init__(self, asked: Asked, dtype: str, *, max_examples: int, seed: int) -> None:
        self.failures: dict[Check, Failure | RunFailure[Any]] = {}
        self.unasked: dict[Check, str] = {}
        self._cause: Cause | None = None
        self._tally = tally = Tally(asked.port.declared)
        triples = self._taken(asked, dtype)
        port = self._port = asked.without(tally.not_taken)
        if not triples:
            self.result = result_of(port, dtype, tally)
            return
        first = self._first_failure(triples, max_examples=max_examples, seed=seed)
        tally.go_on()
        tally.find_refusals(port)
        judge_runs(port, dtype, tally, drawn=affordable(port, max_examples), seed=seed)
        if tally.failure is None and not why_not(port):
            tally.failure = judge_elsewhere(port, {dtype: tally}).get(dtype)
        run = tally.failure
        if run is not None:
            self.failures[Check.RUNS] = run
        tally.failure = first or run
        tally.find_refusals(port)
        result = result_of(port, dtype, tally)
        result = explained(port, [result], max_examples=max_examples, seed=seed)[0]
        self.result = with_refusals(result, port.declared)
        self._cause = _cause(port, result, tally)
        if tally.undeclared:
            self.failures.setdefault(Check.ANSWERS, refused_alone(port, tally))
        if tally.broken is not None:
            self.failures[Check.DECLARED] = tally.broken

    def short_of(
        self, failure: Failure | RunFailure[Any] | None, found: Counterexample | None
    ) -> DtypeResult:
        """The result as it is told where a check fails: with the cause, if it is this failure's.

        What a single step computes wrongly is wrong in every check.
        """
        cause = self._cause
        if cause and cause.kind not in (Kind.MISTAKE, Kind.PLACE):
            cause = cause if failure is self._tally.failure else None
        return replace(self.result, as_promised=False, counterexample=found, cause=cause)

    def _taken(self, asked: Asked, dtype: str) -> list[Triple]:
        """The triples with this θ that the port takes, of those that nobody named."""
        found = []
        for triple in (x for x in asked.port.triples if x[0] == dtype):
            if triple not in asked.tried or self._tally.takes(asked.port, triple):
                found.append(triple)
                self._note(ordinary_case(triple), "fixed")
        return found

    def _first_failure(
        self, triples: Sequence[Triple], *, max_examples: int, seed: int
    ) -> Failure | RunFailure[Any] | None:
        """Judge all cases; what is wrong with the first that is rejected."""
        first = self._tally.failure

        def judge_case(case: Case, stage: str) -> bool:
            nonlocal first
            self._tally.go_on()
            answered[stage] += self._judge(case, stage)
            first = first or self._tally.failure
            return True

        answered = dict.fromkeys(BY_STAGE, 0)
        for case in fixed(tuple(triples), self._port.compiles):
            judge_case(case, "fixed")
        for case in swept(tuple(triples), seed, self._port.compiles):
            judge_case(case, "random")
        feed_random(
            lambda case: judge_case(case, "random"), triples, max_examples=max_examples, seed=seed
        )
        for stage, checks in BY_STAGE.items():
            if not answered[stage]:
                self.unasked |= dict.fromkeys(checks, "no case was answered")
        return first

    def _judge(self, case: Case, stage: str) -> bool:
        """Judge a case; whether the port answered it."""
        before = self._tally.cases
        self._tally.add(self._port, case)
        self._tally.widths.add(case)
        return self._tally.cases > before and self._note(case, stage)

    def _note(self, case: Case, stage: str) -> bool:
        """Whether the port answered the case that was judged last; its failure, by its check."""
        failure = self._tally.failure
        if not isinstance(failure, Failure):
            return True
        if failure.error is not None:
            self.failures.setdefault(_check_of(failure.error), failure)
        if failure.got is None:
            return False
        judgement = judge(*case.arrays, *failure.got, **case.scalars)
        parts = (("θ'", judgement.param), ("m'", judgement.momentum))
        again = failure.again or failure.got
        for check, (name, part), *calls in zip(
            BY_STAGE[stage], parts, failure.got, again, strict=True
        ):
            outside = int((~part.accepted).sum())
            by_chance = outside <= FEW and Check.REPEATS in self.failures
            if outside and all_same_bits(*calls) and not by_chance:
                total = part.accepted.size
                why = f"{name}: {outside} of {total} elements lie outside the accepted set"
                self.failures.setdefault(check, Failure(case, failure.got, why))
        return True


def _check_of(error: PortError | None) -> Check:
    return _BY_ERROR.get(type(error), Check.ANSWERS)


class Checklist:
    """The checks of one port, judged a dtype at a time, when first asked, and once.

    Args:
        port, dtypes, max_examples, seed: as for `verify`.
        origin: the way back to the port, for reproductions.
    """

    def __init__(
        self,
        port: Port,
        *,
        dtypes: Dtypes | None,
        max_examples: int,
        seed: int,
        origin: Origin,
    ) -> None:
        self._asked = asked_for(port, dtypes)
        self.port = self._asked.port
        self.dtypes = self._asked.dtypes
        check_budget(max_examples, seed)
        self._budget = {"max_examples": max_examples, "seed": seed}
        self._origin = origin
        self._judged: dict[str, _Judged] = {}
        self._tape: TapeResult | None = None
        self._variants = [
            (
                variant.words,
                Checklist(
                    variant.port,
                    dtypes=dtypes,
                    max_examples=max_examples,
                    seed=seed,
                    origin=replace(origin, variant=i),
                ),
            )
            for i, variant in enumerate(port.variants)
        ]

    def checks(self, dtype: str) -> list[Check]:
        """The checks that there are for a dtype."""
        left_out = {Check.DECLARED} if self.port.declared is None else set()
        if dtype != "float32" or tape.TRIPLE not in self.port.triples:
            left_out.add(Check.TAPE)
        if dtype != self.dtypes[0] or not hand_over.tried(self.port, self.dtypes):
            left_out.add(Check.HAND_OVER)
        return [check for check in Check if check not in left_out]

    def shortfall(self, dtype: str, check: Check) -> Report | None:
        """None if the check holds; else a report on it alone, with its own counterexample.

        Of a dtype that is `not_judged` there is nothing to hold. What the port's code may come to
        beside it has to hold, too.
        """
        found = self._shortfall(dtype, check)
        if found is not None:
            return found
        for words, variant in self._variants:
            found = variant.shortfall(dtype, check)
            if found is not None:
                return replace(found, port=f"{found.port}, {words}")
        return None

    def _shortfall(self, dtype: str, check: Check) -> Report | None:
        if check is Check.TAPE:
            return self._tape_shortfall()
        if check is Check.HAND_OVER:
            handed = hand_over.judge(self.port, self.dtypes)
            return replace(self._report(), hand_over=handed) if handed and handed.why else None
        judged = self._of(dtype)
        failure = judged.failures.get(check)
        if failure is not None:
            found = Counterexample.of(smallest(self.port, failure))
            return self._report(judged.short_of(failure, found))
        if check in judged.unasked or (check is Check.SEMANTICS and _no_lion(judged.result)):
            return self._report(judged.short_of(None, judged.result.counterexample))
        return None

    def not_judged(self, dtype: str) -> str:
        """Why there is nothing to judge: the port's words for here, or for a dtype unasked for."""
        if self.port.unavailable:
            return f"not run: {self.port.unavailable}"
        result = self._of(dtype).result
        if result.verdict is not Verdict.NOT_TAKEN:
            return ""
        if all(self._of(x).result.verdict is Verdict.NOT_TAKEN for x in self.dtypes):
            self._asked = replace(self._asked, tried=frozenset())
            self._judged.clear()  # one that takes nothing has not passed
            return ""
        return f"{dtype} not taken: {meaning(self._report(), result)}"

    def _of(self, dtype: str) -> _Judged:
        if dtype not in self._judged:
            self._judged[dtype] = _Judged(self._asked, dtype, **self._budget)
        return self._judged[dtype]

    def _tape_shortfall(self) -> Report | None:
        known = self._of("float32").result.semantics
        if self._tape is None:
            promised = replace(self.port, declared=self.port.declared or known)
            self._tape = tape.replay(promised, tape.load())
        return None if self._tape.as_promised else replace(self._report(), tape=self._tape)

    def _report(self, *results: DtypeResult) -> Report:
        return report_on(self.port, results, origin=self._origin, **self._budget)


def _cause(port: Port, result: DtypeResult, tally: Tally) -> Cause | None:
    """What is wrong with the first case that is rejected, if that has a name."""
    tallies = {result.dtype: tally}
    return named(port, named_at_once(port, [result], tallies), tallies)[0].cause


def _no_lion(result: DtypeResult) -> bool:
    """Whether the port is rejected and is no rounding of Lion, whatever else it may be."""
    found = result.counterexample
    if result.verdict is not Verdict.REJECTED or (found is not None and found.run):
        return False  # a run that goes wrong says nothing of what a single step computes
    return result.semantics is None or result.semantics.is_other_algorithm


def words(report: Report, check: Check) -> str:
    """What a failing test shows: what is wrong, one counterexample, the command."""
    lines = [", ".join([f"{port_name(report)}: {check.value}", *report.verdicts])]
    for one in said(report):
        if not one.ok:
            lines += [f"{one.label}: {one.what}", *(f"    {x}" for x in one.lines)]
    first = shown_first(report)
    if first is not None:
        lines += shown.lines(first[1])
    return "\n".join([*lines, f"found by: {report.origin.command}"])


def slug(check: Check) -> str:
    """A check's name as a word.

    >>> slug(Check.ANSWERS)
    'answers_every_case'
    """
    return check.value.replace(" ", "_").lower()


def options_in_words(dtypes: Any, max_examples: int, seed: int) -> str:
    """The command line's options that ask for the same again."""
    chosen = "".join(f" --lion-dtype {dtype}" for dtype in dtypes or ())
    return f"{chosen} --lion-max-examples {max_examples} --lion-seed {seed}"
