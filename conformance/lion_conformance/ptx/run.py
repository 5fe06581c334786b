"""The state of a launch: registers, who of the threads is at work, what special registers hold."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lion_conformance.ptx.findings import Finding
from lion_conformance.ptx.memory import Allocation, Memory
from lion_conformance.ptx.program import Block, Step
from lion_conformance.ptx.races import Log
from lion_conformance.ptx.shape import Shape
from lion_conformance.ptx.syntax import Instruction

Array = npt.NDArray[Any]

DTYPES: Final[dict[int, type[np.generic]]] = {
    1: np.bool_,
    8: np.uint8,
    16: np.uint16,
    32: np.uint32,
    64: np.uint64,
}
"""What holds a value of so many bits."""

WARP: Final = 32


class Work:
    """The lanes at work, and what was found out about them and will be asked again."""

    __slots__ = ("active", "inner", "lanes", "mask", "reached")

    def __init__(self, mask: Array | None, numbers: Array) -> None:
        self.mask = mask
        """None: all."""
        self.active = None if mask is None else np.flatnonzero(mask)
        """The numbers of the lanes in the run; None: all."""
        self.lanes = numbers if mask is None else numbers[self.active]
        """Their numbers in the launch."""
        self.inner: dict[tuple[int, bool], tuple[Array, Work | None]] = {}
        """By a predicate: it, and those of the lanes that it lets work; None for none."""
        self.reached: dict[int, Any] = {}
        """What is known of addresses."""


class Run:
    """Some programs of a launch: each thread of them is a lane.

    A register's value is an array with a value for each lane, or with a single one where all lanes
    have the same.
    """

    def __init__(
        self,
        shape: Shape,
        first: int,
        programs: int,
        registers: list[Any],
        names: list[str],
        bits: list[int],
        memory: Memory,
        log: Log,
    ) -> None:
        self.shape = shape
        self.first = first
        self.programs = programs
        self.lanes = programs * shape.width
        self.registers = registers
        self.names = names
        self.bits = bits
        self.memory = memory
        self.log = log
        self.block: Block | None = None
        """What they do."""
        self.numbers = np.arange(self.lanes, dtype=np.int32) + np.int32(first * shape.width)
        """The number of each lane in the launch."""
        self.everybody = Work(None, self.numbers)
        self.work = self.everybody
        self.keep: Array | None = None
        """The lanes whose registers are written; None where the others' matter to nobody."""
        self.epoch: int | Array = 0
        """How many barriers each lane's program has passed; one number where all are alike."""
        self.shared: Allocation | None = None
        self.local: Allocation | None = None
        self.watched: frozenset[int] = frozenset()
        """Registers that may be read before they are written, as far as the code can tell."""
        self.defined: dict[int, Array] = {}
        """Which lanes wrote a register, where that is not plain from the code."""

    def put(self, slot: int, value: Array) -> None:
        """Write a register of the lanes at work, and of them alone."""
        old = self.registers[slot]
        if self.keep is None or old is None:
            self.registers[slot] = value
        else:
            self.registers[slot] = np.where(self.keep, value, old)

    @property
    def mask(self) -> Array | None:
        """The lanes at work; None where all are."""
        return self.work.mask

    def under(self, predicate: Array, negated: bool, step: Step) -> None:
        """Do a step in those of the lanes at work whose predicate says so."""
        if predicate.size == 1:
            if bool(predicate[0]) != negated:
                step(self)
            return
        outer, keep = self.work, self.keep
        key = id(predicate), negated
        # The predicate is held, too: what has its number while it lives is the same array.
        found = outer.inner.get(key)
        if found is None:
            found = outer.inner[key] = predicate, self._let(predicate, negated)
        inner = found[1]
        if inner is outer:
            step(self)
        elif inner is not None:
            self.work, self.keep = inner, inner.mask
            step(self)
            self.work, self.keep = outer, keep

    def _let(self, predicate: Array, negated: bool) -> Work | None:
        """Those of the lanes at work whose predicate says so; None where it is nobody's."""
        mask = ~predicate if negated else predicate
        if self.work.mask is not None:
            mask = mask & self.work.mask
        elif mask.all():
            return self.work
        return Work(mask, self.numbers) if mask.any() else None

    # Lanes that go the same way are, to those who send them on, one thing: here a mask, or None for
    # all lanes; in a run on symbols there is more to them.

    def enter(self, lanes: Any, everybody: bool, alone: bool) -> None:
        """Put lanes to work. everybody: none has left; alone: those that have not are all here."""
        if lanes is None or (alone and everybody):
            self.everybody.inner.clear()
            self.everybody.reached.clear()
            self.work = self.everybody
        else:
            self.work = Work(lanes, self.numbers)
        self.keep = None if alone else self.work.mask

    def here(self) -> Any:
        """The lanes at work."""
        return self.work.mask

    def split(self, predicate: Array, block: Block) -> tuple[Any, Any]:
        """The lanes that a block's predicate sends on its way, and the others; False for none."""
        if predicate.size == 1:
            taken = bool(predicate[0]) != block.negated
            return (self.mask, False) if taken else (False, self.mask)
        if block.negated:
            predicate = ~predicate
        if self.mask is None:
            yes, no = predicate, ~predicate
        else:
            yes, no = predicate & self.mask, ~predicate & self.mask
        return (yes if yes.any() else False), (no if no.any() else False)

    def joined(self, one: Any, other: Any) -> Any:
        """Both, once they meet."""
        return None if one is None or other is None else one | other

    def leave(self, alive: Array | None, lanes: Any) -> Array:
        """Who is left when these lanes, of those alive, have come to the end."""
        if lanes is None:
            return np.zeros(self.lanes, np.bool_)
        return np.asarray(~lanes if alive is None else alive & ~lanes)

    def wait(self, lanes: Any) -> Array:
        """These lanes as a mask, at a barrier."""
        return np.ones(self.lanes, np.bool_) if lanes is None else np.asarray(lanes)

    def resume(self, mask: Array) -> Any:
        """Lanes of a mask, after a barrier."""
        return mask

    def store(self, held: Allocation, index: Array, width: int, value: Array) -> None:
        """Change cells of memory, those of the lanes at work."""
        held.store(index, width, value)

    def concrete(self, values: Array, instruction: Instruction) -> Array:  # noqa: ARG002 -- symbols
        """The numbers that an instruction's addresses are."""
        return values

    def define(self, slot: int) -> None:
        """Note that the lanes at work wrote a register."""
        known = self.defined.get(slot)
        if self.mask is None:
            self.defined[slot] = np.ones(1, np.bool_)
        else:
            self.defined[slot] = self.mask.copy() if known is None else known | self.mask

    def check_defined(self, slot: int, instruction: Instruction) -> None:
        """A Finding if a lane at work never wrote a register that it is about to read."""
        known = self.defined.get(slot, np.zeros(1, np.bool_))
        missing = ~np.broadcast_to(known, self.lanes)
        if self.mask is not None:
            missing &= self.mask
        if missing.any():
            lane = self.first * self.shape.width + int(np.argmax(missing))
            raise Finding(
                "uninitialized",
                f"uninitialized: {self.shape.who(lane)} reads {self.names[slot]}, which it never "
                f"wrote ({instruction.place})",
            )

    def spread(self, slot: int, active: Array | None, values: Array) -> None:
        """Write a register of the lanes with these numbers."""
        if active is None:
            self.registers[slot] = values
            return
        old = self.registers[slot]
        if old is None:
            old = np.zeros(1, values.dtype)
        if old.size == 1 and self.lanes != 1:
            old = np.full(self.lanes, old[0], old.dtype)
        else:
            old = old.copy()
        if old.dtype != values.dtype:
            old = old.astype(object)
        old[active] = values
        self.registers[slot] = old

    def special(self, name: str) -> Array:
        """What a special register holds."""
        return special(name, self.shape, self.first, self.programs)


@lru_cache(maxsize=256)
def special(name: str, shape: Shape, first: int, programs: int) -> Array:
    """What a special register holds in each lane of these programs."""
    kind, _, axis = name[1:].partition(".")
    at = "xyz".find(axis) if axis else 0
    thread = np.arange(shape.width)
    if kind == "ntid":
        value = np.array([shape.threads[at]])
    elif kind == "nctaid":
        value = np.array([shape.grid[at]])
    elif kind == "nwarpid":
        value = np.array([-(-shape.width // WARP)])
    elif kind == "tid":
        value = np.tile(_coordinate(thread, shape.threads, at), programs)
    elif kind == "ctaid":
        program = np.arange(first, first + programs)
        value = np.repeat(_coordinate(program, shape.grid, at), shape.width)
    elif kind == "warpid":
        value = np.tile(thread // WARP, programs)
    else:
        lane = np.tile(thread % WARP, programs)
        if kind == "laneid":
            value = lane
        else:
            one = np.uint64(1) << lane.astype(np.uint64)
            below = one - np.uint64(1)
            value = {
                "eq": one,
                "lt": below,
                "le": below | one,
                "ge": ~below,
                "gt": ~(below | one),
            }[kind.removeprefix("lanemask_")]
    held = (value.astype(np.uint64) & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    held.flags.writeable = False
    return held


def _coordinate(index: Array, extent: tuple[int, int, int], axis: int) -> Array:
    before = int(np.prod(extent[:axis]))
    return np.asarray(index // before % extent[axis])
