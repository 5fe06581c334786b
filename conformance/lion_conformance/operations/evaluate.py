"""Operations on bit patterns, whole arrays at a time: exact, and rounded once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from lion_conformance.operations.comparisons import (
    comparison_evaluator,
    concatenation,
    extraction,
)
from lion_conformance.operations.conversions import conversion_evaluator
from lion_conformance.operations.floats import FLOAT_OPERATIONS, float_evaluator
from lion_conformance.operations.integers import bitwise_evaluator, integer_evaluator
from lion_conformance.operations.operation import FLOATS, Operation
from lion_conformance.operations.patterns import Array, Evaluator


def evaluate(operation: Operation, *arguments: Array) -> Array:
    """The operation on arrays of bit patterns, which are broadcast; its result's bits.

    A NaN may come out as any NaN. NotImplementedError names an operation that is not to be had.

    >>> import numpy as np
    >>> one, two = np.float32([1.0]).view(np.uint32), np.float32([2.0]).view(np.uint32)
    >>> evaluate(Operation("add", "f32"), one, two).view(np.float32)
    array([3.], dtype=float32)
    """
    with np.errstate(all="ignore"):
        return np.asarray(evaluator(operation)(*arguments))


@lru_cache(maxsize=4096)
def evaluator(operation: Operation) -> Evaluator:
    """The same as a function, for hot loops: those set `np.errstate(all="ignore")` themselves."""
    found = _found(operation)
    if found is None:
        raise NotImplementedError(f"no evaluation of {operation}")
    return found


def _found(operation: Operation) -> Evaluator | None:
    name, kind = operation.name, operation.type
    if name == "select":
        return np.where
    if name in _BY_NAME:
        return _BY_NAME[name](operation)
    bitwise = bitwise_evaluator(operation)
    if bitwise:
        return bitwise
    if kind in FLOATS:
        return float_evaluator(operation) if name in FLOAT_OPERATIONS else None
    return None if kind == "pred" else integer_evaluator(operation)


_BY_NAME = {
    "compare": comparison_evaluator,
    "convert": conversion_evaluator,
    "concat": concatenation,
    "extract": extraction,
}
