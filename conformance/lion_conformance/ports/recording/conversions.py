"""Dtypes as types of `operations`, and the conversions between them that NumPy and ml_dtypes have.

Three things are not as a reader may expect: float64 becomes bfloat16 by way of float32, rounded
twice; whole numbers become a 16-bit float by way of float32, too; and what a NaN becomes as a whole
number is the processor's affair, so it is not known here.
"""

from __future__ import annotations

from typing import Any, Final

import ml_dtypes
import numpy as np

from lion_conformance.operations.expression import Node, constant, made
from lion_conformance.operations.operation import FLOATS, Operation

Dtype = np.dtype[Any]


class Unrecorded(BaseException):
    """What is done is not known here; words that say what. No `except Exception` hides it."""


BFLOAT16: Final = np.dtype(ml_dtypes.bfloat16)
KINDS: Final[dict[Dtype, str]] = {
    np.dtype(np.float16): "f16",
    BFLOAT16: "bf16",
    np.dtype(np.float32): "f32",
    np.dtype(np.float64): "f64",
    **{np.dtype(f"u{n}"): f"u{8 * n}" for n in (1, 2, 4, 8)},
    **{np.dtype(f"i{n}"): f"s{8 * n}" for n in (1, 2, 4, 8)},
    np.dtype(np.bool_): "pred",
}
"""The type of each dtype that is known."""

_FRACTIONS: Final = {"f16": 11, "bf16": 8, "f32": 24, "f64": 53}
_RANGES: Final = {"f16": 5, "bf16": 8, "f32": 8, "f64": 11}


FLOAT64: Final = np.dtype(np.float64)
BOOL: Final = np.dtype(np.bool_)


class KnownDtype:
    """A dtype whose `type` makes recorded numbers, too; in all else NumPy's."""

    makers: Final[dict[Any, Any]] = {}

    def __init__(self, dtype: Dtype) -> None:
        self.dtype = dtype

    @property
    def type(self) -> Any:
        """What makes a number of this dtype."""
        return self.makers.get(self.dtype.type, self.dtype.type)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dtype, name)

    def __eq__(self, other: object) -> bool:
        return bool(self.dtype == (other.dtype if isinstance(other, KnownDtype) else other))

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __repr__(self) -> str:
        return repr(self.dtype)

    __str__ = __repr__


def plain_dtype(dtype: Any) -> Dtype:
    """NumPy's dtype for whatever stands for one."""
    return np.dtype(float if getattr(dtype, "stands_for", None) is float else dtype)


def kind_of(dtype: Dtype) -> str:
    """The type of a dtype; Unrecorded for one that is not known."""
    kind = KINDS.get(dtype.newbyteorder("="))
    if kind is None:
        raise Unrecorded(f"dtype {dtype} is not known here")
    return kind


def dtype_of(name: str) -> Dtype:
    """A storage dtype by its name, which NumPy does not know of bfloat16.

    >>> dtype_of("float32"), dtype_of("bfloat16").name
    (dtype('float32'), 'bfloat16')
    """
    return BFLOAT16 if name == "bfloat16" else np.dtype(name)


def constant_of(value: Any, dtype: Dtype) -> Node:
    """A number that is known, in a dtype, as NumPy puts it there."""
    with np.errstate(all="ignore"):
        element = np.asarray(value).astype(dtype) if isinstance(value, np.generic) else None
        array = np.array(value, dtype) if element is None else element
    bits = int(array.view(f"u{dtype.itemsize}")[()])
    return constant(kind_of(dtype), bits)


def converted(node: Node, source: Dtype, target: Dtype) -> Node:
    """A value of one dtype in another, as `astype` has it."""
    old, new = kind_of(source), kind_of(target)
    if old == new:
        return node
    if old == "pred":
        return selected(node, constant_of(1, target), constant_of(0, target))
    if new == "pred":
        zero = constant_of(0, source)
        return compared("neu" if old in FLOATS else "ne", old, node, zero)
    if new in FLOATS:
        by_float32 = {"f64": ("bf16",)}.get(old, ("bf16", "f16") if old not in FLOATS else ())
        if new in by_float32:
            return cast(cast(node, old, "f32"), "f32", new)
        return cast(node, old, new)
    if old in FLOATS:
        raise Unrecorded(f"{source} made {target}: what a NaN becomes is not said")
    return cast(node, old, new)


def cast(node: Node, old: str, new: str) -> Node:
    """One conversion; there and back again is none where the way there was exact."""
    if old == new:
        return node
    before = node.operation
    widened = before.name == "convert" and (before.source, before.type) == (new, old)
    if widened and _holds(old, new):
        return node.arguments[0]
    return made(Operation("convert", new, source=old), node)


def _holds(wide: str, narrow: str) -> bool:
    """Whether every number of one float type is one of another."""
    if wide not in FLOATS or narrow not in FLOATS:
        return False
    return _FRACTIONS[wide] >= _FRACTIONS[narrow] and _RANGES[wide] >= _RANGES[narrow]


def compared(comparison: Any, kind: str, first: Node, second: Node) -> Node:
    """A comparison of two values of a type."""
    operation = Operation("compare", "pred", source=kind, comparison=comparison)
    return made(operation, first, second)


def selected(condition: Node, first: Node, second: Node, kind: str = "") -> Node:
    """One of two values, of a type that need not be that of the bits they were made as."""
    if first is second:
        return first
    kind = kind or first.type
    if kind == "pred":
        neither = made(Operation("not", "pred"), condition)
        first = made(Operation("and", "pred"), condition, first)
        second = made(Operation("and", "pred"), neither, second)
        return made(Operation("or", "pred"), first, second)
    return made(Operation("select", kind), condition, first, second)
