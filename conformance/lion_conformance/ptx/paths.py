"""Path conditions: under which outcomes of comparisons on symbols a lane comes to where it is.

A condition is a set of ways, a way a set of outcomes; it holds where all outcomes of any way do.
The one with an empty way holds always.
"""

from __future__ import annotations

from typing import Final

from lion_conformance.operations.expression import Node, constant, made
from lion_conformance.operations.operation import WIDTHS, Operation

Outcome = tuple[Node, bool]
"""A comparison, and what comes of it."""

Condition = frozenset[frozenset[Outcome]]

ALWAYS: Final[Condition] = frozenset({frozenset()})

Value = Node | int | bool


def both(condition: Condition, outcome: Outcome) -> Condition:
    """The condition, and this outcome besides."""
    node, value = outcome
    ways = {way | {outcome} for way in condition if (node, not value) not in way}
    return _simple(ways)


def either(one: Condition, other: Condition) -> Condition:
    """One condition or the other."""
    return _simple({*one, *other})


def _simple(ways: set[frozenset[Outcome]]) -> Condition:
    """Two ways that part in one outcome are a way without it."""
    changed = True
    while changed:
        changed = False
        for one in ways:
            for other in ways:
                apart = one ^ other
                if len(apart) == 2 and len({node for node, _ in apart}) == 1:
                    ways = (ways - {one, other}) | {one & other}
                    changed = True
                elif one < other:
                    ways = ways - {other}
                    changed = True
                if changed:
                    break
            if changed:
                break
    return frozenset(ways)


def chosen(condition: Condition, new: Value, old: Value, bits: int) -> Value:
    """`new` where the condition holds, `old` elsewhere."""
    if condition == ALWAYS or new is old or (type(new) is type(old) and new == old):
        return new
    for way in sorted(condition, key=len):
        old = _by_way(sorted(way, key=lambda outcome: id(outcome[0])), new, old, bits)
    return old


def _by_way(way: list[Outcome], new: Value, old: Value, bits: int) -> Value:
    if not way:
        return new
    (node, value), *rest = way
    inner = _by_way(rest, _where(new, node, value), _where(old, node, value), bits)
    outer = _where(old, node, not value)
    return _select(node, inner, outer, bits) if value else _select(node, outer, inner, bits)


def _where(value: Value, node: Node, outcome: bool) -> Value:
    """A value where this comparison has this outcome."""
    if not isinstance(value, Node) or value.operation.name != "select":
        return value
    condition, yes, no = value.arguments
    if condition is node:
        return _where(yes if outcome else no, node, outcome)
    new_yes, new_no = _where(yes, node, outcome), _where(no, node, outcome)
    if new_yes is yes and new_no is no:
        return value
    return _select(condition, new_yes, new_no, WIDTHS[value.type])


def _select(node: Node, yes: Value, no: Value, bits: int) -> Value:
    if yes is no or (type(yes) is type(no) and yes == no):
        return yes
    kind = next(
        (v.type for v in (yes, no) if isinstance(v, Node)), "pred" if bits == 1 else f"b{bits}"
    )
    return made(Operation("select", kind), node, as_node(yes, kind), as_node(no, kind))


def as_node(value: Value, kind: str) -> Node:
    """A value as an expression."""
    return value if isinstance(value, Node) else constant(kind, int(value))
