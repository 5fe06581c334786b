"""Normal forms of comparisons, and of what is made of true and false."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from lion_conformance.operations.expression import Node, made
from lion_conformance.operations.operation import FLOATS, WIDTHS, Operation
from lion_conformance.proof.bit_forms import as_float, sign_of
from lion_conformance.proof.facts import RELATIONS, Relation, infinity, pattern, sign_bit
from lion_conformance.proof.float_forms import never_subnormal, unflushed
from lion_conformance.proof.terms import Rules, folded, is_constant, serial

HOLDS: Final[dict[str, frozenset[Relation]]] = {
    "lt": frozenset({"less"}),
    "le": frozenset({"less", "equal"}),
    "eq": frozenset({"equal"}),
    "gt": frozenset({"greater"}),
    "ge": frozenset({"greater", "equal"}),
    "ne": frozenset({"less", "greater"}),
    "num": frozenset({"less", "equal", "greater"}),
    "ltu": frozenset({"less", "unordered"}),
    "leu": frozenset({"less", "equal", "unordered"}),
    "equ": frozenset({"equal", "unordered"}),
    "gtu": frozenset({"greater", "unordered"}),
    "geu": frozenset({"greater", "equal", "unordered"}),
    "neu": frozenset({"less", "greater", "unordered"}),
    "nan": frozenset({"unordered"}),
}
"""In which relations of its arguments each comparison holds."""

_MIRRORED: Final[dict[Relation, Relation]] = {
    "less": "greater",
    "greater": "less",
    "equal": "equal",
    "unordered": "unordered",
}
_RANKS: Final = {"negative": -1, "-0": 0, "+0": 0, "positive": 1}


def compare(rules: Rules, operation: Operation, first: Node, second: Node) -> Node:
    """The normal form of a comparison of normal forms.

    It says in which relations it holds, of arguments in one order: so `a > b` is `b < a`, and
    `not a < b` is `a >= b, or a NaN`.
    """
    kind, holds = operation.source, HOLDS[operation.comparison]
    ftz = False
    if kind in FLOATS:
        first, second = (as_float(rules, x, kind) for x in (first, second))
        if operation.ftz:
            first, second = (unflushed(x, kind) for x in (first, second))
            ftz = not all(never_subnormal(rules, x, kind) for x in (first, second))
        first, second, holds = _without_signs(kind, first, second, holds)
    else:
        tested = _tested_for_nan(first, second)
        if tested is not None and _as_test_for_nan(holds):
            comparison = "nan" if "greater" in holds else "num"
            operation = Operation("compare", "pred", source=tested[0], comparison=comparison)
            return compare(rules, operation, tested[1], tested[1])
        if rules.is_tainted(first) or rules.is_tainted(second):
            return rules.unknown("pred")
    if serial(second) < serial(first):
        first, second, holds = second, first, _mirrored(holds)
    possible = _possible(rules, kind, ftz, first, second)
    if possible <= holds or not possible & holds:
        return pattern("pred", int(possible <= holds))
    found = _holding(kind, ftz, first, second, holds & possible)
    both = (first, second)
    return folded(found.operation, both) if all(map(is_constant, both)) else found


def _holding(kind: str, ftz: bool, first: Node, second: Node, holds: AbstractSet[Relation]) -> Node:
    """The comparison that holds in these relations; whole numbers are never unordered."""
    wanted = holds if kind in FLOATS else holds - {"unordered"}
    found = next(name for name, relations in HOLDS.items() if relations == wanted)
    comparison: object = found
    return made(
        Operation("compare", "pred", source=kind, comparison=comparison, ftz=ftz),  # type: ignore[arg-type]
        first,
        second,
    )


def _mirrored(holds: AbstractSet[Relation]) -> frozenset[Relation]:
    return frozenset(_MIRRORED[x] for x in holds)


def _without_signs(
    kind: str, first: Node, second: Node, holds: frozenset[Relation]
) -> tuple[Node, Node, frozenset[Relation]]:
    """-a beside -b, or beside a number, by what a is to it."""

    def is_negated(node: Node) -> bool:
        return node.operation.name == "neg" and node.operation.type == kind

    def positive(node: Node) -> Node:
        if is_constant(node):
            return pattern(kind, node.operation.bits ^ sign_bit(kind))
        return node.arguments[0]

    pair = (first, second)
    if any(map(is_negated, pair)) and all(is_negated(x) or is_constant(x) for x in pair):
        return positive(first), positive(second), _mirrored(holds)
    return first, second, holds


def _possible(
    rules: Rules, kind: str, ftz: bool, first: Node, second: Node
) -> AbstractSet[Relation]:
    """The relations that there can be between two values."""
    known = rules.facts.relations.get((kind, first, second))
    if known is not None and not ftz:
        return {known}
    if kind not in FLOATS:
        return _possible_of_whole(rules, kind, first, second)
    kinds = [rules.kind(x, kind) for x in (first, second)]
    if "NaN" in kinds:
        return {"unordered"}
    ranks = [_RANKS.get(x or "") for x in kinds]
    if None not in ranks and not ftz:
        less, more = ranks[0] or 0, ranks[1] or 0
        if less != more:
            return {"less" if less < more else "greater"}
        if less == 0:
            return {"equal"}
    if first is second:
        return {"equal"} if kinds[0] else {"equal", "unordered"}
    return set(RELATIONS)


def _possible_of_whole(rules: Rules, kind: str, first: Node, second: Node) -> AbstractSet[Relation]:
    if first is second:
        return {"equal"}
    if kind[0] == "s":
        signs = [sign_of(rules, x) for x in (first, second)]
        if None not in signs and signs[0] != signs[1]:
            return {"less" if signs[0] else "greater"}
        zero = pattern(kind, 0)
        if (first is zero and signs[1] == 0) or (second is zero and signs[0] == 0):
            return {"equal", "less" if first is zero else "greater"}
    return {"less", "equal", "greater"}


def _tested_for_nan(first: Node, second: Node) -> tuple[str, Node] | None:
    """A float, and its type, whose magnitude stands beside infinity's bits."""
    operation = first.operation
    if operation.name != "and" or not is_constant(second):
        return None
    width = WIDTHS[operation.type]
    for kind in FLOATS:
        magnitudes = pattern(kind, sign_bit(kind) - 1)
        if WIDTHS[kind] == width and second.operation.bits == infinity(kind):
            for value, mask in (first.arguments, first.arguments[::-1]):
                if mask is magnitudes and value.operation.type in (kind, f"b{width}"):
                    return kind, value
    return None


def _as_test_for_nan(holds: AbstractSet[Relation]) -> bool:
    return holds in (HOLDS["gt"], HOLDS["le"])


def logic(operation: Operation, *arguments: Node) -> Node:
    """The normal form of and, or, xor and not on normal forms of true and false."""
    name = operation.name
    if name == "not":
        return negated(arguments[0])
    if name not in ("and", "or", "xor"):
        return made(operation, *arguments)
    first, second = sorted(arguments, key=lambda x: (not is_constant(x), serial(x)))
    if is_constant(first):
        told = bool(first.operation.bits)
        if name == "xor":
            return negated(second) if told else second
        return second if told == (name == "and") else first
    if first is second:
        return pattern("pred", 0) if name == "xor" else first
    return made(Operation(name, "pred"), first, second)


def negated(condition: Node) -> Node:
    """The normal form of its contrary."""
    operation = condition.operation
    if is_constant(condition):
        return pattern("pred", 1 - operation.bits)
    if operation.name == "not":
        return condition.arguments[0]
    if operation.name == "compare":
        contrary = frozenset(RELATIONS) - HOLDS[operation.comparison]
        first, second = condition.arguments
        return _holding(operation.source, operation.ftz, first, second, contrary)
    return made(Operation("not", "pred"), condition)
