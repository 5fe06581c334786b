"""What JAX's primitives on elements come to, each rounded once, as XLA's operations are defined."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np

from lion_conformance.operations.expression import Node, constant, made
from lion_conformance.operations.operation import FLOATS, WIDTHS, Operation
from lion_conformance.ports.recording.conversions import (
    KINDS,
    Unrecorded,
    cast,
    compared,
    constant_of,
    kind_of,
    selected,
)

Dtype = np.dtype[Any]
Meaning = Callable[..., Node]
"""Takes the dtype of the first operand, whether subnormals are flushed, and the operands."""

_DTYPES: Final = {kind: dtype for dtype, kind in KINDS.items()}


def _number(name: str, dtype: Dtype, flush: bool, *operands: Node) -> Node:
    kind = kind_of(dtype)
    if kind == "pred":
        raise Unrecorded(f"{name} of truth values is not known here")
    return made(Operation(name, kind, ftz=flush and kind in FLOATS), *operands)


def _extremum(name: str, dtype: Dtype, flush: bool, *operands: Node) -> Node:
    kind = kind_of(dtype)
    if kind == "pred":
        return made(Operation("or" if name == "max" else "and", kind), *operands)
    is_float = kind in FLOATS
    return made(Operation(name, kind, nan=is_float, ftz=flush and is_float), *operands)


def _untouched(name: str, dtype: Dtype, flush: bool, x: Node) -> Node:
    """A change of the sign bit alone, which flushes nothing."""
    del flush
    return made(Operation(name, kind_of(dtype)), x)


def _compared(name: str, of_floats: str, dtype: Dtype, flush: bool, a: Node, b: Node) -> Node:
    kind = kind_of(dtype)
    if kind == "pred":
        different = made(Operation("xor", "pred"), a, b)
        if name == "ne":
            return different
        if name == "eq":
            return made(Operation("not", "pred"), different)
        raise Unrecorded("an order of truth values is not known here")
    if kind not in FLOATS:
        return compared(name, kind, a, b)
    return made(flushing_comparison(of_floats, kind, flush), a, b)


def flushing_comparison(name: Any, kind: str, flush: bool) -> Operation:
    """A comparison of floats, their subnormals zeros if they are flushed."""
    return Operation("compare", "pred", source=kind, comparison=name, ftz=flush)


def _sign(dtype: Dtype, flush: bool, x: Node) -> Node:
    """Of a zero the zero itself, of a NaN the NaN."""
    kind, zero = kind_of(dtype), constant_of(0, dtype)
    above = made(flushing_comparison("gt", kind, flush), x, zero)
    below = made(flushing_comparison("lt", kind, flush), x, zero)
    rest = x
    if flush:  # a subnormal number is a zero of its sign
        rest = made(Operation("mul", kind, ftz=True), x, zero)
    rest = selected(below, constant_of(-1, dtype), rest)
    return selected(above, constant_of(1, dtype), rest)


def _bits(name: str, dtype: Dtype, flush: bool, *operands: Node) -> Node:
    del flush
    kind = kind_of(dtype)
    return made(Operation(name, kind if kind == "pred" else f"b{WIDTHS[kind]}"), *operands)


def _shift(name: str, letter: str, dtype: Dtype, flush: bool, x: Node, count: Node) -> Node:
    del flush
    bits = WIDTHS[kind_of(dtype)]
    if count.operation.name != "constant" or count.operation.bits >= bits:
        raise Unrecorded("a shift by a number that is not constant is not known here")
    if not count.operation.bits:
        return x
    return made(Operation(name, f"{letter}{bits}"), x, constant("u32", count.operation.bits))


def _finite(dtype: Dtype, flush: bool, x: Node) -> Node:
    del flush
    kind = kind_of(dtype)
    return compared("lt", kind, made(Operation("abs", kind), x), constant_of(float("inf"), dtype))


def _square(dtype: Dtype, flush: bool, x: Node) -> Node:
    return _number("mul", dtype, flush, x, x)


def _itself(dtype: Dtype, flush: bool, x: Node) -> Node:
    del dtype, flush
    return x


def changed_dtype(source: Dtype, target: Dtype, flush: bool, x: Node) -> Node:
    """`convert_element_type`; XLA makes float64 a 16-bit float by way of float32."""
    old, new = kind_of(source), kind_of(target)
    if old == new:
        return x
    if old == "pred":
        return selected(x, constant_of(1, target), constant_of(0, target))
    if new == "pred":
        return _compared("ne", "neu", source, flush, x, constant_of(0, source))
    if old in FLOATS and new not in FLOATS:
        raise Unrecorded(f"{source} made {target}: what a NaN becomes is not said")
    if new in ("f16", "bf16") and old not in ("f16", "bf16", "f32"):
        x, old = _rounded(x, old, "f32", flush), "f32"
    return _rounded(x, old, new, flush)


def _rounded(x: Node, old: str, new: str, flush: bool) -> Node:
    """One rounding; those of float32 and float64 flush, where 16 bits are put together by hand."""
    if flush and {old, new} == {"f32", "f64"}:
        return made(Operation("convert", new, source=old, ftz=True), x)
    return cast(x, old, new)


def same_bits(source: Dtype, target: Dtype, x: Node) -> Node:
    """`bitcast_convert_type`; what only passed through the integers is what it was."""
    if source.itemsize != target.itemsize:
        raise Unrecorded(f"the bits of {source} as {target} are not known here")
    kind_of(source)
    return _through_a_fence(x, kind_of(target)) if kind_of(target) in FLOATS else x


def _through_a_fence(x: Node, kind: str) -> Node:
    """min(bits, a NaN's bits), as signed numbers, changes nothing but one NaN into another.

    Where the bits are compared with the larger of a NaN's and some others, that holds, too.
    """
    bits = WIDTHS[kind]
    if x.operation.name != "min" or x.operation.type != f"s{bits}":
        return x
    first, second = x.arguments
    for value, limit in ((first, second), (second, first)):
        parts = limit.arguments if limit.operation == Operation("max", f"s{bits}") else (limit,)
        if value.type == kind and any(_is_positive_nan(part, kind) for part in parts):
            return value
    return x


def chosen(condition: Node, first: Node, second: Node, *, kind: str) -> Node:
    """One of two values; a NaN in the place of a NaN is what is there already."""
    test = condition.operation
    if test.name == "compare" and test.comparison == "neu" and first.operation.name == "constant":
        x, same = condition.arguments
        if x is same and second in (x, *x.arguments[: x.operation.name == "convert"]):
            magnitude = first.operation.bits & ((1 << WIDTHS[kind] - 1) - 1)
            if _is_positive_nan(constant(kind, magnitude), kind):
                return second
    return selected(condition, first, second, kind)


def _is_positive_nan(x: Node, kind: str) -> bool:
    infinity = constant_of(float("inf"), _DTYPES[kind]).operation.bits
    top = 1 << WIDTHS[kind] - 1
    return x.operation.name == "constant" and infinity < x.operation.bits < top


_MEANINGS: Final[dict[str, Meaning]] = {
    **{name: partial(_number, name) for name in ("add", "sub", "mul", "div", "sqrt")},
    "add_any": partial(_number, "add"),
    "max": partial(_extremum, "max"),
    "min": partial(_extremum, "min"),
    "neg": partial(_untouched, "neg"),
    "abs": partial(_untouched, "abs"),
    "sign": _sign,
    "square": _square,
    "is_finite": _finite,
    **{name: partial(_compared, name, name) for name in ("eq", "lt", "le", "gt", "ge")},
    "ne": partial(_compared, "ne", "neu"),
    **{name: partial(_bits, name) for name in ("and", "or", "xor", "not")},
    "shift_left": partial(_shift, "shl", "u"),
    "shift_right_logical": partial(_shift, "shr", "u"),
    "shift_right_arithmetic": partial(_shift, "shr", "s"),
    **dict.fromkeys(("copy", "copy_p", "stop_gradient", "name", "sharding_constraint"), _itself),
}
"""JAX's primitives on elements that are known."""

_ROUNDING: Final = {*("add", "sub", "mul", "div", "sqrt", "add_any", "max", "min", "sign")} | {
    *("square", "eq", "ne", "lt", "le", "gt", "ge")
}


def meaning_of(name: str, dtype: Dtype, *, flush: bool) -> Callable[..., Node] | None:
    """What a primitive makes of operands of a dtype; None for one that is not known.

    Where subnormals are flushed 16-bit floats are computed with in float32, which decides what is
    one of them.
    """
    meaning = _MEANINGS.get(name)
    if meaning is None:
        return None
    kind = kind_of(dtype)
    if flush and name in _ROUNDING and kind in ("f16", "bf16"):
        return partial(_in_float32, meaning, kind)
    return partial(meaning, dtype, flush)


def _in_float32(meaning: Meaning, kind: str, *operands: Node) -> Node:
    found = meaning(_DTYPES["f32"], True, *(cast(x, kind, "f32") for x in operands))
    return found if found.type == "pred" else cast(found, "f32", kind)
