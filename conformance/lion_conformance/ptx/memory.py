"""Global memory: each array alone in an address range that no index of another one reaches.

An allocation lies in the middle of 2**40 addresses of its own. The number of the range is in the
high bits of an address: which array a pointer was made from is known however far it has gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import gcd
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

RANGE_BITS: Final = 40
_MIDDLE: Final = 1 << (RANGE_BITS - 1)
_FIRST_RANGE: Final = 16  # those below are for the windows of shared and local memory
_PADDING: Final = 16  # so that a view of the widest cells covers the last bytes, too

CELLS: Final = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
"""Cells of memory by their bytes."""


@dataclass(eq=False)
class Allocation:
    """One array in memory; `grain` is the bytes of the cells that are told apart in it."""

    name: str
    base: int
    size: int
    grain: int
    views: dict[int, Array] = field(default_factory=dict)
    """The bytes, as cells of 1, 2, 4 and 8."""
    written: Array | None = None
    """Whether each grain was ever written; None where all of them were."""
    untouched: bool = True
    """Nobody wrote any of it."""
    constant: bool = False
    """A variable of the module, which would keep what is written from launch to launch."""

    element: int = 1
    """Bytes of what its owner counts in it."""
    repeats: int = 0
    """Bytes from one program's, or thread's, to the next one's, where each has its own."""
    size_of_each: int = 0
    """How many of them it may touch."""

    def load(self, index: Array, width: int) -> Array:
        """What these cells of `width` bytes hold."""
        return np.asarray(self.views[width][index])

    def store(self, index: Array, width: int, value: Array) -> None:
        """Change these cells; of wider values, the lower bytes."""
        self.views[width][index] = value

    def where(self, offset: int) -> str:
        """The place of a byte, counted from the first cell, in words."""
        if self.repeats:
            return f"byte {offset % self.repeats} of {self.name}"
        return f"element {(offset - self.lead) // self.element} of {self.name}"

    @property
    def bytes(self) -> Array:
        """What the array holds."""
        return self.views[1][self.lead : self.lead + self.size]

    @property
    def lead(self) -> int:
        """Bytes before the array, so that its cells begin where those of memory do."""
        return self.base % _PADDING

    @property
    def origin(self) -> int:
        """The address of the first cell."""
        return self.base - self.lead

    def refine(self, grain: int) -> None:
        """Tell smaller cells apart."""
        if grain < self.grain:
            if self.written is not None and self.untouched:
                self.written = np.zeros(self.views[1].size // grain, np.bool_)
            elif self.written is not None:
                self.written = np.repeat(self.written, self.grain // grain)
            self.grain = grain

    def is_written(self, index: Array, width: int) -> Array:
        """Whether these cells of `width` bytes were written; asked only where `written` is kept."""
        self.refine(width)
        known: Array = np.ones(1, np.bool_) if self.written is None else self.written
        parts = width // self.grain
        if parts > 1:
            rows = known[: known.size // parts * parts].reshape(-1, parts)
            known = np.asarray(rows.all(axis=1))
        return np.asarray(known[index])

    def mark_written(self, index: Array, width: int) -> None:
        """Note that these cells of `width` bytes are written."""
        if self.written is None:
            return
        self.refine(width)
        self.untouched = False
        parts = width // self.grain
        if parts == 1:
            self.written[index] = True
        else:
            self.written.reshape(-1, parts)[index] = True


class Memory:
    """The arrays that a launch is given."""

    kind: type[Allocation] = Allocation

    def __init__(self) -> None:
        self.allocations: list[Allocation] = []

    def place(self, name: str, array: Array, *, written: bool = True, offset: int = 0) -> int:
        """A copy of the array in memory; its address.

        `written=False`: what is there has never been written, and reading it is a finding.
        `offset`: bytes from an address that is a multiple of 256, for arrays that begin unaligned.
        """
        array = np.ascontiguousarray(array)
        base = ((_FIRST_RANGE + len(self.allocations)) << RANGE_BITS) + _MIDDLE + offset
        held = self.allocation(name, base, array.nbytes, array.itemsize, written=written)
        held.bytes[:] = array.reshape(-1).view(np.uint8)
        self.allocations.append(held)
        return base

    def read(self, name: str, dtype: npt.DTypeLike = np.uint8) -> Array:
        """A copy of what an array holds now."""
        held = self.named(name)
        return np.frombuffer(held.bytes.tobytes(), dtype).copy()

    def named(self, name: str) -> Allocation:
        """The allocation of this name."""
        return next(held for held in self.allocations if held.name == name)

    def at(self, address: int) -> Allocation | None:
        """The allocation whose range this address is in."""
        index = (address >> RANGE_BITS) - _FIRST_RANGE
        return self.allocations[index] if 0 <= index < len(self.allocations) else None

    def allocation(
        self, name: str, base: int, size: int, element: int, *, written: bool
    ) -> Allocation:
        """Zero bytes that are yet in no range."""
        size_with_lead = base % _PADDING + size
        room = -(-size_with_lead // _PADDING) * _PADDING + _PADDING
        grain = gcd(element, base)
        buffer = np.zeros(room, np.uint8)
        views = {width: buffer.view(cell) for width, cell in CELLS.items()}
        known = None if written else np.zeros(room // grain, np.bool_)
        return self.kind(name, base, size, grain, views, known, element=element)
