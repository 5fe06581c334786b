"""What is taken for true of expressions in one case of a proof, and what follows from it alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from lion_conformance.operations.expression import Node, constant
from lion_conformance.operations.operation import FLOATS, WIDTHS

Kind = Literal["positive", "negative", "+0", "-0", "NaN"]
"""Where a float lies; infinities are positive or negative numbers."""
Relation = Literal["less", "equal", "greater", "unordered"]

KINDS: Final[tuple[Kind, ...]] = ("positive", "negative", "+0", "-0", "NaN")
RELATIONS: Final[tuple[Relation, ...]] = ("less", "equal", "greater", "unordered")

_FLIPPED: Final[dict[Kind, Kind]] = {
    "positive": "negative",
    "negative": "positive",
    "+0": "-0",
    "-0": "+0",
    "NaN": "NaN",
}
_FRACTIONS: Final = {"f16": 10, "bf16": 7, "f32": 23, "f64": 52}
EXACT: Final = {
    ("f16", "f32"),
    ("bf16", "f32"),
    ("f16", "f64"),
    ("bf16", "f64"),
    ("f32", "f64"),
}
"""Conversions (from, to) of floats that change no value."""


@dataclass(frozen=True)
class Facts:
    """The case: kinds of floats, relations of pairs (by the type they are compared in), truths."""

    kinds: Mapping[Node, Kind] = field(default_factory=dict)
    relations: Mapping[tuple[str, Node, Node], Relation] = field(default_factory=dict)
    truths: Mapping[Node, bool] = field(default_factory=dict)

    def kind(self, node: Node) -> Kind | None:
        """Where the value lies, if that is known."""
        if node in self.kinds:
            return self.kinds[node]
        operation = node.operation
        if operation.name == "input" and operation.of == "NaN":
            return "NaN"
        if operation.name == "neg" and operation.type in FLOATS:
            inner = self.kind(node.arguments[0])
            return _FLIPPED[inner] if inner else None
        if operation.name == "convert" and (operation.source, operation.type) in EXACT:
            return None if operation.ftz else self.kind(node.arguments[0])
        return None


def kind_of_bits(pattern: int, kind: str) -> Kind:
    """Where the number of these bits lies."""
    sign = 1 << (WIDTHS[kind] - 1)
    magnitude = pattern & (sign - 1)
    if magnitude > infinity(kind):
        return "NaN"
    if magnitude == 0:
        return "-0" if pattern else "+0"
    return "negative" if pattern & sign else "positive"


def infinity(kind: str) -> int:
    """The bits of +inf."""
    fraction = _FRACTIONS[kind]
    return ((1 << (WIDTHS[kind] - 1 - fraction)) - 1) << fraction


def is_subnormal(pattern: int, kind: str) -> bool:
    """Whether the number of these bits is subnormal."""
    magnitude = pattern & ((1 << (WIDTHS[kind] - 1)) - 1)
    return 0 < magnitude < 1 << _FRACTIONS[kind]


def one(kind: str) -> int:
    """The bits of 1."""
    fraction = _FRACTIONS[kind]
    return ((1 << (WIDTHS[kind] - 2 - fraction)) - 1) << fraction


def sign_bit(kind: str) -> int:
    """The bits of -0: the sign alone."""
    return 1 << (WIDTHS[kind] - 1)


def bits_type(kind: str) -> str:
    """The type in which only the bits count, of the same width."""
    return kind if kind == "pred" else f"b{WIDTHS[kind]}"


def pattern(kind: str, bits: int) -> Node:
    """A constant by its bits, whatever they stand for."""
    return constant(bits_type(kind), bits)
