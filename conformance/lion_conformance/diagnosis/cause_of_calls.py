"""What a port keeps from call to call: chance, a count, the scalars of the call before, a cache."""

from __future__ import annotations

from lion_conformance.ports.protocol import Port
from lion_conformance.verdict.cause import Cause
from lion_conformance.verdict.failure import Failure


def cause_of_calls(port: Port, dtype: str, failure: Failure) -> Cause | None:
    """The cause of a step that is right, or other, at another call; None if there is no other."""
    return None
