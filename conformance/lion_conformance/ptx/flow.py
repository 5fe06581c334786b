"""Blocks of an entry, and what its control flow says of registers before anything runs."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from lion_conformance.ptx.compiler import Evaluator, Slots, computed
from lion_conformance.ptx.movement import moved
from lion_conformance.ptx.program import Block, Piece, Program, Step, nothing
from lion_conformance.ptx.syntax import Entry, Instruction, Negated, Number, Symbol

_BARRIERS: Final = frozenset(
    [
        "bar.sync",
        "bar.cta.sync",
        "barrier.sync",
        "barrier.cta.sync",
        "barrier.sync.aligned",
        "barrier.cta.sync.aligned",
    ]
)
_ENDS: Final = frozenset({"ret", "ret.uni", "exit"})


def compiled(entry: Entry, evaluator: Evaluator) -> Program:
    """The entry, ready to run on what `evaluator` computes with."""
    slots = Slots(entry, evaluator)
    shared, dynamic = _laid_out(slots, "shared")
    local, _ = _laid_out(slots, "local")
    blocks = _blocks(slots)
    watched = frozenset(slot for slot in _watched(blocks) if slot < len(entry.registers))
    own = _own(blocks)
    for number, block in enumerate(blocks):
        block.steps = [
            _step(piece, watched, all(own.get(slot) == number for slot in piece.writes))
            for piece in block.pieces
        ]
        if block.predicate in watched and block.instruction is not None:
            block.steps.append(_watching(nothing, block.instruction, (block.predicate,), ()))
    return Program(
        blocks=blocks,
        registers=slots.values,
        bits=slots.bits,
        watched=watched,
        specials=slots.specials,
        filled=list(slots.filled.values()),
        shared_size=shared,
        dynamic_shared=dynamic,
        local_size=local,
    )


def _laid_out(slots: Slots, space: str) -> tuple[int, bool]:
    """Give each variable of this memory its place; all their bytes, and if one has no size."""
    end, dynamic = 0, False
    variables = [v for v in slots.entry.variables if v.space == space]
    for variable in sorted(variables, key=lambda v: v.size is None):
        end = -(-end // variable.alignment) * variable.alignment
        slots.layout[variable.name] = end
        end += variable.size or 0
        dynamic |= variable.size is None
    return end, dynamic


def _blocks(slots: Slots) -> list[Block]:
    entry = slots.entry
    starts = {0}
    for index, instruction in enumerate(entry.body):
        name = instruction.opcode.split(".")[0]
        if name == "bra":
            starts |= {index + 1, _target(entry, instruction)}
        elif instruction.opcode in _ENDS or name in {"bar", "barrier"}:
            starts.add(index + 1)
    order = sorted(starts | {len(entry.body)})
    number = {start: block for block, start in enumerate(order)}
    blocks = [Block(index) for index in range(len(order))]
    for start, end in pairwise(order):
        block = blocks[number[start]]
        for instruction in entry.body[start:end]:
            if not _ends(slots, block, instruction, number):
                block.pieces.append(_piece(slots, instruction))
    # What runs past the last instruction is at its end, as after a ret.
    blocks[-1].end = "exit"
    return blocks


def _target(entry: Entry, instruction: Instruction) -> int:
    (target,) = instruction.operands
    if not isinstance(target, Symbol) or target.name not in entry.labels:
        raise instruction.refused("a jump to a label that is not there")
    return entry.labels[target.name]


def _ends(slots: Slots, block: Block, instruction: Instruction, number: dict[int, int]) -> bool:
    """Whether the instruction is one that says where its lanes go; the block knows it then."""
    name = instruction.opcode.split(".")[0]
    if instruction.opcode in {"bra", "bra.uni"}:
        block.end, block.target = "jump", number[_target(slots.entry, instruction)]
    elif instruction.opcode in _ENDS:
        block.end = "exit"
    elif name in {"bar", "barrier"}:
        first, *rest = instruction.operands or (None,)
        if instruction.opcode not in _BARRIERS or rest or not isinstance(first, Number):
            raise instruction.refused("only barriers of a whole program are known")
        block.end, block.barrier = "barrier", int(first.value)
    else:
        return False
    block.instruction = instruction
    block.predicate, block.negated = _predicate(slots, instruction)
    if block.end == "barrier" and block.predicate >= 0:
        raise instruction.refused("a barrier with a predicate is not known")
    return True


def _predicate(slots: Slots, instruction: Instruction) -> tuple[int, bool]:
    predicate = instruction.predicate
    if predicate is None:
        return -1, False
    negated = isinstance(predicate, Negated)
    register = predicate.register if isinstance(predicate, Negated) else predicate
    slot = slots.of_register[register.name]
    if slots.bits[slot] != 1:
        raise instruction.refused("a predicate that is declared as none")
    return slot, negated


def _piece(slots: Slots, instruction: Instruction) -> Piece:
    piece = moved(slots, instruction) or computed(slots, instruction)
    piece.predicate, piece.negated = _predicate(slots, instruction)
    return piece


def _reads(piece: Piece) -> tuple[int, ...]:
    return piece.reads if piece.predicate < 0 else (*piece.reads, piece.predicate)


def _watched(blocks: list[Block]) -> frozenset[int]:
    """Registers that some way through the code reads before it surely wrote them."""
    entries = [piece for block in blocks for piece in block.pieces]
    written = {slot for piece in entries for slot in piece.writes}
    read = {slot for piece in entries for slot in _reads(piece)}
    read |= {block.predicate for block in blocks if block.predicate >= 0}
    registers = written | read
    everything = frozenset(registers)
    before: list[frozenset[int] | None] = [None] * len(blocks)
    before[0] = frozenset()
    work = [0]
    while work:
        number = work.pop()
        known = before[number]
        sure = set(known or ())
        for piece in blocks[number].pieces:
            if piece.predicate < 0:
                sure.update(piece.writes)
        for after in following(blocks, number):
            old = before[after]
            new = frozenset(sure) if old is None else old & sure
            if new != old:
                before[after] = new
                work.append(after)
    unsure: set[int] = set()
    for number, block in enumerate(blocks):
        known = before[number]
        sure = set(everything if known is None else known)
        for piece in block.pieces:
            unsure.update(slot for slot in _reads(piece) if slot not in sure)
            if piece.predicate < 0:
                sure.update(piece.writes)
        if block.predicate >= 0 and block.predicate not in sure:
            unsure.add(block.predicate)
    return frozenset(unsure)


def following(blocks: list[Block], number: int) -> list[int]:
    """The blocks that lanes may go to from this one."""
    block = blocks[number]
    if block.end == "exit" and block.predicate < 0:
        return []
    if block.end == "jump":
        return [block.target] if block.predicate < 0 else [block.target, number + 1]
    return [number + 1]


def _own(blocks: list[Block]) -> dict[int, int]:
    """Registers that only one block reads, each time after it wrote them itself, by that block."""
    home: dict[int, int] = {}
    for number, block in enumerate(blocks):
        fresh: set[int] = set()
        for piece in block.pieces:
            for slot in _reads(piece):
                alone = slot in fresh and home.get(slot, number) == number
                home[slot] = number if alone else -1
            if piece.predicate < 0:
                fresh.update(piece.writes)
        if block.predicate >= 0:
            alone = block.predicate in fresh and home.get(block.predicate, number) == number
            home[block.predicate] = number if alone else -1
    return home


def _step(piece: Piece, watched: frozenset[int], own: bool) -> Step:
    """The step of a piece, with its predicate and with a watch on what may not be written yet."""
    step = piece.step
    if own and piece.predicate < 0 and piece.step_for_all is not None:
        step = piece.step_for_all
    reads = tuple(slot for slot in piece.reads if slot in watched)
    writes = tuple(slot for slot in piece.writes if slot in watched)
    if reads or writes:
        step = _watching(step, piece.instruction, reads, writes)
    if piece.predicate >= 0:
        step = _guarded(step, piece.predicate, piece.negated)
        if piece.predicate in watched:
            step = _watching(step, piece.instruction, (piece.predicate,), ())
    return step


def _watching(
    step: Step, instruction: Instruction, reads: tuple[int, ...], writes: tuple[int, ...]
) -> Step:
    def watching(run: Any) -> None:
        for slot in reads:
            run.check_defined(slot, instruction)
        step(run)
        for slot in writes:
            run.define(slot)

    return watching


def _guarded(step: Step, predicate: int, negated: bool) -> Step:
    def guarded(run: Any) -> None:
        run.under(run.registers[predicate], negated, step)

    return guarded
