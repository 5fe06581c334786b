"""Normal forms of bits: what is moved byte by byte is known as such, however it is written.

A float that is made of bits stays bits until an operation on floats takes it (`as_float`): a
conversion may change a NaN's bits, a shift does not.
"""

from __future__ import annotations

from typing import Final

from lion_conformance.operations.expression import Node, made
from lion_conformance.operations.operation import FLOATS, WIDTHS, Operation
from lion_conformance.proof.facts import bits_type, pattern, sign_bit
from lion_conformance.proof.terms import Rules, serial

Byte = int | tuple[Node, int]
"""A number, or which byte of what."""

BYTE: Final = 8
_SIGNED: Final = ("s8", "s16", "s32", "s64")


def bits(rules: Rules, operation: Operation, *arguments: Node) -> Node:
    """The normal form of and, or, xor, not, shl, shr, concat and extract on normal forms."""
    name, kind = operation.name, operation.type
    if name == "concat":
        if WIDTHS[operation.source] % BYTE == 0:
            return of_bytes([byte for x in arguments for byte in bytes_of(x)])
        return made(operation, *arguments)
    if name == "extract":
        if operation.low % BYTE == 0 and WIDTHS[kind] % BYTE == 0:
            first = operation.low // BYTE
            return of_bytes(bytes_of(arguments[0])[first : first + WIDTHS[kind] // BYTE])
        return made(operation, *arguments)
    if name in ("shl", "shr"):
        return _shifted(rules, operation, *arguments)
    if name == "not":
        everything = pattern(kind, (1 << WIDTHS[kind]) - 1)
        return bits(rules, Operation("xor", kind), arguments[0], everything)
    return _logic(rules, name, bits_type(kind), *arguments)


def whole_conversion(operation: Operation, argument: Node) -> Node:
    """The normal form of a conversion between whole numbers."""
    width, target = WIDTHS[operation.source], WIDTHS[operation.type]
    if operation.saturate:
        return made(operation, argument)
    if target <= width:
        return of_bytes(bytes_of(argument)[: target // BYTE])
    if operation.source in _SIGNED:
        return made(operation, argument)
    return of_bytes([*bytes_of(argument), *[0] * ((target - width) // BYTE)])


def _logic(rules: Rules, name: str, kind: str, first: Node, second: Node) -> Node:
    if first is second:
        # Of a NaN, too: one value, and whatever its bits are.
        return pattern(kind, 0) if name == "xor" and not rules.is_tainted(first) else first
    if second.operation.name != "constant":
        first, second = second, first
    together = [_byte(name, *pair) for pair in zip(bytes_of(first), bytes_of(second), strict=True)]
    known = [x for x in together if x is not None]
    if len(known) == len(together):
        return of_bytes(known)
    if name == "and" and second is pattern(kind, sign_bit(kind)):
        sign = sign_of(rules, first)
        if sign is not None:
            return pattern(kind, sign * sign_bit(kind))
    ordered = sorted((first, second), key=serial)
    return made(Operation(name, kind), *ordered)


def _byte(name: str, first: Byte, second: Byte) -> Byte | None:
    """A byte of the result, where it is a number or one of the bytes given."""
    if isinstance(first, int) and isinstance(second, int):
        return {"and": first & second, "or": first | second, "xor": first ^ second}[name]
    if isinstance(first, int):
        first, second = second, first
    if isinstance(second, int):
        if second == (0xFF if name == "and" else 0):
            return first
        if second == {"and": 0, "or": 0xFF}.get(name):
            return second
    return None


def _shifted(rules: Rules, operation: Operation, value: Node, count: Node) -> Node:
    name, kind = operation.name, operation.type
    width = WIDTHS[kind]
    if count.operation.name != "constant":
        return made(operation, value, count)
    by = min(count.operation.bits, width)
    if by == width - 1 and name == "shr":
        sign = sign_of(rules, value)
        if sign is not None:
            return pattern(kind, sign * ((1 << width) - 1 if kind in _SIGNED else 1))
    if by % BYTE or (name == "shr" and kind in _SIGNED):
        plain = operation if kind in _SIGNED and name == "shr" else Operation(name, bits_type(kind))
        return made(plain, value, count)
    held, gone = bytes_of(value), by // BYTE
    if name == "shl":
        return of_bytes([*[0] * gone, *held[: len(held) - gone]])
    return of_bytes([*held[gone:], *[0] * gone])


def sign_of(rules: Rules, node: Node) -> int | None:
    """The highest bit of a value, where it is known."""
    if node.operation.name == "constant":
        return node.operation.bits >> (WIDTHS[node.operation.type] - 1)
    kind = rules.facts.kind(node)
    return {"positive": 0, "negative": 1, "+0": 0, "-0": 1}.get(kind or "")


def bytes_of(node: Node) -> list[Byte]:
    """A value byte by byte, the lowest first."""
    operation = node.operation
    count = WIDTHS[node.type] // BYTE
    if operation.name == "constant":
        return [operation.bits >> (BYTE * i) & 0xFF for i in range(count)]
    if operation.name == "concat" and operation.source == "b8":
        return [_piece(x) for x in node.arguments]
    if operation.name == "extract" and operation.low % BYTE == 0:
        first = operation.low // BYTE
        return [(node.arguments[0], first + i) for i in range(count)]
    return [(node, i) for i in range(count)]


def _piece(node: Node) -> Byte:
    return bytes_of(node)[0]


def of_bytes(found: list[Byte]) -> Node:
    """The one form of a value that is put together of these bytes."""
    kind = f"b{BYTE * len(found)}"
    if all(isinstance(x, int) for x in found):
        return pattern(
            kind, sum(x << (BYTE * i) for i, x in enumerate(found) if isinstance(x, int))
        )
    first = found[0]
    if isinstance(first, tuple):
        whole, begin = first
        if found == [(whole, begin + i) for i in range(len(found))]:
            if begin == 0 and WIDTHS[whole.type] == BYTE * len(found):
                return whole
            return _extracted(whole, begin, kind)
    return made(Operation("concat", kind, source="b8"), *map(_of_byte, found))


def _of_byte(byte: Byte) -> Node:
    if isinstance(byte, int):
        return pattern("b8", byte)
    whole, place = byte
    return whole if WIDTHS[whole.type] == BYTE else _extracted(whole, place, "b8")


def _extracted(whole: Node, place: int, kind: str) -> Node:
    source = bits_type(whole.type)
    return made(Operation("extract", kind, source=source, low=BYTE * place), whole)


def as_float(rules: Rules, node: Node, kind: str) -> Node:
    """Bits as an operation on floats of this type takes them.

    Here a NaN's bits cease to count: the highest bit is a sign that is changed, cleared or set, and
    a float32 whose lower half is zero is a bfloat16 that was widened.
    """
    operation = node.operation
    if operation.name == "select":
        parts = (as_float(rules, x, kind) for x in node.arguments[1:])
        return rules.apply(operation, node.arguments[0], *parts)
    if operation.type in FLOATS or operation.name in ("constant", "input"):
        return node
    if operation.name == "concat" and kind == "f32":
        held = bytes_of(node)
        if held[:2] == [0, 0]:
            widened = Operation("convert", "f32", source="bf16")
            return rules.apply(widened, of_bytes(held[2:]))
    if operation.name in ("and", "or", "xor"):
        signs = pattern(kind, sign_bit(kind)), pattern(kind, sign_bit(kind) - 1)
        for value, mask in (node.arguments, node.arguments[::-1]):
            float_value = value if mask in signs else None
            if float_value is None:
                continue
            held_as = as_float(rules, float_value, kind)
            if operation.name == "xor" and mask is signs[0]:
                return rules.apply(Operation("neg", kind), held_as)
            if operation.name == "and" and mask is signs[1]:
                return rules.apply(Operation("abs", kind), held_as)
            if operation.name == "or" and mask is signs[0]:
                absolute = rules.apply(Operation("abs", kind), held_as)
                return rules.apply(Operation("neg", kind), absolute)
    return node
