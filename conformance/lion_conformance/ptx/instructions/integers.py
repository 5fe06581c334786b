"""Arithmetic of whole numbers: PTX ISA 9.7.1."""

from __future__ import annotations

from typing import Any, Final

from lion_conformance.operations.operation import WIDTHS, Operation
from lion_conformance.ptx.instructions.meaning import Algebra, Compute, Meaning, UnknownInstruction
from lion_conformance.ptx.instructions.opcode import Opcode
from lion_conformance.ptx.instructions.packed import elementwise, of_one, single

INTEGERS: Final = ("u16", "u32", "u64", "s16", "s32", "s64")
SIGNED: Final = ("s16", "s32", "s64")
PAIRS: Final = ("u16x2", "s16x2")


def plain(opcode: Opcode, kind: str, count: int = 2) -> Meaning:
    """add, sub, div, rem, neg, abs: one operation."""
    cut = opcode.name in {"add", "sub"} and kind == "s32" and opcode.has("sat")
    operation = Operation(opcode.name, of_one(kind), saturate=cut)
    return elementwise(kind, count, single(operation))


def smaller_or_larger(opcode: Opcode, kind: str) -> Meaning:
    """min, max; .relu: at least 0."""
    one = of_one(kind)
    find = single(Operation(opcode.name, one))
    if kind not in {"s32", "s16x2"} or not opcode.has("relu"):
        return elementwise(kind, 2, find)

    def at_least_zero(algebra: Algebra, a: Any, b: Any) -> Any:
        zero = algebra.constant(one, 0)
        return algebra.apply(Operation("max", one), find(algebra, a, b), zero)

    return elementwise(kind, 2, at_least_zero)


def remainder(opcode: Opcode) -> Meaning:
    """rem."""
    return plain(opcode, opcode.type(*INTEGERS))


def product(opcode: Opcode, kind: str) -> Meaning:
    """mul.lo, mul.hi, mul.wide."""
    _, result, multiply = _multiply(opcode, kind)
    return Meaning((kind, kind), (result,), lambda algebra, a, b: (multiply(algebra, a, b),))


def product_and_sum(opcode: Opcode, kind: str) -> Meaning:
    """mad.lo, mad.hi, mad.wide."""
    mode, result, multiply = _multiply(opcode, kind)
    cut = kind == "s32" and mode == "hi" and opcode.has("sat")
    add = Operation("add", result, saturate=cut)

    def compute(algebra: Algebra, a: Any, b: Any, c: Any) -> tuple[Any]:
        return (algebra.apply(add, multiply(algebra, a, b), c),)

    return Meaning((kind, kind, result), (result,), compute)


def product_of_24(opcode: Opcode) -> Meaning:
    """mul24.lo, mul24.hi: of the lower 24 bits of each."""
    kind = opcode.type("u32", "s32")
    multiply = _multiply_24(opcode, kind)
    return elementwise(kind, 2, multiply)


def product_of_24_and_sum(opcode: Opcode) -> Meaning:
    """mad24.lo, mad24.hi."""
    kind = opcode.type("u32", "s32")
    multiply = _multiply_24(opcode, kind)

    def one(algebra: Algebra, a: Any, b: Any, c: Any) -> Any:
        return algebra.apply(Operation("add", kind), multiply(algebra, a, b), c)

    return elementwise(kind, 3, one)


def sum_of_difference(opcode: Opcode) -> Meaning:
    """sad: c + |a - b|."""
    kind = opcode.type(*INTEGERS)

    def one(algebra: Algebra, a: Any, b: Any, c: Any) -> Any:
        high = algebra.apply(Operation("max", kind), a, b)
        low = algebra.apply(Operation("min", kind), a, b)
        return algebra.apply(
            Operation("add", kind), c, algebra.apply(Operation("sub", kind), high, low)
        )

    return elementwise(kind, 3, one)


def _multiply(opcode: Opcode, kind: str) -> tuple[str, str, Compute]:
    """The mode, the result's type, and the product that the mode asks for."""
    mode = opcode.one_of(("lo", "hi", "wide"))
    if mode == "wide" and WIDTHS[kind] < 64:
        wide = f"{kind[0]}{2 * WIDTHS[kind]}"
        extend = Operation("convert", wide, source=kind)

        def multiply(algebra: Algebra, a: Any, b: Any) -> Any:
            return algebra.apply(
                Operation("mul", wide), algebra.apply(extend, a), algebra.apply(extend, b)
            )

        return mode, wide, multiply
    if mode in {"lo", "hi"}:
        return mode, kind, single(Operation("mul" if mode == "lo" else "mulhi", kind))
    raise UnknownInstruction(f"{opcode.text}: {opcode.name} of {kind} needs .lo, .hi or .wide")


def _multiply_24(opcode: Opcode, kind: str) -> Compute:
    mode = opcode.one_of(("lo", "hi"))
    if not mode:
        raise UnknownInstruction(f"{opcode.text}: {opcode.name} needs .lo or .hi")
    wide = f"{kind[0]}64"
    low = 0 if mode == "lo" else 16

    def of_24_bits(algebra: Algebra, value: Any) -> Any:
        eight = algebra.constant("u32", 8)
        up = algebra.apply(Operation("shl", "b32"), value, eight)
        return algebra.apply(
            Operation("convert", wide, source=kind),
            algebra.apply(Operation("shr", kind), up, eight),
        )

    def multiply(algebra: Algebra, a: Any, b: Any) -> Any:
        whole = algebra.apply(
            Operation("mul", wide), of_24_bits(algebra, a), of_24_bits(algebra, b)
        )
        return algebra.apply(Operation("extract", kind, source=wide, low=low), whole)

    return multiply
