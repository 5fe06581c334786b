"""What goes wrong between steps: which event, and what the port does there instead."""

from __future__ import annotations

from lion_conformance.ports.protocol import Port
from lion_conformance.runs.trajectory import Trajectory
from lion_conformance.verdict.cause import Cause
from lion_conformance.verdict.failure import RunFailure


def cause_of_run(port: Port, dtype: str, failure: RunFailure[Trajectory]) -> Cause | None:
    """The cause of a run that is rejected, confirmed on fresh runs; None if it has no name."""
    return None
