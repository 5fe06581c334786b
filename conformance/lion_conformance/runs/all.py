"""All runs of one dtype: the fixed ones, then those that Hypothesis draws where it is installed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lion_conformance.ports.protocol import Port
from lion_conformance.runs.avoiding import avoiding
from lion_conformance.runs.fixed import further_runs, long_run, mixed_runs, whole_runs
from lion_conformance.runs.follow import answers, follow, judged
from lion_conformance.runs.interleaved import hops, interleaved_runs
from lion_conformance.runs.long import follow_long
from lion_conformance.runs.trajectory import Trajectory
from lion_conformance.verdict.failure import RunFailure
from lion_conformance.verdict.tally import Tally

EXAMPLES_A_RUN = 8
"""So many cases cost about what a drawn run of a dozen events does."""


def affordable(port: Port, max_examples: int) -> int:
    """The runs to draw beside so many cases; none where each cut of a tensor is compiled for."""
    return 0 if port.compiles else max(1, max_examples // EXAMPLES_A_RUN)


def judge_runs(port: Port, dtype: str, tally: Tally, *, drawn: int, seed: int | None = 0) -> None:
    """Judge a port's runs (SPEC C30), up to the first that is rejected: tally.failure.

    Args:
        port: what is judged.
        dtype: that of θ.
        tally: takes what is found.
        drawn: how many runs a state machine makes up after the fixed ones.
        seed: the same seed gives the same runs; None gives others each time.
    """
    tally.failure = next(filter(None, _of_fixed_runs(port, dtype, tally)), None)
    if tally.failure is not None:
        return
    if not drawn:
        return
    try:
        from lion_conformance.runs.state_machine import drive_state_machine
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
    else:
        drive_state_machine(port, dtype, tally, runs=drawn, seed=seed)


def _of_fixed_runs(port: Port, dtype: str, tally: Tally) -> Iterator[RunFailure[Trajectory] | None]:
    def taken(runs: Iterable[Trajectory]) -> Iterator[Trajectory]:
        return (avoiding(run, tally.refusals) for run in runs)

    for run in taken((*whole_runs(port, dtype), *interleaved_runs(port, dtype))):
        yield follow(port, run, tally)
    for run in taken((*hops(port, dtype), *further_runs(port, dtype))):
        yield judged(run, answers(port, run), tally)
    for run in taken(mixed_runs(port, dtype)):
        yield follow(port, run, tally, dtype=dtype)
    yield follow_long(port, avoiding(long_run(port, dtype), tally.refusals), tally)
