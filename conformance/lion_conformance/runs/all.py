"""All runs of one dtype: the fixed ones, then those that Hypothesis draws where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from lion_conformance.cases.order import orders
from lion_conformance.cases.pace import Pace
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


class Planned(NamedTuple):
    """A fixed run by its name, and how it is judged."""

    name: str
    write: Callable[[], Trajectory]
    judge: Callable[[Port, Trajectory, Tally, Pace], RunFailure[Trajectory] | None]


def judge_runs(
    port: Port,
    dtype: str,
    tally: Tally,
    *,
    drawn: int,
    seed: int | None = 0,
    pace: Pace | None = None,
) -> None:
    """Judge a port's runs (SPEC C30), up to the first that is rejected: tally.failure.

    Args:
        port: what is judged.
        dtype: that of θ.
        tally: takes what is found.
        drawn: how many runs a state machine makes up after the fixed ones.
        seed: the same seed gives the same runs; None gives others each time.
        pace: the time there is for them; for all, if omitted.
    """
    pace = pace or Pace()
    plan = planned(port, dtype)
    pace.plan(len(plan) + drawn)
    for _, write, judge in plan:
        if not pace.goes_on():
            return
        tally.failure = judge(port, avoiding(write(), tally.refusals), tally, pace)
        if tally.failure is not None:
            return
    if not drawn or not pace.goes_on(drawn):
        return
    try:
        from lion_conformance.runs.state_machine import drive_state_machine
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
    else:
        drive_state_machine(port, dtype, tally, runs=drawn, seed=seed)


def planned(port: Port, dtype: str) -> list[Planned]:
    """The fixed runs of a port, the most telling first."""

    def of_dtype(
        port: Port, run: Trajectory, tally: Tally, pace: Pace
    ) -> RunFailure[Trajectory] | None:
        return follow(port, run, tally, dtype=dtype, pace=pace)

    plan = [
        Planned(name, write, judge)
        for judge, named in (
            (_followed, (*whole_runs(port, dtype), *interleaved_runs(port, dtype))),
            (_once, (*hops(port, dtype), *further_runs(port, dtype))),
            (of_dtype, mixed_runs(port, dtype)),
        )
        for name, write in named
    ]
    return orders().runs.sorted(
        [*plan, Planned("long", partial(long_run, port, dtype), follow_long)]
    )


def _followed(
    port: Port, run: Trajectory, tally: Tally, pace: Pace
) -> RunFailure[Trajectory] | None:
    return follow(port, run, tally, pace=pace)


def _once(port: Port, run: Trajectory, tally: Tally, pace: Pace) -> RunFailure[Trajectory] | None:
    return judged(run, answers(port, run), tally, pace=pace)
