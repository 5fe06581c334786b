"""How a kernel is launched: a grid of programs, and the threads of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A launch's grid of programs, and the threads of each."""

    grid: tuple[int, int, int]
    threads: tuple[int, int, int]

    @property
    def programs(self) -> int:
        """How many programs there are."""
        return self.grid[0] * self.grid[1] * self.grid[2]

    @property
    def width(self) -> int:
        """How many threads a program has."""
        return self.threads[0] * self.threads[1] * self.threads[2]

    def who(self, lane: int) -> str:
        """The thread of this lane, in words."""
        program, thread = divmod(lane, self.width)
        return f"thread {_place(thread, self.threads)} of program {_place(program, self.grid)}"


def _place(index: int, extent: tuple[int, int, int]) -> str:
    x, rest = index % extent[0], index // extent[0]
    y, z = rest % extent[1], rest // extent[1]
    return str(index) if extent[1] == extent[2] == 1 else f"({x}, {y}, {z})"
