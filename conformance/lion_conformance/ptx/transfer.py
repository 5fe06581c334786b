"""Loads and stores: which bytes an address means to which thread, and whether it may touch them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lion_conformance.ptx.findings import Finding
from lion_conformance.ptx.memory import RANGE_BITS, Allocation
from lion_conformance.ptx.moves import Transfer
from lion_conformance.ptx.races import Access
from lion_conformance.ptx.run import Run
from lion_conformance.ptx.syntax import Instruction

Array = npt.NDArray[Any]

WINDOWS: Final = {"shared": 1 << RANGE_BITS, "local": 2 << RANGE_BITS}
"""Where generic addresses of memory that every program or thread has for itself begin."""

_SHIFTS: Final = {1: 0, 2: 1, 4: 2, 8: 3}


@dataclass(slots=True, eq=False)
class Cells:
    """Cells of an allocation: the first one of each lane at work."""

    held: Allocation
    index: Array
    lanes: Array
    """Lanes of the launch, not of the run."""
    active: Array | None
    """Lanes of the run; None where all are at work."""


class Reach:
    """The addresses that a register holds in the lanes at work."""

    __slots__ = ("bits", "high", "indices", "low", "place", "register")

    def __init__(self, run: Run, register: Array, instruction: Instruction) -> None:
        self.register = register
        work = run.work
        register = run.concrete(register, instruction)
        if work.active is not None and register.size != 1:
            register = register[work.active]
        # As signed numbers: what lies before an array, or before address 0, is seen as that.
        if register.dtype == np.uint32:
            self.place = register.view(np.int32).astype(np.int64)
        else:
            self.place = register.view(np.int64)
        self.low, self.high = int(self.place.min()), int(self.place.max())
        self.bits = int(np.bitwise_or.reduce(self.place))
        """Bits that are set in any of them."""
        self.indices: dict[int, Array] = {}
        """By the bytes of a cell, the cells that they are in the one array that they mean."""


def reached(run: Run, register: Array, instruction: Instruction) -> Reach:
    """What is known of these addresses, which are often used with several offsets."""
    known = run.work.reached.get(id(register))
    if known is None:
        known = run.work.reached[id(register)] = Reach(run, register, instruction)
    return known


def touched(run: Run, move: Transfer, register: Array, offset: int) -> list[Cells]:
    """The cells that the lanes at work mean, by allocation; a Finding if any may not be touched."""
    reach, work = reached(run, register, move.instruction), run.work
    space = move.space or _space(reach, move, offset)
    if space in {"shared", "local"}:
        window = 0 if move.space else WINDOWS[space]
        return [_own(run, move, reach.place + (offset - window), space)]
    low, width = reach.low + offset, move.width
    held = run.memory.at(low)
    fits = (
        held is not None
        and low >= held.base
        and reach.high + offset + move.bytes <= held.base + held.size
        and not (reach.bits | offset) & (move.bytes - 1)
    )
    if not fits or held is None:
        return _sorted_out(run, move, reach.place + offset)
    index = reach.indices.get(width)
    if index is None:
        index = reach.indices[width] = (reach.place - held.origin) >> _SHIFTS[width]
    ahead = offset >> _SHIFTS[width]
    return [Cells(held, index + ahead if ahead else index, work.lanes, work.active)]


def _space(reach: Reach, move: Transfer, offset: int) -> str:
    """The memory that generic addresses mean."""
    first, last = (reach.low + offset) >> RANGE_BITS, (reach.high + offset) >> RANGE_BITS
    spaces = {base >> RANGE_BITS: name for name, base in WINDOWS.items()}
    if first != last and {first, last} & set(spaces):
        raise move.instruction.refused("one load or store of several memories at once")
    return spaces.get(first, "global")


def _sorted_out(run: Run, move: Transfer, place: Array) -> list[Cells]:
    """Lanes of one load or store in several arrays, if each of them is inside of its own."""
    numbers, active = run.work.lanes, run.work.active
    place = np.broadcast_to(place, numbers.shape)
    ranges = place >> RANGE_BITS
    found = []
    for each in np.unique(ranges):
        chosen = np.flatnonzero(ranges == each)
        there, lanes = place[chosen], numbers[chosen]
        held = run.memory.at(int(each) << RANGE_BITS)
        if held is None:
            verb = "writes" if move.writes else "reads"
            raise Finding(
                "out-of-bounds",
                f"out of bounds: {run.shape.who(int(lanes[0]))} {verb} {move.bytes} bytes at "
                f"{int(there[0]):#x}, where there is no array ({move.instruction.place})",
            )
        outside = (there < held.base) | (there + move.bytes > held.base + held.size)
        if outside.any():
            at = int(np.argmax(outside))
            raise _outside(
                run, move, int(there[at]) - held.base, int(lanes[at]), held.size, held.name, outside
            )
        _aligned(run, move, there, lanes, held)
        own = chosen if active is None else active[chosen]
        found.append(Cells(held, (there - held.origin) >> _SHIFTS[move.width], lanes, own))
    return found


def _own(run: Run, move: Transfer, offset: Array, space: str) -> Cells:
    """Cells of the memory that each program or thread has for itself."""
    numbers, active = run.work.lanes, run.work.active
    held = run.shared if space == "shared" else run.local
    size = held.repeats if held is not None else 0
    room = held.size_of_each if held is not None else 0
    outside = (offset < 0) | (offset + move.bytes > room)
    if outside.any() or held is None:
        at = int(np.argmax(outside)) if outside.size > 1 else 0
        name = f"the {space} memory of its {'program' if space == 'shared' else 'thread'}"
        raise _outside(run, move, int(offset[at]), int(numbers[at]), room, name, outside)
    _aligned(run, move, offset, numbers, held)
    own = numbers // run.shape.width - run.first
    if space == "local":
        own = numbers - run.first * run.shape.width
    index = (offset + own * size) >> _SHIFTS[move.width]
    return Cells(held, index, numbers, active)


def _outside(
    run: Run, move: Transfer, offset: int, lane: int, size: int, name: str, outside: Array
) -> Finding:
    """The words for bytes that begin at this offset of an array of this size."""
    past = offset + move.bytes - size
    if offset + move.bytes <= 0:
        where = f"{move.bytes} bytes, {-offset} bytes before the beginning of {name}"
    elif offset < 0:
        where = f"{move.bytes} bytes, {-offset} of them before the beginning of {name}"
    elif past > move.bytes:
        where = f"{move.bytes} bytes, {past - move.bytes} bytes past the end of {name}"
    elif past == move.bytes:
        where = f"{move.bytes} bytes past the end of {name}"
    else:
        where = f"{move.bytes} bytes, {past} of them past the end of {name}"
    verb = "writes" if move.writes else "reads"
    others = int(outside.sum()) - 1
    more = f"; {others} more threads do so" if others > 1 else "; one more thread does so" * others
    return Finding(
        "out-of-bounds",
        f"out of bounds: {run.shape.who(lane)} {verb} {where} ({move.instruction.place}){more}",
    )


def _aligned(run: Run, move: Transfer, place: Array, numbers: Array, held: Allocation) -> None:
    """Raise a Finding unless every address is a multiple of what is moved at once."""
    if move.bytes == 1:
        return
    odd = place & (move.bytes - 1)
    if odd.any():
        at = int(np.argmax(odd != 0))
        verb = "writes" if move.writes else "reads"
        raise Finding(
            "misaligned",
            f"misaligned: {run.shape.who(int(numbers[at]))} {verb} {move.bytes} bytes of "
            f"{held.name} at an address that is no multiple of {move.bytes} "
            f"({move.instruction.place})",
        )


Convert = Callable[..., Array]


def load(
    run: Run,
    move: Transfer,
    register: int,
    offset: int,
    targets: tuple[tuple[int, Convert | None], ...],
) -> None:
    """Load each cell to a register, -1 for one that is thrown away; made as wide as that first."""
    for cells in touched(run, move, run.registers[register], offset):
        _note(run, move, cells)
        for part, (slot, widen) in enumerate(targets):
            index = cells.index if part == 0 else cells.index + part
            if cells.held.written is not None:
                _written(run, move, cells, index)
            if slot < 0:
                continue
            value = cells.held.load(index, move.width)
            run.spread(slot, cells.active, value if widen is None else widen(value))


def _note(run: Run, move: Transfer, cells: Cells) -> None:
    epoch = run.epoch
    if not isinstance(epoch, int) and cells.active is not None:
        epoch = epoch[cells.active]
    run.log.note(cells.held, Access(cells.index, cells.lanes, epoch, move))


def _written(run: Run, move: Transfer, cells: Cells, index: Array) -> None:
    known = cells.held.is_written(index, move.width)
    if not known.all():
        at = int(np.argmin(known))
        where = cells.held.where(int(index[at]) * move.width)
        raise Finding(
            "uninitialized",
            f"uninitialized: {run.shape.who(int(cells.lanes[at]))} reads {where}, which nobody "
            f"wrote ({move.instruction.place})",
        )


def store(
    run: Run,
    move: Transfer,
    register: int,
    offset: int,
    sources: tuple[tuple[int, Convert | None], ...],
) -> None:
    """Store each register to its cell; of a wider one, what `cut` leaves."""
    for cells in touched(run, move, run.registers[register], offset):
        if cells.held.constant:
            raise move.instruction.refused(
                f"a store to {cells.held.name}, a variable of the module, which lasts from launch "
                f"to launch; only loads of such are known"
            )
        _note(run, move, cells)
        for part, (slot, cut) in enumerate(sources):
            index = cells.index if part == 0 else cells.index + part
            value = run.registers[slot]
            if cells.active is not None and value.size != 1:
                value = value[cells.active]
            if cut is not None:
                value = cut(value)
            run.store(cells.held, index, move.width, value)
            cells.held.mark_written(index, move.width)
