"""prmt: four bytes out of the eight of two registers. PTX ISA 9.7.9.7."""

from __future__ import annotations

from typing import Any, Final

from lion_conformance.operations.operation import Operation
from lion_conformance.ptx.instructions.meaning import Algebra, Meaning
from lion_conformance.ptx.instructions.opcode import Opcode

_MODES: Final = {
    "f4e": (0x3210, 0x4321, 0x5432, 0x6543),
    "b4e": (0x5670, 0x6701, 0x7012, 0x0123),
    "rc8": (0x0000, 0x1111, 0x2222, 0x3333),
    "ecl": (0x3210, 0x3211, 0x3222, 0x3333),
    "ecr": (0x0000, 0x1110, 0x2210, 0x3210),
    "rc16": (0x1010, 0x3232, 0x1010, 0x3232),
}
"""The selector that each mode stands for, by the last two bits of the operand."""


def permutation(opcode: Opcode) -> Meaning:
    """prmt.b32 d, a, b, selector."""
    mode = opcode.one_of(_MODES)  # the one modifier that is written after the type
    opcode.type("b32")

    def compute(algebra: Algebra, a: Any, b: Any, selector: Any) -> tuple[Any]:
        known = algebra.number(selector)
        if known is not None:
            known = _MODES[mode][known & 3] if mode else known
            chosen = [_known_byte(algebra, a, b, known >> 4 * place) for place in range(4)]
        else:
            selector = _of_mode(algebra, mode, selector) if mode else selector
            whole = algebra.apply(Operation("concat", "b64", source="b32"), a, b)
            chosen = [_byte(algebra, whole, selector, 4 * place) for place in range(4)]
        return (algebra.apply(Operation("concat", "b32", source="b8"), *chosen),)

    return Meaning(("b32", "b32", "b32"), ("b32",), compute)


def _known_byte(algebra: Algebra, a: Any, b: Any, selector: int) -> Any:
    register, low = (b if selector & 4 else a), 8 * (selector & 3)
    byte = algebra.apply(Operation("extract", "b8", source="b32", low=low), register)
    return _sign(algebra, byte) if selector & 8 else byte


def _byte(algebra: Algebra, whole: Any, selector: Any, place: int) -> Any:
    def logic(name: str, value: Any, number: int) -> Any:
        return algebra.apply(Operation(name, "b32"), value, algebra.constant("b32", number))

    nibble = logic("shr", selector, place)
    distance = logic("shl", logic("and", nibble, 7), 3)
    moved = algebra.apply(Operation("shr", "b64"), whole, distance)
    byte = algebra.apply(Operation("extract", "b8", source="b64"), moved)
    replicates = algebra.apply(
        Operation("compare", "pred", source="b32", comparison="ne"),
        logic("and", nibble, 8),
        algebra.constant("b32", 0),
    )
    return algebra.apply(Operation("select", "b8"), replicates, _sign(algebra, byte), byte)


def _sign(algebra: Algebra, byte: Any) -> Any:
    """The byte's highest bit in all of its places."""
    return algebra.apply(Operation("shr", "s8"), byte, algebra.constant("u32", 7))


def _of_mode(algebra: Algebra, mode: str, operand: Any) -> Any:
    last = algebra.apply(Operation("and", "b32"), operand, algebra.constant("b32", 3))
    selector = algebra.constant("b32", _MODES[mode][0])
    for index, other in enumerate(_MODES[mode][1:], 1):
        asked = algebra.apply(
            Operation("compare", "pred", source="b32", comparison="eq"),
            last,
            algebra.constant("b32", index),
        )
        selector = algebra.apply(
            Operation("select", "b32"), asked, algebra.constant("b32", other), selector
        )
    return selector
