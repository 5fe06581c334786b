"""From a verdict that differs to what explains it: the diagnosis, confirmed on the same cases."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import lion_ref
from lion_conformance.cases.case import Case
from lion_conformance.cases.feed import feed
from lion_conformance.diagnosis.equivalent import simplest_equivalent
from lion_conformance.diagnosis.search import (
    CALLS,
    PLACE,
    UNKNOWN,
    Diagnosis,
    Scope,
    Search,
    any_case,
    in_widest_scope,
)
from lion_conformance.ports.protocol import Port, PortError, RaisedError, run_once
from lion_conformance.ports.refusal import Refusal
from lion_conformance.report.counterexample import Counterexample, Value
from lion_conformance.report.findings import DtypeResult
from lion_conformance.runs.avoiding import avoiding
from lion_conformance.runs.fixed import fixed_runs
from lion_conformance.runs.follow import answers
from lion_conformance.verdict.refusals import usual
from lion_conformance.verdict.sentences import sentence
from lion_conformance.verdict.verdict import Verdict
from lion_ref import Semantics
from lion_ref.acceptance import Reason
from lion_ref.arithmetic import Array, all_same_bits

NOT_ALWAYS: Final = "but not at every call: what it gives depends on those before (SPEC C12)"

ROUNDS: Final = 5
"""A diagnosis that a case contradicts is made anew with that case, so many times at the most."""


def explained(
    port: Port, results: Sequence[DtypeResult], *, max_examples: int, seed: int
) -> list[DtypeResult]:
    """The results with what explains those that differ: one semantics for all, or one a dtype.

    Where the semantics is a rounding of Lion and the port declares nothing, `accepted` becomes
    `bit-exact as` it (SPEC C29).
    """
    results = [_known(port, r) for r in results]
    judged = [r for r in results if r.verdict is not Verdict.NOT_TAKEN and r.cause is None]
    refusals = [refusal for r in judged for refusal in r.refusals]
    unexplained = [r for r in judged if not r.sentence]
    differ = [r.dtype for r in unexplained if r.verdict in (Verdict.ACCEPTED, Verdict.REJECTED)]
    if not differ:
        return results
    runs = not any(_only_in_a_run(r) for r in results)
    confirmed = _Rejudged(port, refusals, max_examples, seed, runs).explained
    if len(judged) > 1:
        together = confirmed([r.dtype for r in judged], any_case)
        if together.semantics is not None:
            return [_with(port, r, together) if r.dtype in differ else r for r in results]
    found = {dtype: in_widest_scope(partial(confirmed, [dtype])) for dtype in differ}
    return [_with(port, r, found[r.dtype]) if r.dtype in found else r for r in results]


def _only_in_a_run(result: DtypeResult) -> bool:
    """Whether every single step was right: what a step computes then explains nothing."""
    return result.counterexample is not None and bool(result.counterexample.run)


def _known(port: Port, result: DtypeResult) -> DtypeResult:
    """The result; with its sentence where no search is needed for that."""
    known = result.cause is not None or not {*result.reasons} <= {Reason.OUTSIDE.value}
    if not _only_in_a_run(result) or known:
        return result
    return _in_a_run(result, sentence(port.declared or lion_ref.CANONICAL))


def _in_a_run(result: DtypeResult, words: str) -> DtypeResult:
    return replace(result, sentence=f"a single step {words}; a run of several does not")


def _with(port: Port, result: DtypeResult, found: Diagnosis) -> DtypeResult:
    if _only_in_a_run(result):
        return _in_a_run(result, found.sentence)
    if found.semantics is None:
        words = found.sentence
        if result.counterexample is not None and not result.counterexample.alone:
            words = words.replace(PLACE, CALLS)  # it looked so: other elements, but other calls too
        return replace(result, ordinarily=found.ordinarily, sentence=words, example=found.example)
    if _was_otherwise(result.counterexample, found.semantics):
        return replace(result, sentence=f"{found.sentence}, {NOT_ALWAYS}")
    # Found for several dtypes, it may say more than one of them needs.
    triples = [triple for triple in port.triples if triple[0] == result.dtype]
    semantics = simplest_equivalent(found.semantics, triples)
    verdict = result.verdict
    if verdict is Verdict.ACCEPTED and port.declared is None:
        verdict = Verdict.BIT_EXACT_AS
    return replace(result, verdict=verdict, semantics=semantics, sentence=sentence(semantics))


def _was_otherwise(found: Counterexample | None, semantics: Semantics) -> bool:
    """Whether the port's answer to the counterexample is not that of what it computes else."""
    if found is None or found.case is None or not found.got:
        return False
    if not found.alone:
        return True
    expected = lion_ref.step(*found.case.arrays, **found.case.scalars, semantics=semantics)
    element = (x.reshape(-1)[found.index : found.index + 1] for x in expected)
    pairs = zip(found.got.values(), map(Value.of, element), strict=True)
    return any(a.hex != b.hex and not a.decimal == b.decimal == "nan" for a, b in pairs)


@dataclass(frozen=True, slots=True)
class _Rejudged:
    """What was judged of a port, to be gone through once more."""

    port: Port
    refusals: Sequence[Refusal]
    max_examples: int
    seed: int
    runs: bool
    """Whether its runs too."""

    def explained(self, dtypes: Sequence[str], scope: Scope) -> Diagnosis:
        """A diagnosis that no case in these dtypes contradicts."""
        search = Search(self.port, dtypes, scope)
        for _ in range(ROUNDS):
            found = search.result()
            if found.semantics is None:
                return found
            try:
                contradiction = self._contradiction(found.semantics, dtypes, scope)
            except PortError as error:
                return Diagnosis(None, f"{UNKNOWN}: {error}", parted_at=str(error))
            if contradiction is None:
                return found
            search.learn(*contradiction)
        return Diagnosis(None, UNKNOWN)

    def _contradiction(
        self, semantics: Semantics, dtypes: Sequence[str], scope: Scope
    ) -> tuple[Case, tuple[Array, Array]] | None:
        """A case of `verify` on which the port's bits are not those of the semantics found."""
        port = self.port
        contradictions = []
        errors: list[PortError] = []

        def fits(case: Case, got: tuple[Array, Array]) -> bool:
            expected = lion_ref.step(*case.arrays, **case.scalars, semantics=semantics)
            if all(all_same_bits(a, b) for a, b in zip(got, expected, strict=True)):
                return True
            contradictions.append((case, got))
            return False

        def judge_case(case: Case) -> bool:
            if not scope(case):
                return True
            try:
                return fits(case, run_once(port, *case.arrays, **case.scalars))
            except PortError as error:  # raised where it can be told from Hypothesis's own
                if isinstance(error, RaisedError) and not usual(case):
                    return True
                errors.append(error)
                return False

        for dtype in dtypes:
            triples = [triple for triple in port.triples if triple[0] == dtype]
            feed(
                judge_case,
                triples,
                max_examples=self.max_examples,
                seed=self.seed,
                compiles=port.compiles,
            )
            if errors:
                raise errors[0]
            for run in fixed_runs(port, dtype) if self.runs else ():
                if not contradictions:
                    answered = answers(port, avoiding(run, self.refusals))
                    steps = (x for event in answered for x in event if x.expected is None)
                    with suppress(RaisedError):  # whatever it refuses has been judged
                        all(fits(x.case, x.got) for x in steps if scope(x.case))
            if contradictions:
                return contradictions[0]
        return None
