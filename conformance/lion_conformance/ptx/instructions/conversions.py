"""mov and cvt: PTX ISA 9.7.9."""

from __future__ import annotations

from typing import Any, Final

from lion_conformance.operations.operation import FLOATS, WIDTHS, Operation
from lion_conformance.ptx.instructions.floats import ROUNDINGS, relu
from lion_conformance.ptx.instructions.meaning import Algebra, Meaning, UnknownInstruction
from lion_conformance.ptx.instructions.opcode import Opcode
from lion_conformance.ptx.instructions.packed import PACKED, packed, single
from lion_ref.rational import FORMATS

_TO_WHOLE: Final = {"rni": "rn", "rzi": "rz", "rmi": "rm", "rpi": "rp"}
_WHOLE: Final = tuple(f"{kind}{width}" for kind in "us" for width in (8, 16, 32, 64))
_MOVED: Final = tuple(kind for kind in WIDTHS if kind not in {"b8", "u8", "s8"})


def move(opcode: Opcode) -> Meaning:
    """mov of one register or number."""
    kind = opcode.type(*_MOVED)
    return Meaning((kind,), (kind,), lambda _, value: (value,))


def conversion(opcode: Opcode) -> Meaning:
    """cvt.target.source."""
    source = opcode.type(*FLOATS, *_WHOLE)
    target = opcode.type(*FLOATS, *_WHOLE, "f16x2", "bf16x2")
    if target in PACKED:
        return _two_in_one(opcode, target, source)
    operation = _operation(opcode, target, source)
    one = single(operation)
    if target in {"f16", "bf16"} and source == "f32" and opcode.has("relu"):
        one = relu(target, one)
    return Meaning((source,), (target,), lambda algebra, a: (one(algebra, a),))


def _two_in_one(opcode: Opcode, target: str, source: str) -> Meaning:
    """d, a, b: a goes into the upper half, b into the lower."""
    kind, register = PACKED[target]
    if source != "f32":
        raise UnknownInstruction(f"{opcode.text}: cvt makes .{target} of .f32 alone")
    one = single(Operation("convert", kind, source=source, rounding=_rounding(opcode)))
    one = relu(kind, one) if opcode.has("relu") else one

    def compute(algebra: Algebra, upper: Any, lower: Any) -> tuple[Any]:
        return (packed(algebra, target, one(algebra, lower), one(algebra, upper)),)

    return Meaning((source, source), (register,), compute)


def _operation(opcode: Opcode, target: str, source: str) -> Operation:
    ftz = "f32" in {source, target} and opcode.has("ftz")
    saturate = opcode.has("sat")
    name, rounding = "convert", ""
    if source in FLOATS and target in FLOATS:
        to_whole = _TO_WHOLE.get(opcode.one_of(_TO_WHOLE)) if source == target else None
        if to_whole:
            name, rounding, source = "integral", to_whole, ""
        elif not _holds(target, source):
            rounding = _rounding(opcode)
        elif source == "bf16":  # a rounding may be written, and nothing is rounded
            opcode.one_of(ROUNDINGS)
    elif source in FLOATS:
        rounding = _TO_WHOLE.get(opcode.one_of(_TO_WHOLE), "")
        if not rounding:
            legal = ", ".join(f".{rounding}" for rounding in _TO_WHOLE)
            raise UnknownInstruction(f"{opcode.text}: to a whole number cvt needs {legal}")
        rounding = "" if rounding == "rz" else rounding
    elif target in FLOATS:
        rounding = _rounding(opcode)
    return Operation(name, target, source, rounding, ftz=ftz, saturate=saturate)


def _rounding(opcode: Opcode) -> str:
    """ "" for to nearest, which is what the operation does unless another is written."""
    rounding = opcode.one_of(ROUNDINGS)
    if not rounding:
        raise UnknownInstruction(f"{opcode.text}: this conversion needs a rounding, as .rn")
    return "" if rounding == "rn" else rounding


def _holds(target: str, source: str) -> bool:
    """Whether every number of the source is one of the target."""
    to, of = (FORMATS[_NAMES[kind]] for kind in (target, source))
    return to.precision >= of.precision and to.max_exponent >= of.max_exponent


_NAMES: Final = {"f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64"}
