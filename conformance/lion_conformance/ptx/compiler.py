"""Makes a Program of an Entry: registers get numbers, instructions become steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lion_conformance.operations.operation import WIDTHS, Operation
from lion_conformance.ptx.instructions import UnknownInstruction, meaning
from lion_conformance.ptx.operands import immediate_bits
from lion_conformance.ptx.program import Filled, Piece, Step
from lion_conformance.ptx.recorded import Known, Place, Recorded, record
from lion_conformance.ptx.run import DTYPES
from lion_conformance.ptx.syntax import (
    TYPE_WIDTHS,
    Entry,
    Instruction,
    Negated,
    Number,
    Operand,
    Pair,
    Register,
    Sink,
    Special,
    Symbol,
)

Array = npt.NDArray[Any]
Evaluator = Callable[[Operation], Callable[..., Array]]

Micro = tuple[Callable[..., Array], int, tuple[int, ...]]
"""A function, the slot of its result, the slots of its arguments."""

_NOT: Final = Operation("not", "pred")


class Slots:
    """The numbers of an entry's registers, of its constants, and of what a launch fills in."""

    def __init__(self, entry: Entry, evaluator: Evaluator) -> None:
        self.entry = entry
        self.evaluator = evaluator
        self.values: list[Any] = [None] * len(entry.registers)
        self.of_register = {name: slot for slot, name in enumerate(entry.registers)}
        self.bits = [TYPE_WIDTHS[kind] for kind in entry.registers.values()]
        self.constants: dict[tuple[int, int], int] = {}
        self.specials: dict[str, int] = {}
        self.filled: dict[tuple[Any, ...], Filled] = {}
        self.spare: list[int] = []
        self.layout: dict[str, int] = {}
        """Where variables of shared and local memory lie."""

    def new(self, bits: int, value: Any = None) -> int:
        """A slot more."""
        self.values.append(value)
        self.bits.append(bits)
        return len(self.values) - 1

    def temporary(self, index: int) -> int:
        """A slot for what an instruction needs between its first and last operation."""
        while len(self.spare) <= index:
            self.spare.append(self.new(0))
        return self.spare[index]

    def constant(self, bits: int, width: int) -> int:
        """The slot of a number."""
        key = bits % (1 << width), width
        if key not in self.constants:
            self.constants[key] = self.new(width, np.array([key[0]], DTYPES[width]))
        return self.constants[key]

    def special(self, name: str) -> int:
        """The slot of a special register."""
        if name not in self.specials:
            self.specials[name] = self.new(32)
        return self.specials[name]

    def parameter(self, instruction: Instruction, name: str, offset: int, width: int) -> int:
        """The slot of `width` bytes of a parameter."""
        found = next((param for param in self.entry.params if param.name == name), None)
        if found is None:
            raise instruction.refused(f"a parameter that is not declared: {name}")
        if offset < 0 or offset + width > found.size:
            raise instruction.refused(f"{name} has {found.size} bytes")
        return self._fill("param", name, offset, width)

    def symbol(self, instruction: Instruction, symbol: Symbol) -> int:
        """The slot of the address of a variable."""
        found = next((v for v in self.entry.variables if v.name == symbol.name), None)
        if found is None:
            raise instruction.refused(f"a variable that is not known: {symbol.name}")
        if found.unknown:
            raise instruction.refused(f"{symbol.name} begins with an address, which is not known")
        if found.space in {"shared", "local"}:
            return self.constant(self.layout[symbol.name] + symbol.offset, 64)
        return self._fill("variable", symbol.name, symbol.offset, 8)

    def space(self, name: str) -> str:
        """The memory that a variable is in; "" for one that is not known."""
        return next((v.space for v in self.entry.variables if v.name == name), "")

    def converter(self, kind: str, bits: int) -> Callable[..., Array]:
        """From this type to so many bits: cut, or drawn out by zeros or by its sign."""
        sign = "s" if kind[0] == "s" else "u"
        return self.evaluator(Operation("convert", f"{sign}{bits}", source=f"{sign}{WIDTHS[kind]}"))

    def _fill(self, kind: Any, name: str, offset: int, width: int) -> int:
        key = kind, name, offset, width
        if key not in self.filled:
            self.filled[key] = Filled(self.new(8 * width), kind, name, offset, width)
        return self.filled[key].slot

    def source(self, instruction: Instruction, operand: Operand, width: int) -> int:
        """The slot of a source operand, as it is declared."""
        if isinstance(operand, Register):
            return self.of_register[operand.name]
        if isinstance(operand, Special):
            return self.special(operand.name)
        if isinstance(operand, Symbol):
            return self.symbol(instruction, operand)
        if isinstance(operand, Number) and operand.form != "decimal":
            return self.constant(int(operand.value), width)
        raise instruction.refused("an operand that is not known here")


class Micros:
    """The operations of one instruction, in slots."""

    def __init__(self, slots: Slots, instruction: Instruction) -> None:
        self.slots = slots
        self.instruction = instruction
        self.micros: list[Micro] = []
        self.reads: list[int] = []

    def do(self, function: Callable[..., Array], *arguments: int) -> int:
        """One operation more; the slot of its result."""
        result = self.slots.temporary(len(self.micros))
        self.micros.append((function, result, arguments))
        return result

    def source(self, operand: Operand, kind: str) -> int:
        """The slot of a source as this type: of a wider register, the lower bits."""
        slots, width = self.slots, WIDTHS[kind]
        if isinstance(operand, Negated):
            self.reads.append(slots.of_register[operand.register.name])
            return self.do(slots.evaluator(_NOT), self.reads[-1])
        if isinstance(operand, Number):
            bits = immediate_bits(operand, kind)
            if bits is None:
                raise self.instruction.refused(f"a number that is none of type .{kind}")
            return slots.constant(bits if kind != "pred" else bits != 0, width)
        slot = slots.source(self.instruction, operand, width)
        self.reads.append(slot)
        held = slots.bits[slot]
        if held < width or (held != width and 1 in {held, width}):
            raise self.instruction.refused(f"an operand of {held} bits, where .{kind} is expected")
        return slot if held == width else self.do(self.slots.converter(f"u{held}", width), slot)

    def result(self, slot: int, kind: str, target: int) -> int:
        """The slot of a result as wide as the register that it goes to."""
        width, room = WIDTHS[kind], self.slots.bits[target]
        if width == room:
            return slot
        if room < width or 1 in {room, width}:
            raise self.instruction.refused(f"a result of {width} bits in a register of {room}")
        return self.do(self.slots.converter(kind, room), slot)

    def piece(self, moves: Sequence[tuple[int, int]]) -> Piece:
        """The instruction; at its end the first slot of each pair goes to the second."""
        step, for_all = steps(tuple(self.micros), tuple(moves))
        writes = tuple(target for _, target in moves)
        return Piece(self.instruction, tuple(self.reads), writes, step, for_all)


def targets(slots: Slots, instruction: Instruction, operand: Operand) -> list[int]:
    """The slots of one destination operand: two for `p|q`, -1 for what is thrown away."""
    if isinstance(operand, Pair):
        return [
            *targets(slots, instruction, operand.first),
            *targets(slots, instruction, operand.second),
        ]
    if isinstance(operand, Sink):
        return [-1]
    if isinstance(operand, Register):
        return [slots.of_register[operand.name]]
    raise instruction.refused("a register expected")


def computed(slots: Slots, instruction: Instruction) -> Piece:
    """An instruction that computes, by its meaning."""
    try:
        known = meaning(instruction.opcode)
    except UnknownInstruction as error:
        raise instruction.refused(str(error)) from None
    if not instruction.operands:
        raise instruction.refused("an instruction without operands")
    first, *operands = instruction.operands
    goals = targets(slots, instruction, first)
    if len(operands) != len(known.sources):
        raise instruction.refused(f"{len(known.sources)} sources expected, not {len(operands)}")
    if len(goals) > len(known.results):
        raise instruction.refused("more results than it has")
    micros = Micros(slots, instruction)
    places: list[Place | Known] = []
    held: dict[int, int] = {}
    for index, (operand, kind) in enumerate(zip(operands, known.sources, strict=True)):
        held[index] = micros.source(operand, kind)
        number = isinstance(operand, Number)
        bits = int(slots.values[held[index]][0]) if number else 0
        places.append(Known(kind, bits) if number else Place(index))
    results = _operations(micros, record(known, tuple(places)), held)
    moves = [
        (micros.result(slot, kind, goal), goal)
        for slot, kind, goal in zip(results, known.results, goals, strict=False)
        if goal >= 0
    ]
    return micros.piece(moves)


def _operations(micros: Micros, recorded: Recorded, held: dict[int, int]) -> list[int]:
    """Do what is recorded, with its sources in these slots; the slots of its results."""
    slots = micros.slots

    def slot_of(value: Place | Known) -> int:
        if isinstance(value, Known):
            return slots.constant(value.bits, WIDTHS[value.kind])
        return held[value.number]

    for number, (operation, arguments) in enumerate(recorded.operations, recorded.sources):
        held[number] = micros.do(slots.evaluator(operation), *map(slot_of, arguments))
    return [slot_of(value) for value in recorded.results]


def steps(micros: tuple[Micro, ...], moves: tuple[tuple[int, int], ...]) -> tuple[Step, Step]:
    """A step that writes for the lanes at work, and one that writes for all."""
    if len(micros) == len(moves) == 1 and moves[0][0] == micros[0][1]:
        function, _, arguments = micros[0]
        return _single(function, moves[0][1], arguments)

    def step(run: Any) -> None:
        registers = run.registers
        for function, result, arguments in micros:
            registers[result] = function(*[registers[argument] for argument in arguments])
        # Values first: a result may be a register that another one is made from.
        values = [registers[source] for source, _ in moves]
        for value, (_, target) in zip(values, moves, strict=True):
            run.put(target, value)

    def for_all(run: Any) -> None:
        registers = run.registers
        for function, result, arguments in micros:
            registers[result] = function(*[registers[argument] for argument in arguments])
        values = [registers[source] for source, _ in moves]
        for value, (_, target) in zip(values, moves, strict=True):
            registers[target] = value

    return step, for_all


def _single(
    function: Callable[..., Array], target: int, arguments: tuple[int, ...]
) -> tuple[Step, Step]:
    """One operation, straight to its register."""
    if len(arguments) == 2:
        first, second = arguments

        def two(run: Any) -> None:
            registers = run.registers
            run.put(target, function(registers[first], registers[second]))

        def two_for_all(run: Any) -> None:
            registers = run.registers
            registers[target] = function(registers[first], registers[second])

        return two, two_for_all

    def step(run: Any) -> None:
        registers = run.registers
        run.put(target, function(*[registers[argument] for argument in arguments]))

    def for_all(run: Any) -> None:
        registers = run.registers
        registers[target] = function(*[registers[argument] for argument in arguments])

    return step, for_all
