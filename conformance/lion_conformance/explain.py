"""From a verdict that differs to what explains it: the diagnosis, confirmed on the same cases."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from numpy.typing import NDArray

import lion_ref
from lion_conformance.diagnose import UNKNOWN, Diagnosis, Search
from lion_conformance.drive import drive
from lion_conformance.judge import Verdict
from lion_conformance.port import PortError, run_once
from lion_ref.arithmetic import same_bits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lion_conformance.cases import Case
    from lion_conformance.port import Port
    from lion_conformance.report.model import DtypeResult
    from lion_ref import Semantics

Array = NDArray[Any]

ROUNDS: Final = 5
"""A diagnosis that a case contradicts is made anew with that case, so many times at the most."""


def explained(
    port: Port, results: Sequence[DtypeResult], *, max_examples: int, seed: int
) -> list[DtypeResult]:
    """The results with what explains those that differ: one semantics for all, or one a dtype.

    Where the semantics is a rounding of Lion and the port declares nothing, `accepted` becomes
    `bit-exact as` it (SPEC C29).
    """
    differ = [r.dtype for r in results if r.verdict in (Verdict.ACCEPTED, Verdict.REJECTED)]
    if not differ:
        return list(results)
    together = _confirmed(port, [r.dtype for r in results], max_examples, seed)
    found = dict.fromkeys(differ, together)
    if together.semantics is None and len(results) > 1:
        found = {dtype: _confirmed(port, [dtype], max_examples, seed) for dtype in differ}
    return [_with(port, r, found[r.dtype]) if r.dtype in found else r for r in results]


def _with(port: Port, result: DtypeResult, found: Diagnosis) -> DtypeResult:
    verdict = result.verdict
    if verdict is Verdict.ACCEPTED and port.declared is None and found.semantics is not None:
        verdict = Verdict.BIT_EXACT_AS
    return replace(result, verdict=verdict, semantics=found.semantics, sentence=found.sentence)


def _confirmed(port: Port, dtypes: Sequence[str], max_examples: int, seed: int) -> Diagnosis:
    search = Search(port, dtypes)
    for _ in range(ROUNDS):
        found = search.result()
        if found.semantics is None:
            return found
        try:
            contradiction = _contradiction(port, found.semantics, dtypes, max_examples, seed)
        except PortError as error:
            return Diagnosis(None, f"{UNKNOWN}: {error}", parted_at=str(error))
        if contradiction is None:
            return found
        search.learn(*contradiction)
    return Diagnosis(None, UNKNOWN)


def _contradiction(
    port: Port, semantics: Semantics, dtypes: Sequence[str], max_examples: int, seed: int
) -> tuple[Case, tuple[Array, Array]] | None:
    """A case of `verify` on which the port's bits are not those of the semantics found."""
    contradictions = []
    errors: list[PortError] = []

    def judge_case(case: Case) -> bool:
        try:
            got = run_once(port, *case.arrays, **case.scalars)
        except PortError as error:  # raised where it can be told from Hypothesis's own
            errors.append(error)
            return False
        expected = lion_ref.step(*case.arrays, **case.scalars, semantics=semantics)
        if all(same_bits(a, b).all() for a, b in zip(got, expected, strict=True)):
            return True
        contradictions.append((case, got))
        return False

    for dtype in dtypes:
        triples = [triple for triple in port.triples if triple[0] == dtype]
        drive(judge_case, triples, max_examples=max_examples, seed=seed, compiles=port.compiles)
        if errors:
            raise errors[0]
        if contradictions:
            return contradictions[0]
    return None
