"""The elements of a traced update that are alike: most kernels do one thing to all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from lion_conformance.operations.expression import Node, made
from lion_conformance.operations.traced import Traced
from lion_conformance.proof.evaluation import in_order
from lion_conformance.proof.normal import Normal
from lion_conformance.proof.symbols import ELEMENTS, SCALARS, TYPES, Triple

_OTHERS: Final = 1 << 40
"""Beside an element's own leaves, which have index 0, those of its neighbours begin here."""


@dataclass(frozen=True, slots=True)
class Form:
    """What is stored for an element, in leaves of index 0, and the first that has it so."""

    new_param: Node
    new_momentum: Node
    size: int
    element: int


def forms(traced: Iterable[Traced], triple: Triple) -> tuple[list[Form], str]:
    """Each form once, and what is wrong with one, in words: nothing where nothing is."""
    found: dict[tuple[Node, Node], Form] = {}
    normal = Normal()
    for one in traced:
        for (param, momentum), elements in alike(one).items():
            pair = (
                normal.as_float(normal.of(param), TYPES[triple[0]]),
                normal.as_float(normal.of(momentum), TYPES[triple[1]]),
            )
            form = Form(*pair, one.size, elements[0])
            wrong = _wrong(form, pair)
            if wrong:
                return [form], wrong
            found.setdefault(pair, form)
    return list(found.values()), ""


@lru_cache(maxsize=64)
def alike(traced: Traced) -> dict[tuple[Node, Node], list[int]]:
    """Which elements have each pair of expressions, where an element's own leaves have index 0.

    Those of its neighbours have other ones: see `places_of`.
    """
    found: dict[tuple[Node, Node], list[int]] = {}
    for element, (param, momentum) in enumerate(
        zip(traced.new_param, traced.new_momentum, strict=True)
    ):
        known: dict[Node, Node] = {}
        own = _own(param, element, known), _own(momentum, element, known)
        found.setdefault(own, []).append(element)
    return found


def places_of(leaf: Node, elements: Sequence[int]) -> list[int]:
    """Where a leaf's numbers stand in its array, for each of these elements."""
    index = leaf.operation.index
    if index < 0:
        return [0]
    return [element + (index and index - _OTHERS) for element in elements]


def _own(node: Node, element: int, known: dict[Node, Node]) -> Node:
    found = known.get(node)
    if found is None:
        operation = node.operation
        if node.arguments:
            found = made(operation, *[_own(x, element, known) for x in node.arguments])
        elif operation.index >= 0:
            beside = operation.index - element
            found = made(replace(operation, index=beside and _OTHERS + beside))
        else:
            found = node
        known[node] = found
    return found


def _wrong(form: Form, pair: Sequence[Node]) -> str:
    """What no form may be: one that is not stored, or that depends on another element."""
    for root, name in zip(pair, ("θ'", "m'"), strict=True):
        where = f"element {form.element} of {form.size}"
        if root.operation.name == "input":
            return f"{name} of {where} is never stored"
        for node in in_order([root]):
            operation = node.operation
            if operation.name != "input":
                continue
            if operation.of in ELEMENTS and operation.index > 0:
                other = form.element + operation.index - _OTHERS
                return f"{name} of {where} depends on {_WORDS[operation.of]} of element {other}"
            if operation.of not in (*ELEMENTS, *SCALARS, "NaN"):
                return f"{name} of {where} depends on {operation.of}"
    return ""


_WORDS: Final = {"param": "θ", "momentum": "m", "grad": "g"}
