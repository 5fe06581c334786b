"""Who touched which bytes of memory, and whether any two had to take turns and did not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lion_conformance.ptx.findings import Finding
from lion_conformance.ptx.memory import Allocation
from lion_conformance.ptx.moves import Transfer
from lion_conformance.ptx.shape import Shape

Array = npt.NDArray[Any]


@dataclass(slots=True, eq=False)
class Access:
    """Cells that one instruction touched: the first one of each lane."""

    index: Array
    lanes: Array
    epoch: int | Array
    move: Transfer

    def grains(self, grain: int) -> tuple[Array, Array]:
        """The grains of these cells, and the lane of each."""
        index, lanes = self.index, self.lanes
        if index.size != lanes.size:
            index = np.broadcast_to(index, lanes.shape)
        each = self.move.width // grain
        parts = each * self.move.count
        if parts == 1:
            return index, lanes
        return (index[:, None] * each + np.arange(parts)).ravel(), np.repeat(lanes, parts)

    def during(self, epoch: int) -> Access | None:
        """What of this was done between two barriers."""
        if isinstance(self.epoch, int):
            return self if self.epoch == epoch else None
        chosen = self.epoch == epoch
        if not chosen.any():
            return None
        index = np.broadcast_to(self.index, self.lanes.shape)
        return Access(index[chosen], self.lanes[chosen], epoch, self.move)


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
            if any(access.move.writes for access in accesses):
                self._judge(held, accesses)
        self.accesses.clear()

    def _judge(self, held: Allocation, accesses: list[Access]) -> None:
        width = min(access.move.width for access in accesses)
        held.refine(width)
        self._fresh(held, accesses)
        epochs = _epochs(accesses)
        if len(epochs) == 1:
            self._apart(held, accesses, 1)
            return
        # Programs first, whenever they touch it; then the threads of each between two barriers.
        self._apart(held, accesses, self.shape.width)
        for epoch in sorted(epochs):
            parts = [part for part in (a.during(epoch) for a in accesses) if part is not None]
            self._apart(held, parts, 1)

    def _fresh(self, held: Allocation, accesses: list[Access]) -> None:
        """Raise a Finding if ld.global.nc reads what the launch has written before."""
        before: list[Access] = []
        for access in accesses:
            if access.move.writes:
                before.append(access)
            elif access.move.incoherent and before:
                index, lanes = access.grains(held.grain)
                stale = np.isin(index, _together(before, held.grain, 1)[0])
                if stale.any():
                    at = int(np.argmax(stale))
                    grain = int(index[at])
                    _, write = _of(before, held.grain, grain, lambda lanes: lanes >= 0)
                    raise Finding(
                        "race",
                        f"race: {self.shape.who(int(lanes[at]))} reads "
                        f"{held.where(grain * held.grain)} by ld.global.nc "
                        f"({access.move.instruction.place}), which was written before "
                        f"({write.move.instruction.place}), and the cache that it reads may still "
                        f"hold what was there",
                    )

    def _apart(self, held: Allocation, accesses: list[Access], size: int) -> None:
        """Each grain is written by one owner at most, and read by no other one.

        size: how many lanes are one owner: 1, or the threads of a program.
        """
        writes = [access for access in accesses if access.move.writes]
        reads = [access for access in accesses if not access.move.writes]
        if not writes:
            return
        # Only what is touched is filled in: shared memory may be large, and hardly used.
        owner_of = np.empty(held.views[1].size // held.grain, np.int32)
        read, readers = _together(reads, held.grain, size)
        owner_of[read] = -1
        index, owners = _together(writes, held.grain, size)
        owner_of[index] = owners
        wrong = owner_of[index] != owners
        if not wrong.any():
            index, owners = read, readers
            other = owner_of[index]
            wrong = (other != owners) & (other >= 0)
            if not wrong.any():
                return
            accesses = reads
        else:
            accesses = writes
        at = int(np.argmax(wrong))
        grain, owner = int(index[at]), int(owners[at])
        one = _of(accesses, held.grain, grain, lambda lanes: lanes // size == owner)
        other_one = _of(writes, held.grain, grain, lambda lanes: lanes // size != owner)
        raise self._finding(held, grain, one, other_one)

    def _finding(
        self, held: Allocation, grain: int, one: tuple[int, Access], other: tuple[int, Access]
    ) -> Finding:
        """The words for two lanes at one grain, of which the second one writes."""
        (lane, access), (second, write) = one, other
        verb = "writes" if access.move.writes else "reads"
        same = lane // self.shape.width == second // self.shape.width
        missing = "no barrier is between them" if same else "nothing orders two programs"
        equal = "; it is a race even if they write the same" if access.move.writes else ""
        return Finding(
            "race",
            f"race: {self.shape.who(lane)} {verb} {held.where(grain * held.grain)} "
            f"({access.move.instruction.place}), which {self.shape.who(second)} writes "
            f"({write.move.instruction.place}), and {missing}{equal}",
        )


_NOTHING: Final = np.zeros(0, np.int64), np.zeros(0, np.int32)


def _together(accesses: list[Access], grain: int, size: int) -> tuple[Array, Array]:
    """The grains of all accesses, and their owners: of `size` lanes each."""
    parts = [access.grains(grain) for access in accesses] or [_NOTHING]
    if len(parts) == 1:
        index, lanes = parts[0]
    else:
        index = np.concatenate([index for index, _ in parts])
        lanes = np.concatenate([lanes for _, lanes in parts])
    return index, lanes if size == 1 else lanes // size


def _of(
    accesses: list[Access], size: int, grain: int, whose: Callable[[Array], Array]
) -> tuple[int, Access]:
    """The lane and the access that touched this grain."""
    for access in accesses:
        index, lanes = access.grains(size)
        there = (index == grain) & whose(lanes)
        if there.any():
            return int(lanes[np.argmax(there)]), access
    raise AssertionError("nobody touched what a race is about")


def _epochs(accesses: list[Access]) -> set[int]:
    epochs: set[int] = set()
    for access in accesses:
        if isinstance(access.epoch, int):
            epochs.add(access.epoch)
        else:
            epochs.update(int(epoch) for epoch in np.unique(access.epoch))
    return epochs
