"""The first operation in which an update is another than the reference's, in the clauses' names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lion_conformance.cases.case import Case
from lion_conformance.operations.expression import Node
from lion_conformance.operations.operation import FLOATS
from lion_conformance.proof.bit_vectors import equal_for_all
from lion_conformance.proof.cases import Unmatched, unmatched
from lion_conformance.proof.evaluation import in_order
from lion_conformance.proof.facts import Facts, pattern, sign_bit
from lion_conformance.proof.forms import Form
from lion_conformance.proof.holding import Element
from lion_conformance.proof.normal import Normal
from lion_conformance.proof.symbols import TYPES, Reference, Triple
from lion_conformance.proof.words import formula, where

_OTHER: Final = "{} is {}; the reference has {}"


def first_difference(form: Form, triple: Triple, target: Reference, at: Case | None = None) -> str:
    """In the order of SPEC C5: c, then θ' where c has a sign, then m'. Nothing where all match.

    What is named is not matched; whether it has other bits, a witness says. at: an element which
    has other bits; what is named is then so of it.
    """
    element = None if at is None else Element(at)
    wanted = _every if element is None else element.has
    normal = Normal()
    c = normal.of(target.c)
    param, momentum = (TYPES[name] for name in triple[:2])
    found = unmatched(form.new_param, target.new_param, param, equal_for_all, wanted)
    if found is not None:
        within = list(in_order([form.new_param]))
        if c not in within:
            deciding = _deciding(within)
            if deciding is not None:
                return _OTHER.format("c", formula(deciding), formula(c))
        return _in_case("θ'", found, {c: "c"})
    found = unmatched(form.new_momentum, target.new_momentum, momentum, equal_for_all, wanted)
    return "" if found is None else _in_case("m'", found, {})


def _every(_: Facts) -> bool:
    return True


def _in_case(name: str, found: Unmatched, names: dict[Node, str]) -> str:
    case = where(found.facts, names)
    given = _OTHER.format(name, formula(found.first, names), formula(found.second, names))
    return f"where {case}, {given}" if case else given


def _deciding(nodes: Sequence[Node]) -> Node | None:
    """The first value whose sign is asked for."""
    for node in nodes:
        operation = node.operation
        if operation.name != "compare" or operation.source not in FLOATS:
            continue
        zeros = (
            pattern(operation.source, 0),
            pattern(operation.source, sign_bit(operation.source)),
        )
        first, second = node.arguments
        for value, other in ((first, second), (second, first)):
            if (other in zeros or other is value) and value.arguments:
                return value
    return None
