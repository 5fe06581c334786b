"""Equality of expressions, case by case: where a sign or a comparison decides, each answer is one.

The cases of a value are all that there are, so what is equal in each of them is equal. A case that
cannot arise costs time and proves nothing false.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from lion_conformance.operations.expression import Node
from lion_conformance.operations.operation import FLOATS, WIDTHS
from lion_conformance.proof.evaluation import in_order
from lion_conformance.proof.facts import KINDS, RELATIONS, Facts, pattern, sign_bit
from lion_conformance.proof.normal import Normal
from lion_conformance.proof.terms import is_constant

MOST: Final = 400
"""Cases that are tried before it is said that there are too many."""


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A case in which two expressions are not known to be equal, as they are there."""

    facts: Facts
    first: Node
    second: Node


Settle = Callable[[Facts, Node, Node, str], bool]
"""Another way to see that two expressions are equal under some facts, as bits of a type."""


def unmatched(
    first: Node,
    second: Node,
    kind: str,
    settle: Settle | None = None,
    wanted: Callable[[Facts], bool] = lambda _: True,
) -> Unmatched | None:
    """A case in which they are not known to be equal as floats of this type; None if in none.

    Any NaN equals any NaN. wanted: which cases are looked at; a proof takes all.
    """
    waiting = [Unmatched(Facts(), first, second)]
    for _ in range(MOST):
        if not waiting:
            return None
        case = waiting.pop()
        normal = Normal(case.facts)
        first, second = (normal.as_float(normal.of(x), kind) for x in (case.first, case.second))
        if _are_equal(normal, first, second, kind):
            continue
        further = next(questions(normal, [first, second]), None)
        if further is None:
            if settle is not None and settle(case.facts, first, second, kind):
                continue
            return Unmatched(case.facts, first, second)
        waiting.extend(
            Unmatched(facts, first, second) for facts in reversed(further) if wanted(facts)
        )
    return waiting[-1] if waiting else None


def _are_equal(normal: Normal, first: Node, second: Node, kind: str) -> bool:
    if first is second and not normal.is_tainted(first):
        return True
    return normal.kind(first, kind) == normal.kind(second, kind) == "NaN"


def questions(normal: Normal, roots: list[Node]) -> Iterator[list[Facts]]:
    """The cases of each value that decides something, innermost first."""
    facts = normal.facts
    for node in in_order(roots):
        operation = node.operation
        if operation.name == "compare":
            yield _cases_of_comparison(normal, node)
        elif operation.name == "select" and node.arguments[0].operation.name == "input":
            condition = node.arguments[0]
            yield [
                replace(facts, truths={**facts.truths, condition: told}) for told in (True, False)
            ]
        elif operation.name in ("and", "shr") and is_constant(node.arguments[1]):
            signed = _whose_sign(node)
            if signed is not None and signed not in facts.kinds:
                yield _kinds_of(facts, signed)


def _cases_of_comparison(normal: Normal, node: Node) -> list[Facts]:
    operation, (first, second) = node.operation, node.arguments
    facts, kind = normal.facts, operation.source
    if kind in FLOATS:
        zeros = (pattern(kind, 0), pattern(kind, sign_bit(kind)))
        for value, other in ((first, second), (second, first)):
            alone = other in zeros or other is value
            if alone and value not in facts.kinds and _is_of(value, kind):
                return _kinds_of(facts, value)
    if operation.ftz or (kind, first, second) in facts.relations:
        return [replace(facts, truths={**facts.truths, node: told}) for told in (True, False)]
    relations = RELATIONS if kind in FLOATS else RELATIONS[:3]
    return [
        replace(facts, relations={**facts.relations, (kind, first, second): relation})
        for relation in relations
    ]


def _is_of(value: Node, kind: str) -> bool:
    """Whether its bits are those of a float of this type and no other."""
    return value.type == kind or (value.type not in FLOATS and WIDTHS[kind] > 16)


def _kinds_of(facts: Facts, value: Node) -> list[Facts]:
    return [replace(facts, kinds={**facts.kinds, value: kind}) for kind in KINDS]


def _whose_sign(node: Node) -> Node | None:
    """The float whose highest bit alone is taken."""
    for value, number in (node.arguments, node.arguments[::-1]):
        kind = value.type
        if kind in FLOATS and is_constant(number):
            bits = sign_bit(kind) if node.operation.name == "and" else WIDTHS[kind] - 1
            if number.operation.bits == bits:
                return value
    return None
