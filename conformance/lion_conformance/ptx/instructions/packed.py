"""Types of several numbers in one register, on which an instruction works one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lion_conformance.operations.operation import WIDTHS, Operation
from lion_conformance.ptx.instructions.meaning import Algebra, Meaning

PACKED: Final = {
    "f16x2": ("f16", "b32"),
    "bf16x2": ("bf16", "b32"),
    "f32x2": ("f32", "b64"),
    "u16x2": ("u16", "b32"),
    "s16x2": ("s16", "b32"),
}
"""The type of one, and that of the register."""

One = Callable[..., Any]
"""one(algebra, *values) gives a value."""


def of_one(kind: str) -> str:
    """The type of one number."""
    return PACKED[kind][0] if kind in PACKED else kind


def unpacked(algebra: Algebra, kind: str, value: Any) -> tuple[Any, Any]:
    """The two numbers of a register, the lower first."""
    one, whole = PACKED[kind]
    low, high = (
        algebra.apply(Operation("extract", one, source=whole, low=low), value)
        for low in (0, WIDTHS[one])
    )
    return low, high


def packed(algebra: Algebra, kind: str, low: Any, high: Any) -> Any:
    """Two numbers in one register."""
    one, whole = PACKED[kind]
    return algebra.apply(Operation("concat", whole, source=one), low, high)


def elementwise(kind: str, count: int, one: One, contractible: str = "") -> Meaning:
    """An instruction of `count` operands, all of one type, as is its result."""
    register = PACKED[kind][1] if kind in PACKED else kind

    def compute(algebra: Algebra, *values: Any) -> tuple[Any]:
        if kind not in PACKED:
            return (one(algebra, *values),)
        lows, highs = zip(*(unpacked(algebra, kind, value) for value in values), strict=True)
        return (packed(algebra, kind, one(algebra, *lows), one(algebra, *highs)),)

    return Meaning((register,) * count, (register,), compute, contractible)


def single(operation: Operation) -> One:
    """An instruction that is one operation."""
    return lambda algebra, *values: algebra.apply(operation, *values)
