"""What is wrong with a port that is rejected: the mistake, where it is, or what a run shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lion_conformance.diagnosis.cause_of_calls import cause_of_calls
from lion_conformance.diagnosis.cause_of_contract import cause_of_contract
from lion_conformance.diagnosis.cause_of_run import cause_of_first_step, cause_of_run
from lion_conformance.ports.protocol import Port
from lion_conformance.report.findings import DtypeResult
from lion_conformance.verdict.cause import Cause
from lion_conformance.verdict.failure import Failure, RunFailure
from lion_conformance.verdict.tally import Tally
from lion_conformance.verdict.verdict import Verdict


def named(
    port: Port, results: Sequence[DtypeResult], tallies: Mapping[str, Tally]
) -> list[DtypeResult]:
    """The results, those that are rejected with their cause, as far as it has a name."""
    return [
        replace(result, cause=cause_of(port, result.dtype, tallies[result.dtype].failure))
        if result.verdict is Verdict.REJECTED
        else result
        for result in results
    ]


def cause_of(port: Port, dtype: str, failure: Failure | RunFailure[Any] | None) -> Cause | None:
    """What a port of one dtype of θ is rejected for; None if it has no name."""
    if failure is None:
        return None
    if isinstance(failure, RunFailure):
        return cause_of_run(port, dtype, failure)
    return (
        cause_of_contract(failure)
        or cause_of_calls(port, failure)
        or cause_of_first_step(port, failure)
    )
