"""Random expressions, and whether rewriting keeps their bits: what every rule is held to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from lion_conformance.operations.expression import Node, leaf, made
from lion_conformance.operations.operation import FLOATS, WIDTHS, Operation
from lion_conformance.proof.cases import questions
from lion_conformance.proof.evaluation import in_order, values
from lion_conformance.proof.facts import Facts, infinity, kind_of_bits, one, pattern, sign_bit
from lion_conformance.proof.normal import Normal
from tests.adversarial import landmarks
from tests.adversarial import values as adversarial_values

Array = Any
LANES: Final = 400
_NAMES: Final = {"f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64"}
_BINARY: Final = ("add", "sub", "mul", "div", "min", "max")
_COMPARISONS: Final = ("lt", "le", "eq", "gt", "ge", "ne", "ltu", "geu", "neu", "nan", "num", "equ")
LEAVES: Final = tuple(leaf(f"x{i}", kind, 0) for kind in _NAMES for i in range(3))


@dataclass
class Drawn:
    """Draws expressions; few leaves and numbers, so that arguments are often one."""

    rng: np.random.Generator

    def one_of(self, options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def floating(self, kind: str, depth: int) -> Node:
        if depth == 0 or self.rng.random() < 0.1:
            return self._end(kind)
        drawn: Node = self.one_of(
            [self._binary] * 5
            + [self._fma] * 2
            + [self._unary] * 3
            + [self._converted] * 2
            + [self._selected] * 2
            + [self._of_bits] * 2
        )(kind, depth - 1)
        return drawn

    def _end(self, kind: str) -> Node:
        if self.rng.random() < 0.65:
            found: Node = self.one_of([x for x in LEAVES if x.type == kind])
            return found
        numbers = (0, sign_bit(kind), one(kind), one(kind) | sign_bit(kind), one(kind) // 2, 3)
        return pattern(kind, self.one_of(numbers))

    def _flags(self, kind: str) -> dict[str, Any]:
        flags: dict[str, Any] = {}
        if kind == "f32" and self.rng.random() < 0.3:
            flags["ftz"] = True
        if self.rng.random() < 0.1:
            flags["rounding"] = self.one_of(("rz", "rm", "rp", "rn"))
        if kind == "f32" and self.rng.random() < 0.03:
            flags["saturate"] = True
        return flags

    def _binary(self, kind: str, depth: int) -> Node:
        name = self.one_of(_BINARY[:4] * 3 + _BINARY)
        flags = {} if name in ("min", "max") else self._flags(kind)
        return made(
            Operation(name, kind, **flags), self.floating(kind, depth), self.floating(kind, depth)
        )

    def _fma(self, kind: str, depth: int) -> Node:
        arguments = [self.floating(kind, depth) for _ in range(3)]
        return made(Operation("fma", kind, **self._flags(kind)), *arguments)

    def _unary(self, kind: str, depth: int) -> Node:
        ftz = kind == "f32" and self.rng.random() < 0.3
        name = self.one_of(("neg", "neg", "abs"))
        return made(Operation(name, kind, ftz=ftz), self.floating(kind, depth))

    def _converted(self, kind: str, depth: int) -> Node:
        source = self.one_of([x for x in FLOATS if x != kind])
        ftz = "f32" in (kind, source) and self.rng.random() < 0.3
        return made(
            Operation("convert", kind, source=source, ftz=ftz), self.floating(source, depth)
        )

    def _selected(self, kind: str, depth: int) -> Node:
        return made(
            Operation("select", self.one_of((kind, f"b{WIDTHS[kind]}"))),
            self.truth(depth),
            self.floating(kind, depth),
            self.floating(kind, depth),
        )

    def truth(self, depth: int) -> Node:
        if depth > 1 and self.rng.random() < 0.2:
            name = self.one_of(("and", "or", "xor", "not"))
            count = 1 if name == "not" else 2
            return made(Operation(name, "pred"), *(self.truth(depth - 1) for _ in range(count)))
        kind = self.one_of(FLOATS)
        first = self.floating(kind, min(depth, 1))
        zero = pattern(kind, self.one_of((0, sign_bit(kind))))
        second = self.one_of((zero, first, self.floating(kind, min(depth, 1))))
        if self.rng.random() < 0.2:
            whole = self.one_of("su") + str(WIDTHS[kind])
            comparison = self.one_of(_COMPARISONS[:6])
            return made(
                Operation("compare", "pred", source=whole, comparison=comparison), first, second
            )
        ftz = kind == "f32" and self.rng.random() < 0.2
        comparison = self.one_of(_COMPARISONS)
        return made(
            Operation("compare", "pred", source=kind, comparison=comparison, ftz=ftz), first, second
        )

    def _of_bits(self, kind: str, depth: int) -> Node:
        width = WIDTHS[kind]
        sign, whole = sign_bit(kind), f"b{width}"
        value = self.floating(kind, depth)
        which = int(self.rng.integers(7))
        if which == 0 and kind == "f32":
            half = self.floating("bf16", depth)
            if self.rng.random() < 0.5:
                return made(Operation("concat", "b32", source="b16"), pattern("b16", 0), half)
            wide = made(Operation("convert", "u32", source="u16"), half)
            return made(Operation("shl", "b32"), wide, pattern("b32", 16))
        if which == 1:
            return made(Operation("xor", whole), value, pattern(whole, sign))
        if which == 2:
            return made(Operation("and", whole), value, pattern(whole, sign - 1))
        if which == 3:
            of_sign = made(Operation("and", whole), value, pattern(whole, sign))
            return made(Operation("or", whole), of_sign, pattern(whole, one(kind)))
        if which == 4:
            return made(Operation("or", whole), value, pattern(whole, sign))
        if which == 5 and kind == "f32":
            return self._sign_of_whole(depth)
        low = made(Operation("extract", "b8", source=whole), value)
        rest = made(Operation("shr", f"u{width}"), value, pattern(whole, 8))
        top = made(Operation("shl", whole), rest, pattern(whole, 8))
        padded = made(Operation("convert", f"u{width}", source="u8"), low)
        return made(Operation(self.one_of(("or", "xor")), whole), top, padded)

    def _sign_of_whole(self, depth: int) -> Node:
        """(x > 0) - (x < 0), by way of whole numbers."""
        value, zero = self.floating("f32", depth), pattern("f32", 0)
        parts = []
        for comparison in ("gt", "lt"):
            test = Operation("compare", "pred", source="f32", comparison=comparison)
            holds = made(test, value, zero)
            parts.append(
                made(Operation("select", "s32"), holds, pattern("s32", 1), pattern("s32", 0))
            )
        difference = made(Operation("sub", "s32"), *parts)
        return made(Operation("convert", "f32", source="s32"), difference)


def lanes(rng: np.random.Generator) -> dict[Node, Array]:
    """Numbers for every leaf, many of them landmarks and one another's opposites."""
    given = {}
    for kind, name in _NAMES.items():
        unsigned = f"u{WIDTHS[kind] // 8}"
        own = [x for x in LEAVES if x.type == kind]
        drawn = [adversarial_values(rng, name, LANES).view(unsigned) for _ in own]
        marks = landmarks(name).view(unsigned)
        for i, node in enumerate(own):
            chosen = rng.random(LANES)
            column = np.where(chosen < 0.3, rng.choice(marks, LANES), drawn[i])
            beside = drawn[i - 1] ^ (
                np.array(sign_bit(kind), unsigned) * rng.integers(0, 2, LANES).astype(unsigned)
            )
            given[node] = np.where(chosen > 0.8, beside, column).astype(unsigned)
        given[leaf("NaN", kind)] = np.full(
            LANES, infinity(kind) + (infinity(kind) & -infinity(kind)) // 2, unsigned
        )
    return given


def wrongly_rewritten(seed: int) -> Node | None:
    """A random expression whose normal form has other bits; None if it has not."""
    rng = np.random.default_rng(seed)
    kind = Drawn(rng).one_of(("f32", "f32", "f32", "bf16", "f64", "f16"))
    root = Drawn(rng).floating(kind, int(rng.integers(1, 5)))
    return None if keeps_bits(root, kind, rng) else root


def keeps_bits(root: Node, kind: str, rng: np.random.Generator) -> bool:
    """Whether the normal form has, in all cases and on all of these numbers, the same bits."""
    given = lanes(rng)
    nodes = list(in_order([root]))
    found = dict(zip(nodes, values(nodes, given), strict=True))
    judged = np.ones(LANES, bool) & ~_bits_of_nans(nodes, found)
    for facts in _all_cases(root, kind, 12):
        normal = Normal(facts)
        rewritten = normal.as_float(normal.of(root), kind)
        within = list(in_order([rewritten]))
        if any(x.operation.of == "anything" for x in within) or normal.is_tainted(rewritten):
            continue
        (result,) = values([rewritten], given)
        same = _same(
            kind, *np.broadcast_arrays(result, found[root], np.zeros(LANES, result.dtype))[:2]
        )
        here = (
            judged
            & _holds(facts, given)
            & ~_bits_of_nans(within, dict(zip(within, values(within, given), strict=True)))
        )
        if (~same & here).any():
            return False
    return True


def _all_cases(root: Node, kind: str, most: int) -> Iterator[Facts]:
    """No case, then cases of what decides something, and cases within those."""
    waiting = [Facts()]
    for _ in range(most):
        if not waiting:
            return
        facts = waiting.pop(0)
        yield facts
        normal = Normal(facts)
        waiting.extend(next(questions(normal, [normal.of(root)]), []))


def _holds(facts: Facts, given: dict[Node, Array]) -> Array:
    """The lanes in which the facts are true."""
    found = np.ones(LANES, bool)
    for node, lies in facts.kinds.items():
        kind = node.type if node.type in FLOATS else {32: "f32", 64: "f64"}[WIDTHS[node.type]]
        (column,) = values([node], given)
        column = np.broadcast_to(column, LANES)
        found &= np.array([kind_of_bits(int(x), kind) == lies for x in column])
    for (kind, first, second), relation in facts.relations.items():
        comparison: Any = {"less": "lt", "equal": "eq", "greater": "gt", "unordered": "nan"}[
            relation
        ]
        test = made(Operation("compare", "pred", source=kind, comparison=comparison), first, second)
        found &= values([test], given)[0].astype(bool)
    for node, told in facts.truths.items():
        found &= values([node], given)[0].astype(bool) == told
    return found


def _bits_of_nans(nodes: list[Node], found: dict[Node, Array]) -> Array:
    """The lanes in which bits are taken of a NaN that an operation made: they may be any."""
    hit = np.zeros(LANES, bool)
    any_nan: dict[Node, Array] = {}
    for node in nodes:
        operation = node.operation
        passes_on = operation.name in ("select", "concat", "extract")
        above = [any_nan[x] for x in node.arguments if x.type != "pred"]
        if passes_on:
            any_nan[node] = np.logical_or.reduce(above)
        else:
            if (operation.source or operation.type) not in FLOATS:
                hit |= np.logical_or.reduce([hit, *above])
            any_nan[node] = np.zeros(LANES, bool)
            made_here = operation.name != "constant" and not (
                operation.name == "input" and operation.of != "NaN"
            )
            if node.type in FLOATS and made_here:
                any_nan[node] = _is_nan(node.type, np.broadcast_to(found[node], LANES))
    return hit


def _is_nan(kind: str, column: Array) -> Array:
    magnitude = column & column.dtype.type(sign_bit(kind) - 1)
    return magnitude > column.dtype.type(infinity(kind))


def _same(kind: str, first: Array, second: Array) -> Array:
    return (first == second) | (_is_nan(kind, first) & _is_nan(kind, second))
