"""What is rejected, and why in one line: a case, or a run at its last event. Plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

import lion_ref
from lion_conformance.cases.case import Case
from lion_conformance.ports.protocol import PortError
from lion_ref import Semantics
from lion_ref.acceptance import judge
from lion_ref.arithmetic import Array, same_bits


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that is rejected, and why in one line."""

    case: Case
    got: tuple[Array, Array] | None
    why: str
    expected: tuple[Array, Array] | None = None
    """What alone is right, where that is no step's result; the case then holds what was before."""
    promised: Semantics | None = None
    """The semantics whose very bits were promised, where it is a promise that is broken."""
    error: PortError | None = None
    """What stands in the place of an answer, or is wrong with answers whatever their bits."""
    again: tuple[Array, Array] | None = None
    """What a second call with the same inputs gave, where it gave other bits."""
    alone: bool = True
    """Whether the port fails on this case alone, not only after those before it."""
    passed: Case | None = None
    """The first case of all, if that was right."""

    def expected_at(self, index: int) -> tuple[Array, Array] | None:
        """What alone is right in one element."""
        if self.expected is None:
            return None
        param, momentum = (x.reshape(-1)[index : index + 1] for x in self.expected)
        return param, momentum


class Run(Protocol):
    """What there is to know of a run here: `runs.trajectory` has it in full."""

    @property
    def events(self) -> Sequence[object]:
        """What happened, in order."""

    def lines(self) -> list[str]:
        """The run as text, one event a line."""


RunT = TypeVar("RunT", bound=Run)


@dataclass(frozen=True, slots=True)
class RunFailure(Generic[RunT]):
    """A run that is rejected at its last event."""

    run: RunT
    last: Failure
    """That event for one tensor; `got` is None where the port did not answer."""
    tensor: int | None = None

    @property
    def why(self) -> str:
        """Which event of which tensor, and why, in one line."""
        which = f"event {len(self.run.events) - 1}"
        if self.tensor is not None:
            which += f", tensor {self.tensor}"
        return f"{which}: {self.last.why}"


def first_difference(failure: Failure) -> int | None:
    """The flat index of the first element at fault, if there is one."""
    case, got = failure.case, failure.got
    if got is None:
        return None
    wanted = failure.expected or failure.again
    if failure.promised is not None:
        wanted = lion_ref.step(*case.arrays, **case.scalars, semantics=failure.promised)
    if wanted is None:
        judgement = judge(*case.arrays, *got, **case.scalars)
        outside = ~(judgement.param.accepted & judgement.momentum.accepted)
    else:
        outside = np.zeros(case.param.shape, bool)
        for actual, right in zip(got, wanted, strict=True):
            outside |= ~same_bits(actual, right)
    where = np.flatnonzero(outside)
    return int(where[0]) if where.size else None
