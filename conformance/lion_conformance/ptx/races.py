"""Who touched which bytes of memory, and whether any two had to take turns and did not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lion_conformance.ptx.findings import Finding
from lion_conformance.ptx.memory import Allocation
from lion_conformance.ptx.syntax import Instruction

if TYPE_CHECKING:
    from lion_conformance.ptx.run import Shape

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Access:
    """Cells of `width` bytes that one instruction read or wrote, and the lane of each."""

    index: Array
    width: int
    lanes: Array
    epoch: int | Array
    instruction: Instruction
    writes: bool

    def grains(self, grain: int) -> tuple[Array, Array]:
        """The grains of these cells, and the lane of each."""
        index, lanes = np.broadcast_arrays(self.index, self.lanes)
        parts = self.width // grain
        if parts == 1:
            return index, lanes
        spread = index[:, None] * parts + np.arange(parts)
        return spread.ravel(), np.repeat(lanes, parts)

    def during(self, epoch: int) -> Access | None:
        """What of this was done between two barriers."""
        if isinstance(self.epoch, int):
            return self if self.epoch == epoch else None
        chosen = self.epoch == epoch
        if not chosen.any():
            return None
        index, lanes = np.broadcast_arrays(self.index, self.lanes)
        return Access(
            index[chosen], self.width, lanes[chosen], epoch, self.instruction, self.writes
        )


class Log:
    """All accesses of a launch, by what they touched."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.accesses: dict[Allocation, list[Access]] = {}

    def note(self, held: Allocation, access: Access) -> None:
        """Keep an access until all are known."""
        self.accesses.setdefault(held, []).append(access)

    def judge(self) -> None:
        """Raise a Finding if two threads touch the same bytes, one writes, and nothing orders them.

        A barrier orders the threads of a program; nothing orders two programs.
        """
        for held, accesses in self.accesses.items():
            if any(access.writes for access in accesses):
                self._judge(held, accesses)
        self.accesses.clear()

    def _judge(self, held: Allocation, accesses: list[Access]) -> None:
        width = min(access.width for access in accesses)
        held.refine(width)
        epochs = _epochs(accesses)
        if len(epochs) == 1:
            self._apart(held, accesses, 1)
            return
        # Programs first, whenever they touch it; then the threads of each between two barriers.
        self._apart(held, accesses, self.shape.width)
        for epoch in sorted(epochs):
            parts = [part for part in (a.during(epoch) for a in accesses) if part is not None]
            self._apart(held, parts, 1)

    def _apart(self, held: Allocation, accesses: list[Access], size: int) -> None:
        """Each grain is written by one owner at most, and read by no other one.

        size: how many lanes are one owner: 1, or the threads of a program.
        """
        owner_of = np.full(held.views[1].size // held.grain, -1, np.int64)
        taken = [(access, *access.grains(held.grain)) for access in accesses]
        for access, index, lanes in taken:
            if access.writes:
                owner_of[index] = lanes if size == 1 else lanes // size
        for access, index, lanes in taken:
            owners = lanes if size == 1 else lanes // size
            other = owner_of[index]
            wrong = other != owners
            if not access.writes:
                wrong &= other >= 0
            if wrong.any():
                at = int(np.argmax(wrong))
                grain, lane = int(index[at]), int(lanes[at])
                raise self._finding(held, taken, grain, lane, access, size)

    def _finding(
        self,
        held: Allocation,
        taken: list[tuple[Access, Array, Array]],
        grain: int,
        lane: int,
        access: Access,
        size: int,
    ) -> Finding:
        """The words for two lanes at one grain."""
        for other, index, lanes in reversed(taken):
            if not other.writes:
                continue
            by = (index == grain) & (lanes // size != lane // size)
            if by.any():
                second = int(lanes[np.argmax(by)])
                break
        else:
            raise AssertionError("a race without a second thread")
        verb = "writes" if access.writes else "reads"
        where = held.where(grain * held.grain)
        same = lane // self.shape.width == second // self.shape.width
        missing = "no barrier is between them" if same else "nothing orders two programs"
        return Finding(
            "race",
            f"race: {self.shape.who(lane)} {verb} {where} ({access.instruction.place}), which "
            f"{self.shape.who(second)} writes ({other.instruction.place}), and {missing}",
        )


def _epochs(accesses: list[Access]) -> set[int]:
    epochs: set[int] = set()
    for access in accesses:
        if isinstance(access.epoch, int):
            epochs.add(access.epoch)
        else:
            epochs.update(int(epoch) for epoch in np.unique(access.epoch))
    return epochs
