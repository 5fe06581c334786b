"""Expressions: operations on symbols. Equal expressions are one object, so `is` compares them."""

from __future__ import annotations

from typing import Final

from lion_conformance.operations.operation import Operation


class Node:
    """An operation and the expressions that it takes; made by `leaf`, `constant` and `made`."""

    __slots__ = ("arguments", "operation")

    def __init__(self, operation: Operation, arguments: tuple[Node, ...]) -> None:
        self.operation = operation
        self.arguments = arguments

    @property
    def type(self) -> str:
        """The type of its value."""
        return "pred" if self.operation.name == "compare" else self.operation.type


_known: Final[dict[tuple[Operation, tuple[Node, ...]], Node]] = {}


def made(operation: Operation, *arguments: Node) -> Node:
    """The one node of this operation on these arguments, as it stands."""
    key = operation, arguments
    node = _known.get(key)
    if node is None:
        node = _known[key] = Node(operation, arguments)
    return node


def leaf(of: str, kind: str, index: int = -1) -> Node:
    """A symbol: an element of param, momentum or grad, or a scalar."""
    return made(Operation("input", kind, of=of, index=index))


def constant(kind: str, bits: int) -> Node:
    """A number by its bits."""
    return made(Operation("constant", kind, bits=bits))


def scalar(of: str, kind: str) -> Node:
    """A scalar as a host hands it over: formed in binary64, rounded once to its type.

    of: lr, beta1, beta2, weight_decay, or one made of them: one_minus_beta1, one_minus_beta2,
    lr_times_weight_decay, one_minus_lr_times_weight_decay.
    """
    if of.startswith("one_minus_"):
        one = constant("f64", 0x3FF0000000000000)
        wide = made(Operation("sub", "f64"), one, scalar(of.removeprefix("one_minus_"), "f64"))
    elif of == "lr_times_weight_decay":
        factors = leaf("lr", "f64"), leaf("weight_decay", "f64")
        wide = made(Operation("mul", "f64"), *factors)
    else:
        wide = leaf(of, "f64")
    return wide if kind == "f64" else made(Operation("convert", kind, source="f64"), wide)
