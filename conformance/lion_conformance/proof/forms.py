"""The elements of a traced update that are alike: most kernels do one thing to all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
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
    for one in traced:
        for element, roots in enumerate(zip(one.new_param, one.new_momentum, strict=True)):
            own = _with_own_index(roots, element)
            if own not in found:
                found[own] = Form(*own, one.size, element)
    distinct: dict[tuple[Node, Node], Form] = {}
    normal = Normal()
    for form in found.values():
        pair = [
            normal.as_float(normal.of(root), TYPES[name])
            for root, name in zip((form.new_param, form.new_momentum), triple, strict=False)
        ]
        wrong = _wrong(form, pair)
        if wrong:
            return [form], wrong
        distinct.setdefault(
            (pair[0], pair[1]), replace(form, new_param=pair[0], new_momentum=pair[1])
        )
    return list(distinct.values()), ""


def _with_own_index(roots: Sequence[Node], element: int) -> tuple[Node, Node]:
    known: dict[Node, Node] = {}
    for node in in_order(roots):
        operation = node.operation
        if operation.name == "input" and operation.index >= 0:
            beside = operation.index - element
            place = 0 if beside == 0 else _OTHERS + beside
            known[node] = made(replace(operation, index=place))
        elif node.arguments:
            known[node] = made(operation, *(known[x] for x in node.arguments))
        else:
            known[node] = node
    return known[roots[0]], known[roots[1]]


def _wrong(form: Form, pair: Sequence[Node]) -> str:
    """What no form may be: one that is not stored, or that depends on another element."""
    for root, name in zip(pair, ("θ'", "m'"), strict=True):
        where = f"element {form.element} of {form.size}"
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
