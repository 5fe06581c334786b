"""Comparisons, and the choice by them: PTX ISA 9.7.6 and 9.7.7."""

from __future__ import annotations

from typing import Any, Final

from lion_conformance.operations.operation import FLOATS, Operation
from lion_conformance.ptx.instructions.bits import BITS
from lion_conformance.ptx.instructions.floats import FLOAT_TYPES
from lion_conformance.ptx.instructions.integers import INTEGERS
from lion_conformance.ptx.instructions.meaning import Algebra, Compute, Meaning, UnknownInstruction
from lion_conformance.ptx.instructions.opcode import Opcode
from lion_conformance.ptx.instructions.packed import PACKED, of_one, packed, unpacked

_OF_BITS: Final = ("eq", "ne")
_OF_SIGNED: Final = (*_OF_BITS, "lt", "le", "gt", "ge")
_UNSIGNED_NAMES: Final = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}
_OF_FLOATS: Final = (*_OF_SIGNED, "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan")
_TRUE: Final = {
    "u32": 0xFFFFFFFF,
    "s32": 0xFFFFFFFF,
    "u16": 0xFFFF,
    "s16": 0xFFFF,
    "f32": 0x3F800000,
    "f16": 0x3C00,
    "bf16": 0x3F80,
}
"""What `set` makes of true."""

_ALL: Final = (*BITS, *INTEGERS, *(kind for kind in FLOAT_TYPES if kind != "f32x2"))
_SELECTED: Final = (*BITS, *INTEGERS, "f16", "bf16", "f32", "f64")


def set_predicate(opcode: Opcode) -> Meaning:
    """setp p|q: the comparison and its opposite, each combined with a third operand."""
    kind = opcode.type(*_ALL)
    compare = _comparison(opcode, kind)
    combine = _combination(opcode)
    sources = (_register(kind), _register(kind), *(("pred",) if combine else ()))

    def compute(algebra: Algebra, a: Any, b: Any, *third: Any) -> tuple[Any, Any]:
        true = compare(algebra, a, b)
        # Of two numbers in a register, p is about the lower and q about the upper.
        p, q = true if kind in PACKED else (*true, algebra.apply(Operation("not", "pred"), *true))
        return combined(algebra, combine, p, *third), combined(algebra, combine, q, *third)

    return Meaning(sources, ("pred", "pred"), compute)


def set_number(opcode: Opcode) -> Meaning:
    """set: all ones, or 1.0, for true."""
    kind = opcode.type(*_ALL)
    target = opcode.type("u16", "s16", "u32", "s32", "f16", "bf16", "f16x2", "bf16x2", "f32")
    compare = _comparison(opcode, kind)
    combine = _combination(opcode)
    if (kind in PACKED) and target not in {kind, "u32", "s32"}:
        raise UnknownInstruction(f"{opcode.text}: set of {kind} makes .{kind}, .u32 or .s32")
    if (target in PACKED) and kind not in PACKED:
        raise UnknownInstruction(f"{opcode.text}: set makes .{target} of .{target}")
    one = of_one(target)
    if kind in PACKED and target not in PACKED:
        one = f"{target[0]}16"

    def compute(algebra: Algebra, a: Any, b: Any, *third: Any) -> tuple[Any]:
        numbers = [
            algebra.apply(
                Operation("select", one),
                combined(algebra, combine, true, *third),
                algebra.constant(one, _TRUE[one]),
                algebra.constant(one, 0),
            )
            for true in compare(algebra, a, b)
        ]
        return (packed(algebra, kind, *numbers) if kind in PACKED else numbers[0],)

    sources = (_register(kind), _register(kind), *(("pred",) if combine else ()))
    return Meaning(sources, (_register(target),), compute)


def select(opcode: Opcode) -> Meaning:
    """selp d, a, b, p: a if p, else b."""
    kind = opcode.type(*_SELECTED)
    operation = Operation("select", kind)
    return Meaning(
        (kind, kind, "pred"),
        (kind,),
        lambda algebra, a, b, p: (algebra.apply(operation, p, a, b),),
    )


def select_by_sign(opcode: Opcode) -> Meaning:
    """slct d, a, b, c: a if c >= 0, else b; b for a NaN."""
    by = opcode.type("s32", "f32")
    kind = opcode.type(*_SELECTED)
    ftz = by == "f32" and opcode.has("ftz")
    compare = Operation("compare", "pred", source=by, comparison="ge", ftz=ftz)

    def compute(algebra: Algebra, a: Any, b: Any, c: Any) -> tuple[Any]:
        chosen = algebra.apply(compare, c, algebra.constant(by, 0))
        return (algebra.apply(Operation("select", kind), chosen, a, b),)

    return Meaning((kind, kind, by), (kind,), compute)


def combined(algebra: Algebra, name: str, value: Any, *third: Any) -> Any:
    """A truth value, combined with the third operand if there is one."""
    return algebra.apply(Operation(name, "pred"), value, *third) if name else value


def _combination(opcode: Opcode) -> str:
    return opcode.one_of(("and", "or", "xor"))


def _register(kind: str) -> str:
    return PACKED[kind][1] if kind in PACKED else kind


def _comparison(opcode: Opcode, kind: str) -> Compute:
    """compute(algebra, a, b) gives a truth value for each number of a register."""
    one = of_one(kind)
    ftz = one in {"f16", "f32"} and opcode.has("ftz")
    if one in FLOATS:
        names: tuple[str, ...] = _OF_FLOATS
    elif kind.startswith("u"):
        names = (*_OF_SIGNED, *_UNSIGNED_NAMES)
    else:
        names = _OF_SIGNED if kind.startswith("s") else _OF_BITS
    asked = opcode.one_of(names)
    if not asked:
        raise UnknownInstruction(f"{opcode.text}: {kind} is compared by {', '.join(names)}")
    comparison: Any = _UNSIGNED_NAMES.get(asked, asked)
    operation = Operation("compare", "pred", source=one, comparison=comparison, ftz=ftz)

    def compute(algebra: Algebra, a: Any, b: Any) -> tuple[Any, ...]:
        if kind not in PACKED:
            return (algebra.apply(operation, a, b),)
        halves = zip(unpacked(algebra, kind, a), unpacked(algebra, kind, b), strict=True)
        return tuple(algebra.apply(operation, *pair) for pair in halves)

    return compute
