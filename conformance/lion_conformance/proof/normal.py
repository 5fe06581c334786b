"""Normal forms: rewriting by identities that hold for every bit pattern, or, of NaNs, for any NaN.

Never assumed: that a number is finite, that it is no NaN, that it is not a zero. So x + 0 is not x
(of x = -0 it is +0), -(a + b) is not -a - b (of b = -a both are +0), and a·b + c is no fma.
"""

from __future__ import annotations

import itertools
from typing import Final

from lion_conformance.operations.expression import Node, leaf, made
from lion_conformance.operations.operation import FLOATS, WIDTHS, Operation
from lion_conformance.proof import bit_forms, comparing, float_forms
from lion_conformance.proof.facts import Facts, Kind, bits_type, kind_of_bits, pattern
from lion_conformance.proof.terms import BITWISE, folded, is_constant, serial

_unspecified: Final = itertools.count()


class Normal:
    """Normal forms in one case; `facts` says what holds there."""

    def __init__(self, facts: Facts | None = None) -> None:
        self.facts = facts or Facts()
        self._known: dict[Node, Node] = {}
        self._tainted: dict[Node, bool] = {}

    def of(self, node: Node) -> Node:
        """The normal form of an expression."""
        found = self._known.get(node)
        if found is None:
            found = self.apply(node.operation, *map(self.of, node.arguments))
            self._known[node] = found
        return found

    def apply(self, operation: Operation, *arguments: Node) -> Node:
        """The normal form of an operation on normal forms."""
        return self.noted(self._applied(operation, arguments))

    def noted(self, node: Node) -> Node:
        """What is known of the value itself, in its place."""
        if node in self.facts.truths:
            return pattern("pred", int(self.facts.truths[node]))
        kind = self.facts.kinds.get(node)
        if kind in ("+0", "-0"):
            return pattern(node.type, int(kind == "-0") << (WIDTHS[node.type] - 1))
        return node

    def _applied(self, operation: Operation, arguments: tuple[Node, ...]) -> Node:
        name = operation.name
        if name == "input":
            return made(operation)
        if name == "constant":
            return pattern(operation.type, operation.bits)
        if all(is_constant(x) for x in arguments):
            return folded(operation, arguments)
        if name == "select":
            return self._select(operation, *arguments)
        if name == "compare":
            return comparing.compare(self, operation, *arguments)
        if operation.type == "pred":
            return comparing.logic(operation, *arguments)
        if name in BITWISE:
            return bit_forms.bits(self, operation, *arguments)
        if operation.type in FLOATS and (name != "convert" or operation.source in FLOATS):
            return float_forms.floats(self, operation, *arguments)
        if name == "convert" and not {operation.source, operation.type} & {*FLOATS, "pred"}:
            return bit_forms.whole_conversion(operation, *arguments)
        if name in ("add", "mul") and operation.type not in FLOATS:
            ordered = sorted(arguments, key=serial)
            return made(_modular(operation), *ordered)
        return made(operation, *arguments)

    def as_float(self, node: Node, kind: str) -> Node:
        """A normal form as an operation on floats of this type would take it."""
        return bit_forms.as_float(self, node, kind)

    def kind(self, node: Node, kind: str) -> Kind | None:
        """Where a value lies that is taken as a float of this type, if it is known."""
        if is_constant(node):
            return kind_of_bits(node.operation.bits, kind)
        if node.type in FLOATS and node.type != kind:
            return None
        return self.facts.kind(node)

    def _select(self, operation: Operation, condition: Node, yes: Node, no: Node) -> Node:
        if is_constant(condition):
            return yes if condition.operation.bits else no
        if yes is no:
            return yes
        if operation.type == "pred" and is_constant(yes) and is_constant(no):
            return condition if yes.operation.bits else comparing.negated(condition)
        inner = condition.operation
        if inner.name == "not":
            return self._select(operation, condition.arguments[0], no, yes)
        return made(Operation("select", bits_type(operation.type)), condition, yes, no)

    def is_tainted(self, node: Node) -> bool:
        """Whether its bits are partly those of a NaN that may be any.

        Two such values need not be one though their expressions are.
        """
        found = self._tainted.get(node)
        if found is None:
            found = self._tainted[node] = self.facts.kind(node) == "NaN" or any(
                self.is_tainted(x) and not self._is_taken_as_number(node, x) for x in node.arguments
            )
        return found

    def _is_taken_as_number(self, by: Node, argument: Node) -> bool:
        """Whether an operation sees of an argument that is NaN no more than that it is."""
        operation = by.operation
        takes = operation.source or operation.type
        as_float = takes in FLOATS and operation.name not in ("concat", "extract", "select")
        return as_float and self.kind(argument, takes) == "NaN"

    @staticmethod
    def unknown(kind: str) -> Node:
        """A value of which nothing is known, not even that it is one which was seen before."""
        return leaf("anything", kind, next(_unspecified))


def _modular(operation: Operation) -> Operation:
    """The same modulo 2**width, in which signs do not count."""
    if operation.saturate:
        return operation
    return Operation(operation.name, f"u{WIDTHS[operation.type]}")
