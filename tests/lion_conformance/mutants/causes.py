"""What the wrong ports of some themes are said to be, beside what is wrong with them.

python -m tests.lion_conformance.mutants.causes sessions runs    # themes, or names of ports
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Final

from lion_conformance import Port
from lion_conformance.diagnosis.cause_of_calls import cause_of_calls
from lion_conformance.diagnosis.cause_of_contract import cause_of_contract
from lion_conformance.diagnosis.cause_of_run import cause_of_first_step, cause_of_run
from lion_conformance.ports.dtypes import asked_for
from lion_conformance.runs.all import judge_runs
from lion_conformance.verdict.cause import Cause
from lion_conformance.verdict.failure import Failure, RunFailure
from lion_conformance.verdict.tally import Tally
from lion_conformance.verify import judge_dtype
from tests.lion_conformance.mutants.catalogue import Mutant, load

THEMES: Final = ("state", "sessions", "runs", "lists", "kept", "crossed", "concurrency")
EXAMPLES: Final = 5


def rejected(port: Port, dtype: str) -> Failure | RunFailure | None:  # type: ignore[type-arg]
    """What a port is rejected for: in runs, if it has sessions of its own, else in any case."""
    if port.restore is not None or isinstance(port.open, type):
        tally = Tally(port.declared)
        judge_runs(port, dtype, tally, drawn=0)
        if tally.failure is not None:
            return tally.failure
    asked = asked_for(port, [dtype])
    return judge_dtype(asked, dtype, max_examples=EXAMPLES, seed=0).failure


def cause_of(
    port: Port,
    dtype: str,
    failure: Failure | RunFailure | None,  # type: ignore[type-arg]
) -> Cause | None:
    """What is said of runs, of calls and of contracts; of a step that is always wrong nothing."""
    if failure is None:
        return None
    if isinstance(failure, RunFailure):
        return cause_of_run(port, dtype, failure)
    return (
        cause_of_contract(failure)
        or cause_of_calls(port, failure)
        or cause_of_first_step(port, failure)
    )


def cause(mutant: Mutant) -> Cause | None:
    """What a wrong port is said to be."""
    port = mutant.port()
    failure = rejected(port, mutant.dtype)
    return cause_of(port, mutant.dtype, failure)


def lines(wanted: list[str]) -> Iterator[str]:
    """A line for each port of some themes, or names."""
    for mutant in load():
        if {mutant.theme, mutant.name} & set(wanted):
            port = mutant.port()
            failure = rejected(port, mutant.dtype)
            begin = time.perf_counter()
            found = cause_of(port, mutant.dtype, failure)
            seconds = time.perf_counter() - begin
            said = found.line() if found else "–" if failure else "not rejected"
            yield f"{mutant.name} | {mutant.wrong} | {said} | {seconds:.2f}"


def main() -> None:
    """Print them."""
    for line in lines(sys.argv[1:] or list(THEMES)):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
