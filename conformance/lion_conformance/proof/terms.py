"""What every rule of rewriting needs: numbers, an order of expressions, the rules themselves."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from lion_conformance.operations.evaluate import evaluate
from lion_conformance.operations.expression import Node, leaf
from lion_conformance.operations.operation import FLOATS, WIDTHS, Operation
from lion_conformance.proof.facts import Facts, Kind, kind_of_bits, pattern

BITWISE: Final = ("and", "or", "xor", "not", "shl", "shr", "concat", "extract", "select")
"""Operations that move and change bits, whatever these stand for."""


class Rules(Protocol):
    """All rules together, as each of them may ask for the others."""

    facts: Facts

    def apply(self, operation: Operation, *arguments: Node) -> Node:
        """The normal form of an operation on normal forms."""

    def kind(self, node: Node, kind: str) -> Kind | None:
        """Where a value lies that is taken as a float of this type, if it is known."""

    def is_tainted(self, node: Node) -> bool:
        """Whether its bits are partly those of a NaN that may be any."""

    def noted(self, node: Node) -> Node:
        """What is known of the value itself, in its place."""

    def unknown(self, kind: str) -> Node:
        """A value of which nothing is known, not even that it is one which was seen before."""


def is_constant(node: Node) -> bool:
    """Whether it is a number."""
    return node.operation.name == "constant"


def any_nan(kind: str) -> Node:
    """A NaN, whichever."""
    return leaf("NaN", kind)


_serials: Final[dict[Node, int]] = {}


def serial(node: Node) -> int:
    """Its place in an order of all expressions: that in which they were met."""
    return _serials.setdefault(node, len(_serials))


def folded(operation: Operation, arguments: tuple[Node, ...]) -> Node:
    """The result on numbers; a NaN that comes out of a float operation may be any."""
    arrays = [_array(x) for x in arguments]
    result = int(np.asarray(evaluate(operation, *arrays)).reshape(-1)[0])
    kind = operation.type
    if operation.name == "compare":
        return pattern("pred", result)
    if kind in FLOATS and operation.name not in BITWISE and kind_of_bits(result, kind) == "NaN":
        return any_nan(kind)
    return pattern(kind, result)


def _array(node: Node) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    width = WIDTHS[node.operation.type]
    dtype = np.dtype(np.bool_) if width == 1 else np.dtype(f"u{width // 8}")
    return np.array([node.operation.bits], dtype)
