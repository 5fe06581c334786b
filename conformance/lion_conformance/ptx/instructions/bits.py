"""Logic, shifts and fields of bits: PTX ISA 9.7.1 and 9.7.8."""

from __future__ import annotations

from typing import Any, Final

from lion_conformance.operations.operation import WIDTHS, Operation
from lion_conformance.ptx.instructions.meaning import Algebra, Meaning, UnknownInstruction
from lion_conformance.ptx.instructions.opcode import Opcode
from lion_conformance.ptx.instructions.packed import elementwise, single

BITS: Final = ("b16", "b32", "b64")


def logic(opcode: Opcode) -> Meaning:
    """and, or, xor, not."""
    kind = opcode.type("pred", *BITS)
    return elementwise(kind, 1 if opcode.name == "not" else 2, single(Operation(opcode.name, kind)))


def logical_not(opcode: Opcode) -> Meaning:
    """cnot: 1 for zero, else 0."""
    kind = opcode.type(*BITS)

    def one(algebra: Algebra, a: Any) -> Any:
        zero, true = algebra.constant(kind, 0), algebra.constant(kind, 1)
        return algebra.apply(Operation("select", kind), _is_zero(algebra, kind, a), true, zero)

    return elementwise(kind, 1, one)


def shift(opcode: Opcode) -> Meaning:
    """shl, shr: a count of the width or more shifts all out."""
    types = BITS if opcode.name == "shl" else (*BITS, "u16", "u32", "u64", "s16", "s32", "s64")
    kind = opcode.type(*types)
    operation = Operation(opcode.name, kind)
    return Meaning((kind, "u32"), (kind,), lambda algebra, *ab: (algebra.apply(operation, *ab),))


def funnel_shift(opcode: Opcode) -> Meaning:
    """shf: the upper (.l) or lower (.r) half of the 64 bits b:a, shifted."""
    opcode.type("b32")
    left = opcode.one_of(("l", "r"))
    mode = opcode.one_of(("clamp", "wrap"))
    if not left or not mode:
        raise UnknownInstruction(f"{opcode.text}: shf needs .l or .r, and .clamp or .wrap")

    def compute(algebra: Algebra, low: Any, high: Any, count: Any) -> tuple[Any]:
        limit = algebra.constant("u32", 32 if mode == "clamp" else 31)
        count = algebra.apply(Operation("min" if mode == "clamp" else "and", "u32"), count, limit)
        rest = algebra.apply(Operation("sub", "u32"), algebra.constant("u32", 32), count)
        up, down = (count, rest) if left == "l" else (rest, count)
        upper = algebra.apply(Operation("shl", "b32"), high, up)
        lower = algebra.apply(Operation("shr", "b32"), low, down)
        return (algebra.apply(Operation("or", "b32"), upper, lower),)

    return Meaning(("b32", "b32", "u32"), ("b32",), compute)


def lookup(opcode: Opcode) -> Meaning:
    """lop3: any function of three bits, by its table."""
    opcode.type("b32")

    def compute(algebra: Algebra, a: Any, b: Any, c: Any, table: Any) -> tuple[Any]:
        known = algebra.number(table)
        if known is None:
            raise UnknownInstruction(f"{opcode.text}: its table has to be a number")
        return (_looked_up(algebra, known & 0xFF, (a, b, c)),)

    return Meaning(("b32", "b32", "b32", "b32"), ("b32",), compute)


def _looked_up(algebra: Algebra, table: int, variables: tuple[Any, ...]) -> Any:
    """A table's function of the variables, the first of which chooses the table's half."""
    size = 1 << len(variables)
    every = (1 << size) - 1
    if table in {0, every}:
        return algebra.constant("b32", 0xFFFFFFFF if table else 0)
    half = size // 2
    ones = (1 << half) - 1
    chooser, rest = variables[0], variables[1:]
    high, low = table >> half, table & ones
    if high == low:
        return _looked_up(algebra, low, rest)

    def logic(name: str, *values: Any) -> Any:
        return algebra.apply(Operation(name, "b32"), *values)

    if (high, low) == (ones, 0):
        return chooser
    if low == 0:
        return logic("and", chooser, _looked_up(algebra, high, rest))
    if high == ones:
        return logic("or", chooser, _looked_up(algebra, low, rest))
    if high == low ^ ones:
        plain = _looked_up(algebra, low, rest)
        return logic("xor", chooser, plain) if low else logic("not", chooser)
    inverted = logic("not", chooser)
    if high == 0:
        return logic("and", inverted, _looked_up(algebra, low, rest))
    if low == ones:
        return logic("or", inverted, _looked_up(algebra, high, rest))
    upper = logic("and", chooser, _looked_up(algebra, high, rest))
    return logic("or", upper, logic("and", inverted, _looked_up(algebra, low, rest)))


def field_extract(opcode: Opcode) -> Meaning:
    """bfe: `length` bits from `position` on, with their own sign if the type has one."""
    kind = opcode.type("u32", "u64", "s32", "s64")
    width, bits = WIDTHS[kind], f"b{WIDTHS[kind]}"

    def compute(algebra: Algebra, a: Any, position: Any, length: Any) -> tuple[Any]:
        def count(name: str, *values: Any) -> Any:
            return algebra.apply(Operation(name, "u32"), *values)

        byte, all_bits = algebra.constant("u32", 0xFF), algebra.constant("u32", width)
        position, length = count("and", position, byte), count("and", length, byte)
        # Move the field's end to the top, then its beginning to the bottom.
        end = count("min", count("add", position, length), all_bits)
        up = count("sub", all_bits, end)
        top = algebra.apply(Operation("shl", bits), a, up)
        field = algebra.apply(Operation("shr", kind), top, count("add", up, position))
        none = _is_zero(algebra, "u32", length)
        zero = algebra.constant(kind, 0)
        return (algebra.apply(Operation("select", kind), none, zero, field),)

    return Meaning((kind, "u32", "u32"), (kind,), compute)


def field_insert(opcode: Opcode) -> Meaning:
    """bfi: b with `length` bits of a from `position` on."""
    kind = opcode.type("b32", "b64")

    def compute(algebra: Algebra, a: Any, b: Any, position: Any, length: Any) -> tuple[Any]:
        def bits(name: str, *values: Any) -> Any:
            return algebra.apply(Operation(name, kind), *values)

        byte = algebra.constant("u32", 0xFF)
        position, length = (
            algebra.apply(Operation("and", "u32"), x, byte) for x in (position, length)
        )
        ones = algebra.constant(kind, (1 << WIDTHS[kind]) - 1)
        field = bits("shl", bits("not", bits("shl", ones, length)), position)
        inside = bits("and", bits("shl", a, position), field)
        return (bits("or", inside, bits("and", b, bits("not", field))),)

    return Meaning((kind, kind, "u32", "u32"), (kind,), compute)


def reverse(opcode: Opcode) -> Meaning:
    """brev: the bits from the other end."""
    kind = opcode.type("b32", "b64")
    width = WIDTHS[kind]

    def one(algebra: Algebra, a: Any) -> Any:
        distance = width // 2
        while distance:
            # Of each pair of groups, the lower.
            mask = sum(((1 << distance) - 1) << start for start in range(0, width, 2 * distance))
            lower, count = algebra.constant(kind, mask), algebra.constant("u32", distance)
            up = algebra.apply(
                Operation("shl", kind), algebra.apply(Operation("and", kind), a, lower), count
            )
            down = algebra.apply(
                Operation("and", kind), algebra.apply(Operation("shr", kind), a, count), lower
            )
            a = algebra.apply(Operation("or", kind), up, down)
            distance //= 2
        return a

    return elementwise(kind, 1, one)


def count_of_bits(opcode: Opcode) -> Meaning:
    """popc, clz: of 32 or 64 bits, as a 32-bit number."""
    kind = opcode.type("b32", "b64")

    def compute(algebra: Algebra, a: Any) -> tuple[Any]:
        count = algebra.apply(Operation(opcode.name, kind), a)
        return (_as_u32(algebra, kind, count),)

    return Meaning((kind,), ("u32",), compute)


def find_leading(opcode: Opcode) -> Meaning:
    """bfind: where the highest bit is that is no sign; .shiftamt: how far below the top."""
    kind = opcode.type("u32", "u64", "s32", "s64")
    distance = opcode.has("shiftamt")
    bits, width = f"b{WIDTHS[kind]}", WIDTHS[kind]

    def compute(algebra: Algebra, a: Any) -> tuple[Any]:
        if kind.startswith("s"):
            sign = algebra.apply(Operation("shr", kind), a, algebra.constant("u32", width - 1))
            a = algebra.apply(Operation("xor", bits), a, sign)
        zeros = _as_u32(algebra, kind, algebra.apply(Operation("clz", bits), a))
        if not distance:
            last = algebra.constant("u32", width - 1)
            zeros = algebra.apply(Operation("sub", "u32"), last, zeros)
        none = _is_zero(algebra, bits, a)
        nowhere = algebra.constant("u32", 0xFFFFFFFF)
        return (algebra.apply(Operation("select", "u32"), none, nowhere, zeros),)

    return Meaning((kind,), ("u32",), compute)


def _as_u32(algebra: Algebra, kind: str, value: Any) -> Any:
    if WIDTHS[kind] == 32:
        return value
    return algebra.apply(Operation("convert", "u32", source="u64"), value)


def _is_zero(algebra: Algebra, kind: str, value: Any) -> Any:
    compare = Operation("compare", "pred", source=kind, comparison="eq")
    return algebra.apply(compare, value, algebra.constant(kind, 0))
