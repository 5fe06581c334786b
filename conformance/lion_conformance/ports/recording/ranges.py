"""What legal scalars can be: decisions that are the same for all of them are no decisions.

SPEC C13: lr and weight_decay are finite and >= 0, also rounded to the compute dtype; the betas lie
in [0, 1). Rounding never turns an order round, so the ends of a range go where their numbers go.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from lion_conformance.operations.expression import Node
from lion_conformance.ports.recording.conversions import BFLOAT16, Dtype
from lion_ref.arithmetic import round_to

Ends = tuple[float, float]

_DTYPES: Final[dict[str, Dtype]] = {
    "f16": np.dtype(np.float16),
    "bf16": BFLOAT16,
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
}
_BELOW_ONE: Final = float(np.nextafter(1.0, 0.0))
_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


def largest(compute: Dtype) -> float:
    """The largest binary64 number that is finite when it is rounded to the compute dtype."""
    if compute.itemsize == 8:
        return float(np.finfo(np.float64).max)
    beyond = float(np.finfo(np.float32).max) + 2.0**103
    return float(np.nextafter(beyond, 0.0))


def known(node: Node, compute: Dtype) -> bool | None:
    """Whether a predicate holds for every legal scalar, or for none; None if that depends."""
    operation, arguments = node.operation, node.arguments
    if operation.name == "constant":
        return bool(operation.bits)
    if operation.name == "compare":
        first, second = (ends(x, compute) for x in arguments)
        if first is None or second is None:
            return None
        return _compared(operation.comparison, first, second)
    truths = [known(x, compute) for x in arguments]
    if operation.name == "not":
        return None if truths[0] is None else not truths[0]
    if operation.name in ("and", "or"):
        decisive = operation.name == "or"
        if decisive in truths:
            return decisive
        return None if None in truths else not decisive
    return None


def _compared(comparison: str, first: Ends, second: Ends) -> bool | None:
    """No range has a NaN."""
    if comparison == "nan":
        return False
    if comparison in _ORDERS:
        order = _ORDERS[comparison]
        answers = {order(a, b) for a in first for b in second}
        return answers.pop() if len(answers) == 1 else None
    apart = first[1] < second[0] or second[1] < first[0]
    if not apart:
        return None
    return comparison in ("ne", "neu")


def ends(node: Node, compute: Dtype) -> Ends | None:
    """The least and the largest that a number of scalars can be; None if that is not known."""
    operation = node.operation
    if _is_zero_of_some_sign(node):
        return 0.0, 0.0
    dtype = _DTYPES.get(operation.type)
    if dtype is None:
        return None
    if operation.name == "select":
        either = [ends(x, compute) for x in node.arguments[1:]]
        known_ends = [x for x in either if x is not None]
        if len(known_ends) != len(either):
            return None
        return min(x[0] for x in known_ends), max(x[1] for x in known_ends)
    if operation.name == "constant":
        pattern = np.array([operation.bits], f"u{dtype.itemsize}")
        value = float(pattern.view(dtype)[0])
        return None if np.isnan(value) else (value, value)
    if operation.name == "input":
        most = largest(compute) if operation.of in ("lr", "weight_decay") else _BELOW_ONE
        return 0.0, most
    parts = [ends(x, compute) for x in node.arguments]
    whole = [x for x in parts if x is not None]
    if len(whole) != len(parts):
        return None
    return _moved(operation.name, dtype, whole)


def _is_zero_of_some_sign(node: Node) -> bool:
    """Whether it is the copy of a sign to a zero: no bits but that of the sign."""
    if node.operation.name != "or":
        return False
    magnitude = node.arguments[0]
    parts = [x.operation for x in magnitude.arguments]
    constants = all(x.name == "constant" for x in parts)
    return magnitude.operation.name == "and" and constants and not parts[0].bits & parts[1].bits


def _moved(name: str, dtype: Dtype, parts: list[Ends]) -> Ends | None:
    """The ends of what an operation makes of ranges."""
    first = parts[0]
    with np.errstate(all="ignore"):
        if name == "convert":
            found = first
        elif name == "neg":
            found = (-first[1], -first[0])
        elif name == "abs":
            found = (max(0.0, first[0], -first[1]), max(abs(x) for x in first))
        elif name == "add":
            found = (first[0] + parts[1][0], first[1] + parts[1][1])
        elif name == "sub":
            found = (first[0] - parts[1][1], first[1] - parts[1][0])
        elif name == "mul":
            products = [a * b for a in first for b in parts[1]]
            found = (min(products), max(products))
        else:
            return None
        low, high = (float(x) for x in round_to(np.array(found), dtype))
    return None if np.isnan([low, high]).any() or np.isinf([low, high]).any() else (low, high)
