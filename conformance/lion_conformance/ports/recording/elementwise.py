"""What NumPy's operations on elements come to, operation by operation.

16-bit floats are widened to float32, computed there and rounded back, by NumPy and by ml_dtypes.
For + - × ÷ √ that rounds as one operation of 16 bits does: float32 has 24 bits, at least twice the
11 and 8 of theirs and two more, so its result is no tie of theirs unless it is exact; among
float16's subnormals products and sums are exact in float32, among bfloat16's, where float32 has no
more range but 16 bits more, a quotient or product of 8-bit significands is never so near to a tie.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lion_conformance.operations.expression import Node, constant, made
from lion_conformance.operations.operation import FLOATS, WIDTHS, Operation
from lion_conformance.ports.recording.conversions import (
    Unrecorded,
    compared,
    constant_of,
    kind_of,
    selected,
)

Dtype = Any
Meaning = Callable[..., Node]
"""Takes the dtype of the operands and the operands."""


def _of_numbers(name: str) -> Meaning:
    def meaning(dtype: Dtype, *operands: Node) -> Node:
        return made(Operation(name, kind_of(dtype)), *operands)

    return meaning


def _add(dtype: Dtype, first: Node, second: Node) -> Node:
    name = "or" if kind_of(dtype) == "pred" else "add"
    return made(Operation(name, kind_of(dtype)), first, second)


def _multiply(dtype: Dtype, first: Node, second: Node) -> Node:
    name = "and" if kind_of(dtype) == "pred" else "mul"
    return made(Operation(name, kind_of(dtype)), first, second)


def _divide(dtype: Dtype, first: Node, second: Node) -> Node:
    return made(Operation("div", _float(dtype, "divide")), first, second)


def _float(dtype: Dtype, name: str) -> str:
    kind = kind_of(dtype)
    if kind not in FLOATS:
        raise Unrecorded(f"np.{name} of {dtype} is not known here")
    return kind


def _square_root(dtype: Dtype, x: Node) -> Node:
    return made(Operation("sqrt", _float(dtype, "sqrt")), x)


def _square(dtype: Dtype, x: Node) -> Node:
    return _multiply(dtype, x, x)


def _reciprocal(dtype: Dtype, x: Node) -> Node:
    return _divide(dtype, constant_of(1, dtype), x)


def _itself(dtype: Dtype, x: Node) -> Node:
    del dtype
    return x


def _sign(dtype: Dtype, x: Node) -> Node:
    """1 above zero, -1 below, 0 for zeros, what it is for NaN; ml_dtypes keeps the zero's sign."""
    kind, zero = _float(dtype, "sign"), constant_of(0, dtype)
    rest = x
    if kind != "bf16":
        rest = selected(compared("eq", kind, x, zero), zero, x)
    rest = selected(compared("lt", kind, x, zero), constant_of(-1, dtype), rest)
    return selected(compared("gt", kind, x, zero), constant_of(1, dtype), rest)


def _comparison(name: str, of_floats: str | None = None) -> Meaning:
    def meaning(dtype: Dtype, first: Node, second: Node) -> Node:
        kind = kind_of(dtype)
        if kind == "pred":
            return _of_truths(name, first, second)
        return compared(of_floats if of_floats and kind in FLOATS else name, kind, first, second)

    return meaning


def _of_truths(name: str, first: Node, second: Node) -> Node:
    different = made(Operation("xor", "pred"), first, second)
    if name == "ne":
        return different
    if name == "eq":
        return made(Operation("not", "pred"), different)
    raise Unrecorded("an order of truth values is not known here")


def _nan(dtype: Dtype, x: Node) -> Node:
    return compared("nan", _float(dtype, "isnan"), x, x)


def _finite(dtype: Dtype, x: Node) -> Node:
    kind = _float(dtype, "isfinite")
    return compared("lt", kind, made(Operation("abs", kind), x), constant_of(float("inf"), dtype))


def _infinite(dtype: Dtype, x: Node) -> Node:
    kind = _float(dtype, "isinf")
    return compared("eq", kind, made(Operation("abs", kind), x), constant_of(float("inf"), dtype))


def _sign_bit(dtype: Dtype, x: Node) -> Node:
    bits = f"s{WIDTHS[_float(dtype, 'signbit')]}"
    return compared("lt", bits, x, constant(bits, 0))


def copied_sign(kind: str, magnitude: Node, sign: Node) -> Node:
    """The first with the sign bit of the second, NaN or not."""
    bits, top = f"b{WIDTHS[kind]}", 1 << WIDTHS[kind] - 1
    rest = made(Operation("and", bits), magnitude, constant(bits, top - 1))
    return made(
        Operation("or", bits), rest, made(Operation("and", bits), sign, constant(bits, top))
    )


def _copysign(dtype: Dtype, magnitude: Node, sign: Node) -> Node:
    return copied_sign(_float(dtype, "copysign"), magnitude, sign)


def _extremum(name: str, *, nan: bool) -> Meaning:
    """NumPy does not say which of two zeros it takes: that is asked only where one is no zero."""

    def meaning(dtype: Dtype, first: Node, second: Node) -> Node:
        kind = kind_of(dtype)
        if kind in FLOATS and not (_no_zero(kind, first) or _no_zero(kind, second)):
            raise Unrecorded(
                f"np.{name}imum of -0 and +0 is the processor's choice, so it is known here only "
                "beside a number that is not 0"
            )
        if kind not in FLOATS:
            return made(Operation(name, kind), first, second)
        return made(Operation(name, kind, nan=nan), first, second)

    return meaning


def _no_zero(kind: str, x: Node) -> bool:
    magnitude = (1 << WIDTHS[kind] - 1) - 1
    return x.operation.name == "constant" and bool(x.operation.bits & magnitude)


def _logical(name: str) -> Meaning:
    def meaning(dtype: Dtype, *operands: Node) -> Node:
        kind = kind_of(dtype)
        if kind != "pred":
            equal = "neu" if kind in FLOATS else "ne"
            operands = tuple(compared(equal, kind, x, constant_of(0, dtype)) for x in operands)
        return made(Operation(name, "pred"), *operands)

    return meaning


def _of_bits(name: str) -> Meaning:
    def meaning(dtype: Dtype, *operands: Node) -> Node:
        kind = kind_of(dtype)
        bits = kind if kind == "pred" else f"b{WIDTHS[kind]}"
        return made(Operation(name, bits), *operands)

    return meaning


def _shift(name: str) -> Meaning:
    def meaning(dtype: Dtype, x: Node, count: Node) -> Node:
        kind = kind_of(dtype)
        if count.operation.name != "constant":
            raise Unrecorded("a shift by a number that is not constant is not known here")
        by = constant("u32", min(count.operation.bits, WIDTHS[kind]))
        return made(Operation(name, kind), x, by)

    return meaning


def _heaviside(dtype: Dtype, x: Node, at_zero: Node) -> Node:
    kind, zero = _float(dtype, "heaviside"), constant_of(0, dtype)
    rest = selected(compared("eq", kind, x, zero), at_zero, x)
    rest = selected(compared("lt", kind, x, zero), zero, rest)
    return selected(compared("gt", kind, x, zero), constant_of(1, dtype), rest)


def _clip(dtype: Dtype, x: Node, low: Node, high: Node) -> Node:
    kind = _float(dtype, "clip")
    if not (_no_zero(kind, low) and _no_zero(kind, high)):
        raise Unrecorded("np.clip is known here only between constants other than 0")
    raised = selected(compared("lt", kind, x, low), low, x)
    return selected(compared("gt", kind, raised, high), high, raised)


MEANINGS: Final[dict[str, Meaning]] = {
    "add": _add,
    "subtract": _of_numbers("sub"),
    "multiply": _multiply,
    "divide": _divide,
    "negative": _of_numbers("neg"),
    "positive": _itself,
    "conjugate": _itself,
    "absolute": _of_numbers("abs"),
    "fabs": _of_numbers("abs"),
    "sqrt": _square_root,
    "square": _square,
    "reciprocal": _reciprocal,
    "sign": _sign,
    "signbit": _sign_bit,
    "copysign": _copysign,
    "heaviside": _heaviside,
    "maximum": _extremum("max", nan=True),
    "minimum": _extremum("min", nan=True),
    "fmax": _extremum("max", nan=False),
    "fmin": _extremum("min", nan=False),
    "clip": _clip,
    "greater": _comparison("gt"),
    "greater_equal": _comparison("ge"),
    "less": _comparison("lt"),
    "less_equal": _comparison("le"),
    "equal": _comparison("eq"),
    "not_equal": _comparison("ne", "neu"),
    "isnan": _nan,
    "isfinite": _finite,
    "isinf": _infinite,
    "logical_and": _logical("and"),
    "logical_or": _logical("or"),
    "logical_xor": _logical("xor"),
    "logical_not": _logical("not"),
    "bitwise_and": _of_bits("and"),
    "bitwise_or": _of_bits("or"),
    "bitwise_xor": _of_bits("xor"),
    "invert": _of_bits("not"),
    "left_shift": _shift("shl"),
    "right_shift": _shift("shr"),
}
"""NumPy's ufuncs that are known, by their names."""
