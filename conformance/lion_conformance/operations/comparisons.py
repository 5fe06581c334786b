"""Comparisons of bit patterns, and the pieces that patterns are put together from."""

from __future__ import annotations

from typing import Final

import numpy as np

from lion_conformance.operations.operation import FLOATS, WIDTHS, Operation
from lion_conformance.operations.patterns import (
    BITS,
    NUMBERS,
    Array,
    Evaluator,
    without_subnormals,
)

_ORDERED: Final[dict[str, Evaluator]] = {
    "eq": np.equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "neu": np.not_equal,
    "ne": lambda x, y: (x < y) | (x > y),
    "equ": lambda x, y: ~((x < y) | (x > y)),
    "ltu": lambda x, y: ~(x >= y),
    "leu": lambda x, y: ~(x > y),
    "gtu": lambda x, y: ~(x <= y),
    "geu": lambda x, y: ~(x < y),
    "num": lambda x, y: (x == x) & (y == y),  # noqa: PLR0124
    "nan": lambda x, y: (x != x) | (y != y),  # noqa: PLR0124
}
"""Of numbers, as NumPy compares them: with a NaN, `!=` alone is true."""


def comparison_evaluator(operation: Operation) -> Evaluator:
    """Two patterns of `source` in, true or false out."""
    compare, numbers = _ORDERED[operation.comparison], NUMBERS[operation.source]
    if operation.source in FLOATS:
        if operation.ftz:
            flushed = without_subnormals(operation.source)
            return lambda a, b: compare(flushed(a).view(numbers), flushed(b).view(numbers))
        return lambda a, b: compare(a.view(numbers), b.view(numbers))
    if operation.comparison == "ne":
        return np.not_equal
    if numbers.kind == "i":
        return lambda a, b: compare(a.view(numbers), b.view(numbers))
    return compare


def concatenation(operation: Operation) -> Evaluator:
    """The first argument lowest."""
    bits, width = BITS[operation.type], WIDTHS[operation.source]

    def evaluate(*parts: Array) -> Array:
        whole = parts[0].astype(bits)
        for index, part in enumerate(parts[1:], 1):
            whole = whole | (part.astype(bits) << bits.type(index * width))
        return whole

    return evaluate


def extraction(operation: Operation) -> Evaluator:
    """The type's bits, from bit `low` on."""
    bits = BITS[operation.type]
    if operation.low == 0:
        return lambda a: a.astype(bits)
    low = BITS[operation.source].type(operation.low)
    return lambda a: (a >> low).astype(bits)
