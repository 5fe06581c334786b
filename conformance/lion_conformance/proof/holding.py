"""Whether the facts of a case are so on numbers: what is said of a witness has to be true of it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.operations.expression import Node, made
from lion_conformance.operations.operation import FLOATS, WIDTHS, Operation
from lion_conformance.proof.evaluation import values
from lion_conformance.proof.facts import Facts, Relation, kind_of_bits
from lion_conformance.proof.samples import given_by

_COMPARISONS: Final[dict[Relation, Any]] = {
    "less": "lt",
    "equal": "eq",
    "greater": "gt",
    "unordered": "nan",
}
_BY_WIDTH: Final = {32: "f32", 64: "f64"}


class Element:
    """One element and its scalars."""

    def __init__(self, case: Case) -> None:
        self._given = given_by(case)

    def has(self, facts: Facts) -> bool:
        """Whether all of the facts are so there."""
        return (
            all(self._lies(node, kind) for node, kind in facts.kinds.items())
            and all(
                self._is_true(_comparison(kind, first, second, relation))
                for (kind, first, second), relation in facts.relations.items()
            )
            and all(self._is_true(node) == told for node, told in facts.truths.items())
        )

    def _lies(self, node: Node, kind: str) -> bool:
        of = node.type if node.type in FLOATS else _BY_WIDTH[WIDTHS[node.type]]
        return kind_of_bits(self._value(node), of) == kind

    def _is_true(self, node: Node) -> bool:
        return bool(self._value(node))

    def _value(self, node: Node) -> int:
        (found,) = values([node], self._given)
        return int(np.asarray(found).reshape(-1)[0])


def _comparison(kind: str, first: Node, second: Node, relation: Relation) -> Node:
    operation = Operation("compare", "pred", source=kind, comparison=_COMPARISONS[relation])
    return made(operation, first, second)
