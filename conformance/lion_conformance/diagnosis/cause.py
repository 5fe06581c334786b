"""What is wrong with a port that is rejected: the mistake, where it is, or what a run shows.

What is found at once spares the search for a semantics: `named_at_once` comes before `explain`,
`named` behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lion_conformance.diagnosis.cause_of_calls import cause_of_calls
from lion_conformance.diagnosis.cause_of_contract import cause_of_contract
from lion_conformance.diagnosis.cause_of_run import cause_of_first_step, cause_of_run
from lion_conformance.diagnosis.cause_of_step import (
    cause_at_once,
    cause_of_semantics,
    cause_of_step,
)
from lion_conformance.diagnosis.search import UNKNOWN
from lion_conformance.ports.protocol import Port
from lion_conformance.report.findings import DtypeResult
from lion_conformance.verdict.cause import Cause
from lion_conformance.verdict.failure import Failure, RunFailure
from lion_conformance.verdict.tally import Tally
from lion_conformance.verdict.verdict import Verdict
from lion_ref import CANONICAL

Naming = Callable[[Port, DtypeResult, Failure | RunFailure[Any]], Cause | None]


def named_at_once(
    port: Port, results: Sequence[DtypeResult], tallies: Mapping[str, Tally]
) -> list[DtypeResult]:
    """The results, those that are rejected with a cause that is found without a semantics."""
    return _named(port, results, tallies, _at_once)


def named(
    port: Port, results: Sequence[DtypeResult], tallies: Mapping[str, Tally]
) -> list[DtypeResult]:
    """The results, those that are rejected with their cause, as far as it has a name."""
    return _named(port, results, tallies, _searched)


def _named(
    port: Port, results: Sequence[DtypeResult], tallies: Mapping[str, Tally], name: Naming
) -> list[DtypeResult]:
    def with_cause(result: DtypeResult) -> DtypeResult:
        failure = tallies[result.dtype].failure
        if result.verdict is not Verdict.REJECTED or failure is None or result.cause is not None:
            return result
        cause = name(port, result, failure)
        if cause is None:
            return result
        return replace(result, cause=cause, sentence=_in_full(cause, result.sentence))

    return [with_cause(result) for result in results]


def _in_full(cause: Cause, sentence: str) -> str:
    """The cause with what is left when it is put right; or with what was found out before."""
    more = next((x for x in cause.evidence if x.startswith(("put right", "elsewhere"))), "")
    known = sentence if sentence and not sentence.startswith(UNKNOWN) else more
    return "; ".join(filter(None, (cause.line(), known)))


def _at_once(port: Port, result: DtypeResult, failure: Failure | RunFailure[Any]) -> Cause | None:
    if isinstance(failure, RunFailure):
        return cause_of_run(port, result.dtype, failure)
    found = result.counterexample
    return (
        cause_of_contract(failure, found.why if found is not None else "")
        or cause_of_calls(port, failure)
        or cause_of_first_step(port, failure)
        or cause_at_once(port, result.dtype, failure)
    )


def _searched(port: Port, result: DtypeResult, failure: Failure | RunFailure[Any]) -> Cause | None:
    if isinstance(failure, RunFailure):
        return None
    if result.semantics is not None:
        return cause_of_semantics(result.semantics, result.dtype)
    base = result.ordinarily or port.declared or CANONICAL
    return cause_of_step(port, result.dtype, failure, base)
