"""A long run of one tensor, judged when it is over: its steps of one η and λ as one case.

The update is elementwise (SPEC C12), so the states before many steps can stand side by side in one
array, and their gradients too: every step is judged, at the cost of few.
"""

from __future__ import annotations

import numpy as np

from lion_conformance.cases.pace import Pace
from lion_conformance.ports.protocol import Port, PortError
from lion_conformance.runs.follow import answers, judged, refused
from lion_conformance.runs.observed import Answer
from lion_conformance.runs.trajectory import Trajectory
from lion_conformance.verdict.failure import RunFailure
from lion_conformance.verdict.tally import Tally


def follow_long(
    port: Port, run: Trajectory, tally: Tally, pace: Pace | None = None
) -> RunFailure[Trajectory] | None:
    """Judge the steps of one tensor that there is time for; what is rejected ends them."""
    pace = pace or Pace()
    answered: list[list[Answer]] = []
    try:
        for of_event in answers(port, run):
            answered.append(of_event)  # kept when a later one fails
            if not pace.has_time():
                break
    except PortError as error:
        run = run.until(len(answered))
        failure = RunFailure(run, run.unanswered(error))
        if not refused(failure, tally):
            return failure
    tally.events["step"] += len(answered)
    alike: dict[tuple[float, float], list[Answer]] = {}
    for (answer,) in answered:
        alike.setdefault((answer.case.lr, answer.case.weight_decay), []).append(answer)
    for steps in alike.values():
        arrays = [np.concatenate(x) for x in zip(*(s.case.arrays for s in steps), strict=True)]
        param, momentum = (np.concatenate(x) for x in zip(*(s.got for s in steps), strict=True))
        if tally.take(steps[0].case.with_arrays(arrays), (param, momentum)):
            return judged(run, iter(answered), Tally(port.declared))
    return None
