"""Arithmetic of floats: PTX ISA 9.7.3 to 9.7.5."""

from __future__ import annotations

from typing import Any, Final

from lion_conformance.operations.operation import WIDTHS, Operation
from lion_conformance.operations.patterns import SIGNS
from lion_conformance.ptx.instructions.meaning import (
    Algebra,
    Approximate,
    Meaning,
    UnknownInstruction,
)
from lion_conformance.ptx.instructions.opcode import Opcode
from lion_conformance.ptx.instructions.packed import One, elementwise, of_one, single
from lion_ref.rational import FORMATS

ROUNDINGS: Final = ("rn", "rz", "rm", "rp")
FLOAT_TYPES: Final = ("f16", "f16x2", "bf16", "bf16x2", "f32", "f32x2", "f64")
_WIDE: Final = ("f32", "f32x2", "f64")

_FLUSHED: Final = ("f16", "f16x2", "f32", "f32x2")
"""Types whose subnormals .ftz is about."""

_CUT: Final = ("f16", "f16x2", "f32")
"""Types that .sat is about."""

_ONES: Final = {"f32": 0x3F800000, "f64": 0x3FF0000000000000}


def sum_or_product(opcode: Opcode, kind: str) -> Meaning:
    """add, sub, mul: to nearest, and open to contraction, unless a rounding is written."""
    name = opcode.name
    rounding = _rounding(opcode, kind)
    operation = _operation(opcode, name, kind, rounding)
    return elementwise(kind, 2, single(operation), "" if rounding else name)


def fused(opcode: Opcode, kind: str) -> Meaning:
    """fma, and mad of floats, which is the same: a·b + c, rounded once."""
    rounding = _required_rounding(opcode, kind)
    rectified = opcode.name == "fma" and kind in _HALVES and opcode.has("relu")
    operation = _operation(opcode, "fma", kind, rounding)
    one = single(operation)
    return elementwise(kind, 3, relu(of_one(kind), one) if rectified else one)


def division(opcode: Opcode, kind: str) -> Meaning:
    """div with a rounding."""
    _refuse_approximations(opcode)
    rounding = _required_rounding(opcode, kind)
    return elementwise(kind, 2, single(_operation(opcode, "div", kind, rounding)))


def reciprocal(opcode: Opcode) -> Meaning:
    """rcp with a rounding: one over a."""
    _refuse_approximations(opcode)
    kind = opcode.type("f32", "f64")
    operation = _operation(opcode, "div", kind, _required_rounding(opcode, kind))

    def one(algebra: Algebra, a: Any) -> Any:
        return algebra.apply(operation, algebra.constant(kind, _ONES[kind]), a)

    return elementwise(kind, 1, one)


def square_root(opcode: Opcode) -> Meaning:
    """sqrt with a rounding."""
    _refuse_approximations(opcode)
    kind = opcode.type("f32", "f64")
    rounding = _required_rounding(opcode, kind)
    return elementwise(kind, 1, single(_operation(opcode, "sqrt", kind, rounding)))


def approximation(opcode: Opcode) -> Meaning:
    """ex2, lg2, sin, cos, tanh, rsqrt: there is no other form of them."""
    raise _approximate(opcode)


def sign_change(opcode: Opcode, kind: str) -> Meaning:
    """neg, abs."""
    ftz = kind in _FLUSHED and opcode.has("ftz")
    return elementwise(kind, 1, single(Operation(opcode.name, of_one(kind), ftz=ftz)))


def smaller_or_larger(opcode: Opcode, kind: str) -> Meaning:
    """min, max; .NaN: of a NaN and a number, the NaN."""
    ftz = kind in _FLUSHED and opcode.has("ftz")
    nan = kind != "f64" and opcode.has("NaN")
    return elementwise(kind, 2, single(Operation(opcode.name, of_one(kind), ftz=ftz, nan=nan)))


def sign_copy(opcode: Opcode) -> Meaning:
    """copysign d, a, b: b with the sign of a."""
    kind = opcode.type("f32", "f64")
    bits = f"b{WIDTHS[kind]}"
    sign = int(SIGNS[kind])

    def one(algebra: Algebra, a: Any, b: Any) -> Any:
        of_a = algebra.apply(Operation("and", bits), a, algebra.constant(bits, sign))
        of_b = algebra.apply(Operation("and", bits), b, algebra.constant(bits, sign - 1))
        return algebra.apply(Operation("or", bits), of_a, of_b)

    return elementwise(kind, 2, one)


def relu(kind: str, one: One) -> One:
    """What is below zero becomes +0; a NaN stays one."""
    larger = Operation("max", kind, nan=True)

    def rectified(algebra: Algebra, *values: Any) -> Any:
        return algebra.apply(larger, one(algebra, *values), algebra.constant(kind, 0))

    return rectified


def property_test(opcode: Opcode) -> Meaning:
    """testp: what kind of number it is, by its bits."""
    kind = opcode.type("f32", "f64")
    asked = opcode.one_of(_PROPERTIES)
    if not asked:
        raise UnknownInstruction(f"{opcode.text}: testp asks for {', '.join(_PROPERTIES)}")
    first, last = _PROPERTIES[asked]
    width = WIDTHS[kind]
    form = FORMATS[f"float{width}"]
    normal = 1 << (form.precision - 1)
    marks = {"0": 0, "1": 1, "normal": normal, "end": 1 << (width - 1)}
    marks["inf"] = marks["end"] - normal
    marks["nan"] = marks["inf"] + 1
    bits = f"u{width}"

    def compute(algebra: Algebra, a: Any) -> tuple[Any]:
        magnitude = algebra.apply(
            Operation("and", bits), a, algebra.constant(bits, marks["end"] - 1)
        )
        least = algebra.constant(bits, marks[first])
        past = algebra.constant(bits, marks[last])
        above = algebra.apply(
            Operation("compare", "pred", source=bits, comparison="ge"), magnitude, least
        )
        below = algebra.apply(
            Operation("compare", "pred", source=bits, comparison="lt"), magnitude, past
        )
        return (algebra.apply(Operation("and", "pred"), above, below),)

    return Meaning((kind,), ("pred",), compute)


_PROPERTIES: Final = {
    "finite": ("0", "inf"),
    "infinite": ("inf", "nan"),
    "number": ("0", "nan"),
    "notanumber": ("nan", "end"),
    "normal": ("normal", "inf"),
    "subnormal": ("1", "normal"),
}
"""Of the magnitude's bits: from where up to where."""

_HALVES: Final = ("f16", "f16x2", "bf16", "bf16x2")


def _operation(opcode: Opcode, name: str, kind: str, rounding: str) -> Operation:
    return Operation(
        name,
        of_one(kind),
        rounding="" if rounding == "rn" else rounding,
        ftz=kind in _FLUSHED and opcode.has("ftz"),
        saturate=kind in _CUT and name in {"add", "sub", "mul", "fma"} and opcode.has("sat"),
    )


def _rounding(opcode: Opcode, kind: str) -> str:
    return opcode.one_of(ROUNDINGS if kind in _WIDE else ("rn",))


def _required_rounding(opcode: Opcode, kind: str) -> str:
    rounding = _rounding(opcode, kind)
    if not rounding:
        raise UnknownInstruction(f"{opcode.text}: {opcode.name} needs a rounding, as .rn")
    return rounding


def _refuse_approximations(opcode: Opcode) -> None:
    if opcode.one_of(("approx", "full")):
        raise _approximate(opcode)


def _approximate(opcode: Opcode) -> Approximate:
    exact = {"div": "div.rn", "rcp": "rcp.rn", "sqrt": "sqrt.rn"}.get(opcode.name)
    advice = (
        f"{exact} has one result on every GPU: compile without fast-math"
        if exact
        else "nothing that is judged by its bits can use it"
    )
    return Approximate(
        f"{opcode.text} is an approximation, whose bits each GPU has its own; {advice}"
    )
