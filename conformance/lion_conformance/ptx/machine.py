"""Runs a kernel: all threads of all programs at once, an instruction a NumPy operation.

Threads that part at a branch are groups. The group that is furthest back in the code runs, until it
comes to where another one waits, which it joins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from lion_conformance.operations.evaluate import evaluator
from lion_conformance.ptx.compiler import Evaluator
from lion_conformance.ptx.contraction import contracted
from lion_conformance.ptx.findings import Finding
from lion_conformance.ptx.flow import compiled
from lion_conformance.ptx.memory import Memory
from lion_conformance.ptx.program import Block, Filled, Program
from lion_conformance.ptx.races import Log
from lion_conformance.ptx.run import DTYPES, WARP, Run
from lion_conformance.ptx.shape import Shape
from lion_conformance.ptx.syntax import Entry, SourceError

Array = npt.NDArray[Any]

MOST_LANES: Final = 1 << 15
"""So many threads at once, for what they hold to stay in a cache."""

MOST_STEPS: Final = 4_000_000
"""Instructions of a launch, each for however many threads, after which it counts as endless."""

DYNAMIC_SHARED: Final = 227 * 1024
"""Bytes of shared memory that the launch sets, where nobody says how many: the most there are."""

_programs: WeakKeyDictionary[Entry, dict[tuple[str, Evaluator], Program]] = WeakKeyDictionary()


def launch(
    entry: Entry,
    memory: Memory,
    arguments: Sequence[int | bytes],
    *,
    grid: tuple[int, int, int],
    threads: tuple[int, int, int],
    contraction: str = "none",
    shared: int = DYNAMIC_SHARED,
    most_steps: int = MOST_STEPS,
) -> None:
    """Run a kernel on arrays in memory, which it changes; a Finding if it does what none may do.

    arguments: each parameter's bits, or its bytes. contraction: what the assembler makes of a
    product and a sum that carry no rounding: "none", or one fused operation with the "first"
    product of the sum, or with the "second" one where both are products. shared: bytes that the
    launch asks for.
    """
    program = prepared(entry, contraction, evaluator)
    shape = Shape(grid, threads)
    Launch(entry, program, memory, shape, shared, most_steps).all(arguments)


def prepared(entry: Entry, contraction: str, evaluator: Evaluator) -> Program:
    """The compiled kernel, made once for each way and each kind of value."""
    held = _programs.setdefault(entry, {})
    key = contraction, evaluator
    if key not in held:
        held[key] = compiled(contracted(entry, contraction), evaluator)
    return held[key]


def _parameters(entry: Entry, arguments: Sequence[Any]) -> dict[str, Any]:
    if len(arguments) != len(entry.params):
        raise SourceError(
            f"line {entry.line}: {entry.name} has {len(entry.params)} parameters, "
            f"not {len(arguments)}"
        )
    return {
        param.name: (argument % (1 << 8 * param.size)).to_bytes(param.size, "little")
        if isinstance(argument, int)
        else argument
        for param, argument in zip(entry.params, arguments, strict=True)
    }


class Launch:
    """One launch of a compiled kernel."""

    def __init__(
        self,
        entry: Entry,
        program: Program,
        memory: Memory,
        shape: Shape,
        shared: int,
        most_steps: int,
    ) -> None:
        self.entry = entry
        self.program = program
        self.memory = memory
        self.shape = shape
        self.shared = program.shared_size + shared * program.dynamic_shared
        self.left = most_steps
        self.log = Log(shape)

    run: type[Run] = Run

    def all(self, arguments: Sequence[Any]) -> None:
        """Run all programs, as many at once as fit, and then look for races among them."""
        begin = self.filled(_parameters(self.entry, arguments))
        at_once = max(1, MOST_LANES // self.shape.width)
        with np.errstate(all="ignore"):
            for first in range(0, self.shape.programs, at_once):
                self.some(first, min(at_once, self.shape.programs - first), begin)
        self.log.judge()

    def filled(self, parameters: dict[str, Any]) -> list[Any]:
        """What registers hold at the start."""
        registers = self.program.registers.copy()
        for fill in self.program.filled:
            if fill.kind == "param":
                registers[fill.slot] = self.parameter(fill, parameters[fill.name])
            else:
                registers[fill.slot] = np.array([self.variable(fill.name) + fill.offset], np.uint64)
        return registers

    def parameter(self, fill: Filled, argument: Any) -> Array:
        """What is loaded of a parameter."""
        data = argument[fill.offset : fill.offset + fill.width]
        return np.frombuffer(data, DTYPES[8 * fill.width])

    def variable(self, name: str) -> int:
        """The address of a variable of the module."""
        for held in self.memory.allocations:
            if held.name == name and held.constant:
                return held.base
        found = next(v for v in self.entry.variables if v.name == name)
        data = found.data if found.data is not None else b"\0" * (found.size or 0)
        base = self.memory.place(name, np.frombuffer(data, np.uint8))
        self.memory.allocations[-1].constant = True
        return base

    def some(self, first: int, programs: int, begin: list[Any]) -> None:
        """Run some programs to their end."""
        run = self.run(
            self.shape,
            first,
            programs,
            begin.copy(),
            list(self.entry.registers),
            self.program.bits,
            self.memory,
            self.log,
        )
        for name, slot in self.program.specials.items():
            run.registers[slot] = run.special(name)
        run.watched = self.program.watched
        run.shared = self.own("shared memory", self.shared, programs)
        run.local = self.own("local memory", self.program.local_size, run.lanes)
        Groups(self, run).run_all()

    def own(self, name: str, size: int, owners: int) -> Any:
        """Memory of which each program or thread has a piece for itself."""
        if not size:
            return None
        stride = -(-size // 16) * 16
        held = self.memory.allocation(name, 0, stride * owners, 8, written=False)
        held.repeats, held.size_of_each = stride, size
        return held


class Groups:
    """The threads of a run, by where they are in the code."""

    def __init__(self, launch: Launch, run: Run) -> None:
        self.launch = launch
        self.run = run
        self.blocks = launch.program.blocks
        self.pending: dict[int, Any] = {0: run.here()}
        """Lanes by the block that they do next."""
        self.waiting: dict[int, Array] = {}
        """Lanes at a barrier, by its block."""
        self.alive: Array | None = None
        """Lanes that have not left; None: all."""

    def run_all(self) -> None:
        """Run until every lane has left."""
        run, launch = self.run, self.launch
        while self.pending:
            number = min(self.pending)
            lanes = self.pending.pop(number)
            run.enter(lanes, self.alive is None, not self.pending and not self.waiting)
            run.block = block = self.blocks[number]
            launch.left -= len(block.steps) + 1
            if launch.left < 0:
                self.endless(block)
            for step in block.steps:
                step(run)
            self.end(number, block)
            if self.waiting:
                self.release()
        if self.waiting:
            self.deadlock()

    def end(self, number: int, block: Block) -> None:
        """Send the lanes of a block on."""
        lanes = self.run.here()
        if block.end == "barrier":
            self.arrive(number, lanes)
        elif block.end == "next":
            self.join(number + 1, lanes)
        elif block.predicate < 0:
            self.go(block, lanes)
        else:
            predicate = self.run.registers[block.predicate]
            taken, rest = self.run.split(predicate, block)
            if taken is not False:
                self.go(block, taken)
            if rest is not False:
                self.join(number + 1, rest)

    def go(self, block: Block, lanes: Any) -> None:
        """Do what a block ends with."""
        if block.end == "jump":
            self.join(block.target, lanes)
        else:
            self.alive = self.run.leave(self.alive, lanes)

    def join(self, number: int, lanes: Any) -> None:
        """Put lanes where others may wait already."""
        if number in self.pending:
            lanes = self.run.joined(self.pending[number], lanes)
        self.pending[number] = lanes

    def arrive(self, number: int, lanes: Any) -> None:
        """Bring lanes to a barrier."""
        mask = self.run.wait(lanes)
        if self.run.mask is None and not self.waiting:
            # All lanes at once, as it nearly always is.
            self.run.epoch += 1
            self.join(number + 1, lanes)
            return
        other = self.waiting.get(number)
        self.waiting[number] = mask if other is None else other | mask

    def by_program(self, lanes: Array) -> Array:
        """The lanes in rows, one for each program."""
        return lanes.reshape(self.run.programs, -1)

    def release(self) -> None:
        """Let those programs go on whose threads all wait at one barrier."""
        alive = np.ones(self.run.lanes, np.bool_) if self.alive is None else self.alive
        barriers = {self.blocks[number].barrier for number in self.waiting}
        for barrier in barriers:
            numbers = [n for n in self.waiting if self.blocks[n].barrier == barrier]
            here = np.logical_or.reduce([self.waiting[n] for n in numbers])
            complete = (self.by_program(here) == self.by_program(alive)).all(axis=1)
            complete &= self.by_program(here).any(axis=1)
            if not complete.any():
                continue
            free = np.repeat(complete, self.launch.shape.width)
            if len(numbers) > 1:
                self.same_in_warp(numbers, free)
            self.run.epoch = self.run.epoch + free.astype(np.int64)
            for number in numbers:
                gone = self.waiting[number] & free
                if gone.any():
                    self.join(number + 1, self.run.resume(gone))
                self.waiting[number] = self.waiting[number] & ~free
                if not self.waiting[number].any():
                    del self.waiting[number]

    def same_in_warp(self, numbers: list[int], free: Array) -> None:
        """A Finding if threads of one warp wait at different instructions."""
        lane = np.arange(self.run.lanes)
        width = self.launch.shape.width
        warp = lane // width * -(-width // WARP) + lane % width // WARP
        at = np.full(int(warp.max()) + 1, -1)
        for number in numbers:
            here = self.waiting[number] & free
            before = at[warp[here]]
            mixed = (before >= 0) & (before != number)
            if mixed.any():
                first = int(np.flatnonzero(here)[np.argmax(mixed)])
                other = self.blocks[int(before[np.argmax(mixed)])].instruction
                raise Finding(
                    "deadlock",
                    f"deadlock: {self.who(first)} waits at a barrier ({self.place(number)}) and "
                    f"others of its warp at another ({other.place if other else ''}); a warp has "
                    f"to come to a barrier together",
                )
            at[warp[here]] = number

    def deadlock(self) -> None:
        """The Finding for threads that wait for others which never come."""
        number, mask = next(iter(self.waiting.items()))
        first = int(np.argmax(mask))
        others = [n for n in self.waiting if n != number]
        where = f" at {self.place(others[0])}" if others else ""
        raise Finding(
            "deadlock",
            f"deadlock: {self.who(first)} waits at a barrier ({self.place(number)}) for other "
            f"threads of its program, which wait{where}",
        )

    def endless(self, block: Block) -> None:
        """The Finding for a kernel that does not end."""
        lane = 0 if self.run.mask is None else int(np.argmax(self.run.mask))
        places = [piece.instruction.place for piece in block.pieces[:1]]
        if block.instruction is not None:
            places = [block.instruction.place]
        where = f" ({places[0]})" if places else ""
        raise Finding(
            "never-ends",
            f"never ends: {self.who(lane)} is still at work{where} when the launch has done more "
            f"instructions than any update needs",
        )

    def who(self, lane: int) -> str:
        """The thread of a lane of this run."""
        return self.launch.shape.who(self.run.first * self.launch.shape.width + lane)

    def place(self, number: int) -> str:
        """Where a block ends."""
        found = self.blocks[number].instruction
        return found.place if found is not None else ""
