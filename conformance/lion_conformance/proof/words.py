"""Expressions as formulas in the clauses' notation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from lion_conformance.operations.expression import Node
from lion_conformance.operations.operation import FLOATS, WIDTHS, Operation
from lion_conformance.proof.facts import EXACT, Facts, Relation
from lion_conformance.proof.symbols import TYPES
from lion_ref.dtypes import STORAGE_DTYPES

LONGEST: Final = 160
"""Characters of a formula: what is longer is cut."""

_LEAVES: Final = {
    "param": "θ",
    "momentum": "m",
    "grad": "g",
    "lr": "η",
    "beta1": "β1",
    "beta2": "β2",
    "weight_decay": "λ",
    "NaN": "NaN",
}
_DTYPES: Final = {kind: name for name, kind in TYPES.items()}
_SIGNS: Final = {"lt": "<", "le": "<=", "eq": "=", "gt": ">", "ge": ">=", "ne": "≠"}
_BINDING: Final = {"compare": 0, "add": 1, "sub": 1, "neg": 1, "mul": 2}
"""How firmly the parts of an operation hold together; of all others, as one thing."""
_ATOM: Final = 3
_KINDS: Final = {
    "positive": "{} > 0",
    "negative": "{} < 0",
    "+0": "{} = +0",
    "-0": "{} = -0",
    "NaN": "{} is NaN",
}
_ROUNDED: Final = {"rz": "rounded to 0", "rm": "rounded down", "rp": "rounded up"}
_RELATIONS: Final = {"less": "<", "equal": "=", "greater": ">"}


def formula(node: Node, names: Mapping[Node, str] | None = None) -> str:
    """An expression as a formula; what has a name of its own stands by that.

    >>> from lion_conformance.operations.expression import leaf, made
    >>> from lion_conformance.operations.operation import Operation
    >>> theta, u = leaf("param", "f32", 0), leaf("momentum", "f32", 0)
    >>> formula(made(Operation("fma", "f32"), leaf("lr", "f64"), u, theta))
    'fma(η, m, θ)'
    """
    text = _formula(node, names or {})
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def where(facts: Facts, names: Mapping[Node, str] | None = None) -> str:
    """A case in words: "c > 0".

    >>> where(Facts())
    ''
    """
    known = names or {}
    parts = [_KINDS[kind].format(_formula(x, known)) for x, kind in facts.kinds.items()]
    parts += [_relation(*pair, known) for pair in facts.relations.items()]
    parts += [f"{_formula(x, known)} is {told}".lower() for x, told in facts.truths.items()]
    text = " and ".join(parts)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _relation(pair: tuple[str, Node, Node], relation: Relation, names: Mapping[Node, str]) -> str:
    kind, first, second = pair
    if relation == "unordered":
        may_be = [x for x in (first, second) if x.operation.name != "constant"]
        return f"{' or '.join(_formula(x, names) for x in may_be)} is NaN"
    say, end = (_formula, "") if kind in FLOATS else (_of_bits, " as bits")
    return f"{say(first, names)} {_RELATIONS[relation]} {say(second, names)}{end}"


def _formula(node: Node, names: Mapping[Node, str]) -> str:
    if node in names:
        return names[node]
    text = _operation(node, names)
    done = _done_to(node)
    return f"({', '.join((text, *done))})" if done else text


def _done_to(node: Node) -> list[str]:
    """What an operation does to its result that others do not."""
    operation = node.operation
    found = [_ROUNDED[operation.rounding]] if operation.rounding in _ROUNDED else []
    return found + ["cut to [0, 1]"] * (operation.saturate and operation.type in FLOATS)


def _operation(node: Node, names: Mapping[Node, str]) -> str:
    operation = node.operation
    parts = node.arguments
    match operation.name:
        case "input":
            return _LEAVES.get(operation.of, operation.of)
        case "constant":
            return _number(operation.bits, operation.type)
        case "neg":
            return f"-{_within(parts[0], names, 'neg')}"
        case "add":
            return _sum(parts, names)
        case "mul":
            return "·".join(_within(x, names, "mul") for x in sorted(parts, key=_rank))
        case "convert":
            return _conversion(node, names)
    say = _of_bits if _takes_bits(operation) else _formula
    return _other(node, [say(x, names) for x in parts])


def _takes_bits(operation: Operation) -> bool:
    if operation.name == "select":
        return False
    return (operation.source or operation.type) not in (*FLOATS, "pred")


def _of_bits(node: Node, names: Mapping[Node, str]) -> str:
    """A formula where no float is meant: a number by its bits."""
    if node.operation.name == "constant":
        return f"0x{node.operation.bits:x}"
    return _formula(node, names)


def _other(node: Node, parts: list[str]) -> str:
    """A formula of what stands as one thing, of those of its parts."""
    operation = node.operation
    match operation.name:
        case "abs":
            return f"|{parts[0]}|"
        case "compare":
            return _comparison(operation, *parts)
        case "extract":
            end = operation.low + WIDTHS[operation.type] - 1
            return f"bits {operation.low} to {end} of ({parts[0]})"
        case "select":
            return f"({parts[1]} if {parts[0]} else {parts[2]})"
    return f"{operation.name}({', '.join(parts)})"


def _comparison(operation: Operation, first: str, second: str) -> str:
    """A comparison: a letter u at its end adds "or a NaN"."""
    name, of_bits = operation.comparison, " as bits" if operation.source not in FLOATS else ""
    if name in ("nan", "num"):
        one_of = first if first == second else f"{first} or {second}"
        return f"{one_of} is {'' if name == 'nan' else 'no '}NaN"
    sign = _SIGNS[name.removesuffix("u")]
    or_nan = " or one is NaN" if name.endswith("u") else ""
    return f"{first} {sign} {second}{of_bits}{or_nan}"


def _sum(parts: tuple[Node, ...], names: Mapping[Node, str]) -> str:
    def is_negative(node: Node) -> bool:
        return node.operation.name == "neg" and node not in names

    first, second = sorted(parts, key=lambda x: (is_negative(x), _rank(x)))
    begin = (
        _within(first, names, "add") if first.operation.name == "add" else _formula(first, names)
    )
    if is_negative(second):
        return f"{begin} - {_within(second.arguments[0], names, 'add')}"
    return f"{begin} + {_within(second, names, 'add')}"


def _rank(node: Node) -> int:
    """Scalars before θ, m and g, and these in their order."""
    order = list(_LEAVES)
    while node.arguments and node.operation.name in ("convert", "neg", "sub", "add", "mul"):
        node = node.arguments[-1]
    if node.operation.name == "constant":
        return 0
    of = node.operation.of
    place = order.index(of) if of in order else len(order)
    return place if place >= 3 else place + len(order)


def _within(node: Node, names: Mapping[Node, str], name: str) -> str:
    """A formula as a part of an operation: in parentheses where it binds no more than that."""
    text = _formula(node, names)
    return text if _binds(node, names) > _BINDING[name] else f"({text})"


def _binds(node: Node, names: Mapping[Node, str]) -> int:
    if node in names or _done_to(node):
        return _ATOM
    if node.operation.name == "convert" and _is_silent(node):
        return _binds(node.arguments[0], names)
    return _BINDING.get(node.operation.name, _ATOM)


def _conversion(node: Node, names: Mapping[Node, str]) -> str:
    text = _formula(node.arguments[0], names)
    if _is_silent(node):
        return text
    return f"{_DTYPES.get(node.operation.type, node.operation.type)}({text})"


def _is_silent(node: Node) -> bool:
    """Whether a conversion goes without saying: nothing is rounded, or a scalar is."""
    operation = node.operation
    if (operation.source, operation.type) in EXACT:
        return not operation.ftz
    of_scalar = _is_scalar(node.arguments[0])
    return (operation.source, operation.type) == ("f64", "f32") and of_scalar


def _is_scalar(node: Node) -> bool:
    if node.operation.name == "input":
        return node.operation.index < 0
    return all(map(_is_scalar, node.arguments))


def _number(pattern: int, kind: str) -> str:
    """A pattern as the float of its width; of a NaN, the pattern, which may be meant as bits."""
    width = WIDTHS[kind]
    found = kind if kind in FLOATS else {32: "f32", 64: "f64"}.get(width, "")
    if not found:
        return "true" if kind == "pred" and pattern else f"0x{pattern:x}"
    value = np.array([pattern], f"u{width // 8}").view(STORAGE_DTYPES[_DTYPES[found]])[0]
    return f"0x{pattern:x}" if np.isnan(value) else str(value).removesuffix(".0")
