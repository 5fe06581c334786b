"""Rewriting keeps every bit; what real numbers have and floats have not is caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pytest

from lion_conformance.operations.expression import Node, constant, leaf, made
from lion_conformance.operations.operation import Operation
from lion_conformance.proof import bit_forms, float_forms
from lion_conformance.proof.cases import unmatched
from lion_conformance.proof.facts import EXACT, one, pattern, sign_bit
from lion_conformance.proof.terms import Rules
from tests.lion_conformance.proof.expressions import keeps_bits, wrongly_rewritten

pytestmark = pytest.mark.clause("C37")

SEEDS: Final = range(250)
MANY_SEEDS: Final = range(250, 20_000)

A, B, C = (leaf(x, "f32", 0) for x in ("param", "momentum", "grad"))


def test_rewriting_keeps_the_bits_of_random_expressions() -> None:
    """In every case that is asked for, on landmarks, NaNs, subnormals and anything else."""
    assert [seed for seed in SEEDS if wrongly_rewritten(seed) is not None] == []


@pytest.mark.slow
def test_rewriting_keeps_the_bits_of_many_random_expressions() -> None:
    assert [seed for seed in MANY_SEEDS if wrongly_rewritten(seed) is not None] == []


def f32(name: str, *given: Node, **attributes: Any) -> Node:
    return made(Operation(name, "f32", **attributes), *given)


def neg(x: Node) -> Node:
    return f32("neg", x)


ONE, ZERO, MINUS_ZERO = (constant("f32", x) for x in (0x3F800000, 0, 0x80000000))


# --- what real numbers have and floats have not ------------------------------------------------

Rule = Callable[..., Node | None]


def _negated_sum(rules: Rules, operation: Operation, *given: Node) -> Node | None:
    """-a - b as -(a + b): of b = -a both are +0."""
    held = _as_sum(rules, operation, given)
    if held and all(x.operation.name == "neg" for x in held):
        total = made(Operation("add", operation.type), *(x.arguments[0] for x in held))
        return made(Operation("neg", operation.type), total)
    return None


def _plus_zero(rules: Rules, operation: Operation, *given: Node) -> Node | None:
    """x + 0 as x: -0 + 0 is +0."""
    held = _as_sum(rules, operation, given) or ()
    zero = pattern(operation.type, 0)
    return next((x for x in held if x is not zero), None) if zero in held else None


def _reassociated(rules: Rules, operation: Operation, *given: Node) -> Node | None:
    """(a + b) + c as a + (b + c)."""
    held = _as_sum(rules, operation, given)
    if held and held[0].operation == operation:
        a, b = held[0].arguments
        return made(operation, a, made(operation, b, held[1]))
    return None


def _swapped(rules: Rules, operation: Operation, a: Node, b: Node) -> Node | None:
    """a - b as -(b - a): of a = b they are +0 and -0."""
    if operation.name != "sub" or operation.rounding:
        return None
    other = made(Operation("add", operation.type), b, made(Operation("neg", operation.type), a))
    return made(Operation("neg", operation.type), other)


def _as_sum(rules: Rules, operation: Operation, given: tuple[Node, ...]) -> tuple[Node, ...]:
    if operation.rounding or operation.ftz or operation.name != "add":
        return ()
    return tuple(bit_forms.as_float(rules, x, operation.type) for x in given)


def _rounded_twice(rules: Rules, operation: Operation, a: Node, b: Node, c: Node) -> Node | None:
    """fma(a, b, c) as a·b + c."""
    product = made(replace(operation, name="mul"), a, b)
    return made(replace(operation, name="add"), product, c)


def _times_zero(rules: Rules, operation: Operation, *given: Node) -> Node | None:
    """0 · x as 0: of an infinity it is NaN, of a negative number -0."""
    zero = pattern(operation.type, 0)
    return zero if zero in given else None


def _not_flushed(rules: Rules, operation: Operation, *given: Node) -> Node | None:
    """1 · x as x where subnormals are flushed."""
    whole = pattern(operation.type, one(operation.type))
    if whole not in given or not operation.ftz:
        return None
    return next((x for x in given if x is not whole), None)


def _keeps_subnormals(rules: Rules, operation: Operation, *given: Node) -> Node | None:
    """An operation that flushes as one that does not."""
    return made(replace(operation, ftz=False), *given) if operation.ftz else None


def _by_way_of_float32(rules: Rules, operation: Operation, argument: Node) -> Node | None:
    """float64 to bfloat16 by way of float32: rounded twice."""
    if operation.source != "f64" or operation.type not in ("bf16", "f16"):
        return None
    between = made(Operation("convert", "f32", source="f64"), argument)
    return made(Operation("convert", operation.type, source="f32"), between)


def _there_and_back(rules: Rules, operation: Operation, argument: Node) -> Node | None:
    """Narrowed and widened again as nothing at all."""
    inner = argument.operation
    back = inner.name == "convert" and inner.source == operation.type
    return argument.arguments[0] if back and (inner.source, inner.type) not in EXACT else None


def _in_any_direction(rules: Rules, operation: Operation, *given: Node) -> Node | None:
    """-a · b as -(a · b) where results are rounded down."""
    if not operation.rounding or given[0].operation.name != "neg":
        return None
    product = made(operation, given[0].arguments[0], given[1])
    return made(Operation("neg", operation.type), product)


def _by_reciprocal(rules: Rules, operation: Operation, a: Node, b: Node) -> Node | None:
    """a / b as a · (1 / b)."""
    whole = pattern(operation.type, one(operation.type))
    return made(replace(operation, name="mul"), a, made(operation, whole, b))


def _plus_minus_zero(rules: Rules, operation: Operation, a: Node, b: Node, c: Node) -> Node | None:
    """a·b + 0 as a·b: of a·b = -0 it is +0."""
    if c is not pattern(operation.type, 0) or operation.rounding:
        return None
    return made(replace(operation, name="mul"), a, b)


def _sign_of_fma(rules: Rules, operation: Operation, a: Node, b: Node, c: Node) -> Node | None:
    """-a·b + c as -(a·b - c): where they cancel both are +0."""
    if a.operation.name != "neg" or operation.rounding:
        return None
    opposite = made(Operation("neg", operation.type), c)
    return made(Operation("neg", operation.type), made(operation, a.arguments[0], b, opposite))


def _sign_of_nan(rules: Rules, operation: Operation, argument: Node) -> Node | None:
    """|x| as x."""
    return argument


X, Y, Z = (leaf(f"x{i}", "f32", 0) for i in range(3))
WIDE_X = leaf("x0", "f64", 0)
NARROW_X = made(Operation("convert", "bf16", source="f32"), X)
UNSOUND: Final[tuple[tuple[str, Rule, Node], ...]] = (
    ("add", _negated_sum, f32("add", neg(X), neg(Y))),
    ("add", _plus_zero, f32("add", X, ZERO)),
    ("add", _reassociated, f32("add", f32("add", X, Y), Z)),
    ("sub", _swapped, f32("sub", X, Y)),
    ("fma", _rounded_twice, f32("fma", X, Y, Z)),
    ("mul", _times_zero, f32("mul", X, ZERO)),
    ("mul", _not_flushed, f32("mul", X, ONE, ftz=True)),
    ("mul", _keeps_subnormals, f32("mul", X, Y, ftz=True)),
    ("add", _keeps_subnormals, f32("add", X, Y, ftz=True)),
    ("convert", _by_way_of_float32, made(Operation("convert", "bf16", source="f64"), WIDE_X)),
    ("convert", _there_and_back, f32("convert", NARROW_X, source="bf16")),
    ("mul", _in_any_direction, f32("mul", neg(X), Y, rounding="rm")),
    ("div", _by_reciprocal, f32("div", X, Y)),
    ("fma", _plus_minus_zero, f32("fma", X, Y, ZERO)),
    ("fma", _sign_of_fma, f32("fma", neg(X), Y, Z)),
    ("abs", _sign_of_nan, f32("abs", X)),
)
IDS: Final = [f"{name}{unsound.__name__}" for name, unsound, _ in UNSOUND]
TRIES: Final = 400
"""Sets of numbers, on one of which an unsound rewriting shows."""


@pytest.mark.parametrize(("name", "unsound", "root"), UNSOUND, ids=IDS)
def test_an_identity_that_floats_do_not_have_is_caught(
    name: str, unsound: Rule, root: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Switched in beside the rules, each of them changes the bits of an expression."""
    kind = root.operation.type
    assert all(keeps_bits(root, kind, np.random.default_rng(seed)) for seed in range(20))
    _switch_in(monkeypatch, name, unsound)
    rngs = map(np.random.default_rng, range(TRIES))
    assert not all(keeps_bits(root, kind, rng) for rng in rngs)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "unsound", "root"), UNSOUND, ids=IDS)
def test_random_expressions_alone_would_catch_it(
    name: str, unsound: Rule, root: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    _switch_in(monkeypatch, name, unsound)
    assert any(wrongly_rewritten(seed) is not None for seed in range(6000))


def _switch_in(monkeypatch: pytest.MonkeyPatch, name: str, unsound: Rule) -> None:
    sound = float_forms._RULES[name]

    def both(rules: Rules, operation: Operation, *given: Node) -> Node:
        rewritten = unsound(rules, operation, *given)
        return sound(rules, operation, *given) if rewritten is None else rewritten

    monkeypatch.setitem(float_forms._RULES, name, both)


# --- expressions by hand -----------------------------------------------------------------------


def compare(comparison: Any, first: Node, second: Node, source: str = "f32") -> Node:
    return made(Operation("compare", "pred", source=source, comparison=comparison), first, second)


def select(condition: Node, yes: Node, no: Node) -> Node:
    return f32("select", condition, yes, no)


def sign(c: Node) -> Node:
    below = select(compare("lt", c, ZERO), neg(ONE), c)
    return select(compare("gt", c, ZERO), ONE, below)


def as_reference(c: Node) -> Node:
    """+0 of either zero, which `sign` above gives back as it is."""
    return f32("add", sign(c), ZERO)


def of_whole(c: Node) -> Node:
    """(c > 0) - (c < 0), and NaN of NaN."""
    numbers = (constant("s32", 1), constant("s32", 0))
    parts = [made(Operation("select", "s32"), compare(x, c, ZERO), *numbers) for x in ("gt", "lt")]
    difference = made(Operation("sub", "s32"), *parts)
    found = made(Operation("convert", "f32", source="s32"), difference)
    return select(compare("nan", c, c), c, found)


def of_sign_bit(c: Node) -> Node:
    """1 with c's highest bit, 0 of a zero, NaN of NaN."""
    signs = made(Operation("and", "b32"), c, constant("b32", 0x80000000))
    found = made(Operation("or", "b32"), signs, constant("b32", 0x3F800000))
    return select(compare("equ", c, ZERO), f32("add", c, ZERO), found)


WIDE = leaf("momentum", "bf16", 0)
EQUAL: Final[dict[str, tuple[Node, Node]]] = {
    "a + b, b + a": (f32("add", A, B), f32("add", B, A)),
    "a - b, a + -b": (f32("sub", A, B), f32("add", neg(B), A)),
    "-a · b, a · -b": (f32("mul", neg(A), B), f32("mul", A, neg(B))),
    "a - b·c, a + -b·c": (f32("sub", A, f32("mul", B, C)), f32("add", f32("mul", C, neg(B)), A)),
    "fma's factors": (f32("fma", A, neg(B), C), f32("fma", B, neg(A), C)),
    "1 · a + b": (f32("fma", ONE, A, B), f32("add", A, B)),
    "a·b + -0": (f32("fma", A, B, MINUS_ZERO), f32("mul", A, B)),
    "a + -0": (f32("add", A, MINUS_ZERO), A),
    "widened by a shift": (
        made(Operation("convert", "f32", source="bf16"), WIDE),
        f32(
            "add",
            made(
                Operation("shl", "b32"),
                made(Operation("convert", "u32", source="u16"), WIDE),
                constant("b32", 16),
            ),
            MINUS_ZERO,
        ),
    ),
    "sign by whole numbers": (as_reference(A), of_whole(A)),
    "sign by its bit": (as_reference(A), of_sign_bit(A)),
    "either order of comparisons": (
        as_reference(A),
        select(compare("lt", A, ZERO), neg(ONE), f32("add", sign(A), ZERO)),
    ),
    "minimum of both": (
        select(compare("lt", A, B), A, select(compare("nan", A, B), A, B)),
        select(compare("ge", A, B), B, A),
    ),
}
DIFFERENT: Final[dict[str, tuple[Node, Node]]] = {
    "a + 0": (f32("add", A, ZERO), A),
    "-(a + b), -a - b": (neg(f32("add", A, B)), f32("sub", neg(A), B)),
    "a - b, -(b - a)": (f32("sub", A, B), neg(f32("sub", B, A))),
    "a·b + c fused": (f32("fma", A, B, C), f32("add", f32("mul", A, B), C)),
    "fused the other way": (
        f32("fma", A, B, f32("mul", A, C)),
        f32("fma", A, C, f32("mul", A, B)),
    ),
    "(a + b) + c": (f32("add", f32("add", A, B), C), f32("add", A, f32("add", B, C))),
    "sign of -0": (as_reference(A), sign(A)),
    "sign of NaN": (
        as_reference(A),
        select(compare("gt", A, ZERO), ONE, select(compare("lt", A, ZERO), neg(ONE), ZERO)),
    ),
    "a negative NaN": (
        select(compare("nan", A, A), A, ONE),
        select(compare("gt", A, constant("u32", 0xFF800000), "u32"), A, ONE),
    ),
    "flushed": (f32("mul", A, B, ftz=True), f32("mul", A, B)),
    "rounded down": (f32("mul", A, B, rounding="rm"), f32("mul", A, B)),
    "1 · a, flushed": (f32("mul", A, ONE, ftz=True), A),
}


@pytest.mark.parametrize("pair", EQUAL.values(), ids=EQUAL)
def test_expressions_that_are_equal_for_every_value(pair: tuple[Node, Node]) -> None:
    assert unmatched(*pair, "f32") is None
    assert unmatched(*pair[::-1], "f32") is None


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_expressions_that_are_not(pair: tuple[Node, Node]) -> None:
    assert unmatched(*pair, "f32") is not None
    assert unmatched(*pair[::-1], "f32") is not None


def test_the_sign_of_a_zero_is_a_case_of_its_own() -> None:
    """Of c = -0 no more is wrong than that, and the case says so."""
    found = unmatched(as_reference(A), sign(A), "f32")
    assert found is not None
    assert list(found.facts.kinds.values()) == ["-0"]
    assert [x.operation.bits for x in (found.first, found.second)] == [0, sign_bit("f32")]


def test_a_cut_to_the_unit_interval_is_no_flush() -> None:
    """mul.ftz.sat by 1 before another operation that flushes: its cut was dropped with its flush.

    That b1 * min(max(m, 0), 1) is not b1 * m was seen only by numbers.
    """
    flushed, cut = (f32("mul", A, ONE, ftz=True, saturate=cuts) for cuts in (False, True))
    plain = f32("mul", A, B, ftz=True)
    assert unmatched(f32("mul", flushed, B, ftz=True), plain, "f32") is None
    assert unmatched(f32("mul", cut, B, ftz=True), plain, "f32") is not None
