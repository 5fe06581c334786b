"""What the assembler may make of products and sums that carry no rounding: one fused operation.

PTX leaves `mul.f32` and `add.f32` to ptxas, which may compute both with one rounding; `mul.rn.f32`
and `add.rn.f32` it has to keep apart. The PTX does not say which: each way is a kernel of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import Final

from lion_conformance.operations.evaluate import evaluator
from lion_conformance.ptx.flow import compiled, following
from lion_conformance.ptx.instructions import UnknownInstruction, meaning
from lion_conformance.ptx.operands import immediate_bits
from lion_conformance.ptx.program import Block, Piece
from lion_conformance.ptx.syntax import (
    TYPE_WIDTHS,
    Entry,
    Instruction,
    Number,
    Operand,
    Register,
)

WAYS: Final = ("none", "first", "second")
"""Keep products and sums apart; or fuse, with the first or the second product where both may be."""


@dataclass(frozen=True, slots=True)
class _Product:
    """A product that a sum may take up, and whether it is turned round on its way there."""

    instruction: Instruction
    negative: bool


def may_contract(entry: Entry) -> bool:
    """Whether the assembler has a choice, so that the text alone does not say what is computed."""
    return bool(_sums(entry, "first"))


def contracted(entry: Entry, way: str) -> Entry:
    """The kernel as the assembler may make it, in one of WAYS."""
    if way not in WAYS:
        raise ValueError(f"contraction is one of {', '.join(WAYS)}, not {way!r}")
    sums = {} if way == "none" else _sums(entry, way)
    return _Rewriting(entry, sums).entry() if sums else entry


def _kept(instruction: Instruction) -> tuple[str, str]:
    """What has to be the same for two instructions to be fused: the flush and the type."""
    *words, kind = instruction.opcode.split(".")
    return ("ftz" if "ftz" in words else ""), kind


def _contractible(instruction: Instruction) -> str:
    try:
        return meaning(instruction.opcode).contractible
    except UnknownInstruction:
        return ""


def _sums(entry: Entry, way: str) -> dict[int, tuple[_Product, int]]:
    """By a sum's index in the body: the product that it takes up, and which operand that is."""
    if not any(_contractible(instruction) == "mul" for instruction in entry.body):
        return {}
    definitions = _Definitions(entry)
    found: dict[int, tuple[_Product, int]] = {}
    for index, instruction in enumerate(entry.body):
        if _contractible(instruction) not in {"add", "sub"}:
            continue
        products = [
            (product, place)
            for place in (1, 2)
            if (product := definitions.product(index, instruction.operands[place], instruction))
        ]
        if products:
            found[index] = products[0 if way == "first" else -1]
    return found


class _Definitions:
    """Which instructions may have written a register when another one reads it."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        blocks = compiled(entry, evaluator).blocks
        self.slots = {name: slot for slot, name in enumerate(entry.registers)}
        self.numbers = index = {id(each): number for number, each in enumerate(entry.body)}
        self.pieces = {index[id(p.instruction)]: p for block in blocks for p in block.pieces}
        self.before: dict[int, dict[int, frozenset[int]]] = {}
        self._reach(blocks, index)

    def _reach(self, blocks: list[Block], index: dict[int, int]) -> None:
        """For each instruction, by slot, the indices of the writes that reach it."""
        begin: list[dict[int, frozenset[int]] | None] = [None] * len(blocks)
        begin[0] = {}
        work = [0]
        while work:
            number = work.pop()
            known = dict(begin[number] or {})
            for piece in blocks[number].pieces:
                at = index[id(piece.instruction)]
                self.before[at] = dict(known)
                self._write(known, piece, at)
            for after in following(blocks, number):
                old = begin[after]
                new = known if old is None else _joined(old, known)
                if new != old:
                    begin[after] = dict(new)
                    work.append(after)

    @staticmethod
    def _write(known: dict[int, frozenset[int]], piece: Piece, at: int) -> None:
        for slot in piece.writes:
            kept = known.get(slot, frozenset()) if piece.predicate >= 0 else frozenset()
            known[slot] = kept | {at}

    def only(self, index: int, operand: Operand) -> Instruction | None:
        """The one instruction that can have written this operand; it has no predicate."""
        if not isinstance(operand, Register):
            return None
        found = self.before.get(index, {}).get(self.slots[operand.name], frozenset())
        if len(found) != 1:
            return None
        (at,) = found
        return None if self.entry.body[at].predicate else self.entry.body[at]

    def product(self, index: int, operand: Operand, by: Instruction) -> _Product | None:
        """The product that this operand of a sum is, if the two may be fused."""
        source = self.only(index, operand)
        if source is None or _kept(source) != _kept(by):
            return None
        if source.opcode.split(".")[0] == "neg":
            inner = self.product(self.numbers[id(source)], source.operands[1], by)
            return inner and _Product(inner.instruction, not inner.negative)
        if _contractible(source) != "mul" or "sat" in source.opcode.split("."):
            return None
        return _Product(source, negative=False)


def _joined(
    one: dict[int, frozenset[int]], other: dict[int, frozenset[int]]
) -> dict[int, frozenset[int]]:
    # A register that one way does not write at all is read by nobody who came that way.
    return {
        slot: one.get(slot, frozenset()) | other.get(slot, frozenset()) for slot in {*one, *other}
    }


class _Rewriting:
    """The entry with fused operations for these sums."""

    def __init__(self, entry: Entry, sums: dict[int, tuple[_Product, int]]) -> None:
        self.old = entry
        self.sums = sums
        self.registers = dict(entry.registers)
        self.body: list[Instruction] = []
        products = {id(product.instruction): product.instruction for product, _ in sums.values()}
        # Factors as they were when they were multiplied, whatever their registers hold later.
        self.factors = {key: self._copies(product) for key, product in products.items()}

    def _copies(self, product: Instruction) -> tuple[Operand, ...]:
        return tuple(
            self._new(operand) if isinstance(operand, Register) else operand
            for operand in product.operands[1:3]
        )

    def _new(self, like: Register) -> Register:
        name = f"{like.name}'{len(self.registers)}"
        self.registers[name] = self.registers[like.name]
        return Register(name)

    def entry(self) -> Entry:
        """The entry as it is then."""
        moved = {}
        for index, instruction in enumerate(self.old.body):
            moved[index] = len(self.body)
            if id(instruction) in self.factors:
                self.body += self._kept_factors(instruction)
            if index in self.sums:
                self.body += self._fused(instruction, *self.sums[index])
            else:
                self.body.append(instruction)
        moved[len(self.old.body)] = len(self.body)
        labels = {name: moved[index] for name, index in self.old.labels.items()}
        return replace(self.old, registers=self.registers, body=tuple(self.body), labels=labels)

    def _kept_factors(self, product: Instruction) -> Iterable[Instruction]:
        pairs = zip(self.factors[id(product)], product.operands[1:3], strict=True)
        for copy, operand in pairs:
            if isinstance(operand, Register):
                width = TYPE_WIDTHS[self.registers[operand.name]]
                yield replace(product, opcode=f"mov.b{width}", operands=(copy, operand))

    def _fused(self, by: Instruction, product: _Product, place: int) -> Iterable[Instruction]:
        """`by` is product + addend, product - addend or addend - product."""
        flush, kind = _kept(by)
        flush = f".{flush}" if flush else ""
        saturate = ".sat" if "sat" in by.opcode.split(".") else ""
        result, addend = by.operands[0], by.operands[3 - place]
        first, second = self.factors[id(product.instruction)]
        minus = _contractible(by) == "sub"
        if (minus and place == 2) != product.negative:
            first = yield from self._turned(by, first)
        if minus and place == 1:
            addend = yield from self._turned(by, addend)
        opcode = f"fma.rn{flush}{saturate}.{kind}"
        yield replace(by, opcode=opcode, operands=(result, first, second, addend))

    def _turned(self, by: Instruction, operand: Operand) -> Generator[Instruction, None, Operand]:
        """The operand with its sign turned round, by one instruction more unless it is a number."""
        flush, kind = _kept(by)
        if isinstance(operand, Number):
            bits = immediate_bits(operand, kind) or 0
            return Number(bits ^ 1 << (TYPE_WIDTHS[kind] - 1), kind)
        if not isinstance(operand, Register):
            raise by.refused("an operand that is not known here")
        turned = self._new(operand)
        yield replace(by, opcode=f"neg{flush and '.'}{flush}.{kind}", operands=(turned, operand))
        return turned
