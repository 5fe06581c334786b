"""Instructions that compute nothing: mov, ld, st, cvta, and those that are no matter of bits."""

from __future__ import annotations

from typing import Any, Final

from lion_conformance.operations.operation import Operation
from lion_conformance.ptx.compiler import Micros, Slots, computed, targets
from lion_conformance.ptx.moves import Transfer, transfer
from lion_conformance.ptx.program import Piece, nothing
from lion_conformance.ptx.syntax import (
    TYPE_WIDTHS,
    Address,
    Instruction,
    Number,
    Operand,
    Register,
    Sink,
    Symbol,
    Vector,
)
from lion_conformance.ptx.transfer import WINDOWS, load, store

_NOTHING: Final = frozenset(
    [
        "membar",
        "fence",
        "prefetch",
        "prefetchu",
        "applypriority",
        "discard",
        "griddepcontrol",
        "nanosleep",
        "setmaxnreg",
        "brkpt",
        "pmevent",
    ]
)
"""No matter of bits: when others see a write, what a cache holds, how long something takes."""


def moved(slots: Slots, instruction: Instruction) -> Piece | None:
    """The instruction as a piece, if it is one of these."""
    name = instruction.opcode.split(".")[0]
    if name == "mov":
        return _mov(slots, instruction)
    if name in {"ld", "ldu"}:
        return _load(slots, instruction)
    if name == "st":
        return _store(slots, instruction)
    if name == "cvta":
        return _cvta(slots, instruction)
    if name == "createpolicy":
        # A policy is handed to loads and stores, where it says what a cache holds.
        (goal,) = targets(slots, instruction, instruction.operands[0])
        return Micros(slots, instruction).piece([(slots.constant(0, 64), goal)])
    if name in _NOTHING:
        return Piece(instruction, (), (), nothing)
    return None


def _mov(slots: Slots, instruction: Instruction) -> Piece:
    if len(instruction.operands) != 2:
        raise instruction.refused("two operands expected")
    target, source = instruction.operands
    kind = instruction.opcode.split(".")[-1]
    if kind not in TYPE_WIDTHS:
        raise instruction.refused("a type that is not known")
    width = TYPE_WIDTHS[kind]
    if kind == "pred" or isinstance(source, Number):
        return computed(slots, instruction)
    micros = Micros(slots, instruction)
    if isinstance(source, Vector):
        part = width // len(source.parts)
        pieces = [_plain(micros, operand, part) for operand in source.parts]
        packing = Operation("concat", f"b{width}", source=f"b{part}")
        held = micros.do(slots.evaluator(packing), *pieces)
    elif isinstance(source, Symbol):
        if slots.space(source.name) == "" and any(
            p.name == source.name for p in slots.entry.params
        ):
            raise instruction.refused("the address of a parameter; only loads of it are known")
        held = slots.symbol(instruction, source)
        if width == 32:
            held = micros.do(slots.converter("u64", 32), held)
    else:
        held = _plain(micros, source, width)
    if isinstance(target, Vector):
        part = width // len(target.parts)
        moves = []
        for index, operand in enumerate(target.parts):
            (goal,) = targets(slots, instruction, operand)
            if goal >= 0:
                cut = Operation("extract", f"b{part}", source=f"b{width}", low=part * index)
                moves.append((micros.do(slots.evaluator(cut), held), goal))
        return micros.piece(moves)
    (goal,) = targets(slots, instruction, target)
    if goal < 0 or slots.bits[goal] != width:
        raise instruction.refused(f"a register of {width} bits expected")
    return micros.piece([(held, goal)])


def _plain(micros: Micros, operand: Operand, width: int) -> int:
    """The slot of an operand whose bits are taken as they are."""
    slots = micros.slots
    slot = slots.source(micros.instruction, operand, width)
    micros.reads.append(slot)
    if slots.bits[slot] == width:
        return slot
    if not isinstance(operand, Register) and slots.bits[slot] == 32 and width == 64:
        return micros.do(slots.converter("u32", 64), slot)
    raise micros.instruction.refused(f"an operand of {slots.bits[slot]} bits, not of {width}")


def _parts(
    instruction: Instruction, move: Transfer, operands: tuple[Operand, ...]
) -> tuple[Operand, Operand]:
    """The two operands of a load or store; a policy after them says only what a cache holds."""
    if len(operands) != 2 + move.has_policy:
        raise instruction.refused("two operands expected")
    return operands[0], operands[1]


def _cells(instruction: Instruction, move: Transfer, operand: Operand) -> tuple[Operand, ...]:
    parts = operand.parts if isinstance(operand, Vector) else (operand,)
    if len(parts) != move.count:
        raise instruction.refused(f"{move.count} registers expected")
    return parts


def _load(slots: Slots, instruction: Instruction) -> Piece:
    move = transfer(instruction)
    result, source = _parts(instruction, move, instruction.operands)
    if not isinstance(source, Address):
        raise instruction.refused("an address in brackets expected")
    goals = []
    for operand in _cells(instruction, move, result):
        if not isinstance(operand, Register | Sink):
            raise instruction.refused("a register expected")
        goals += targets(slots, instruction, operand)
    width = 8 * move.width
    for goal in goals:
        if goal >= 0 and slots.bits[goal] < width:
            raise instruction.refused(f"a load of {width} bits to a register of {slots.bits[goal]}")
    if move.space == "param":
        return _parameters(slots, instruction, move, source, goals)
    places = tuple(
        (goal, slots.converter(move.kind, slots.bits[goal]) if _wider(slots, goal, width) else None)
        for goal in goals
    )
    base, offset = _address(slots, instruction, source)

    def step(run: Any) -> None:
        load(run, move, base, offset, places)

    return Piece(instruction, (base,), tuple(goal for goal in goals if goal >= 0), step)


def _wider(slots: Slots, goal: int, width: int) -> bool:
    return goal >= 0 and slots.bits[goal] > width


def _parameters(
    slots: Slots, instruction: Instruction, move: Transfer, source: Address, goals: list[int]
) -> Piece:
    if not isinstance(source.base, Symbol):
        raise instruction.refused("an address of a parameter in a register; only its name is known")
    micros = Micros(slots, instruction)
    moves = []
    for index, goal in enumerate(goals):
        offset = source.offset + index * move.width
        slot = slots.parameter(instruction, source.base.name, offset, move.width)
        if goal >= 0:
            if slots.bits[goal] > 8 * move.width:
                slot = micros.do(slots.converter(move.kind, slots.bits[goal]), slot)
            moves.append((slot, goal))
    return micros.piece(moves)


def _store(slots: Slots, instruction: Instruction) -> Piece:
    move = transfer(instruction)
    target, source = _parts(instruction, move, instruction.operands)
    if not isinstance(target, Address) or move.space in {"param", "const"}:
        raise instruction.refused("a store to a place that is not known")
    width = 8 * move.width
    held = tuple(
        slots.source(instruction, operand, width) for operand in _cells(instruction, move, source)
    )
    for slot in held:
        if slots.bits[slot] < width:
            raise instruction.refused(
                f"a store of {width} bits of a register of {slots.bits[slot]}"
            )
    sources = tuple(
        (slot, slots.converter(f"u{slots.bits[slot]}", width) if slots.bits[slot] > width else None)
        for slot in held
    )
    base, offset = _address(slots, instruction, target)

    def step(run: Any) -> None:
        store(run, move, base, offset, sources)

    return Piece(instruction, (base, *held), (), step)


def _address(slots: Slots, instruction: Instruction, address: Address) -> tuple[int, int]:
    """The slot that an address is in, and what is added to it."""
    if isinstance(address.base, Symbol):
        return slots.symbol(instruction, address.base), address.offset
    if address.base is None:
        return slots.constant(address.offset, 64), 0
    slot = slots.of_register[address.base.name]
    if slots.bits[slot] not in {32, 64}:
        raise instruction.refused("an address of 32 or 64 bits expected")
    return slot, address.offset


def _cvta(slots: Slots, instruction: Instruction) -> Piece:
    words = instruction.opcode.split(".")[1:]
    back = words[0] == "to"
    space = words[back].split("::")[0] if len(words) > back else ""
    if words[-1] != "u64" or len(instruction.operands) != 2:
        raise instruction.refused("only addresses of 64 bits are known")
    if space not in {"global", "const", "shared", "local"}:
        raise instruction.refused(f"the address of a .{space} is not known")
    (goal,) = targets(slots, instruction, instruction.operands[0])
    micros = Micros(slots, instruction)
    held = _plain(micros, instruction.operands[1], 64)
    window = WINDOWS.get(space, 0)
    if window:
        operation = Operation("sub" if back else "add", "u64")
        held = micros.do(slots.evaluator(operation), held, slots.constant(window, 64))
    return micros.piece([(held, goal)])
