"""Comparisons, choices and pieces; shapes; and the floats' rule for NaN in each comparison."""

from __future__ import annotations

import operator

import numpy as np
import pytest

from lion_conformance.operations.evaluate import evaluate, evaluator
from lion_conformance.operations.operation import FLOATS, Comparison, Operation
from lion_conformance.operations.patterns import BITS, NUMBERS
from tests.lion_conformance.operations.numbers import of

ORDERED = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
VALUES = (-np.inf, -1.0, -0.0, 0.0, 1.0, 2.0, np.inf, np.nan)


def compared(comparison: Comparison, source: str, *, ftz: bool = False) -> Operation:
    return Operation("compare", "pred", source, comparison=comparison, ftz=ftz)


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("name", ORDERED)
def test_floats_are_compared_with_nan_apart(name: Comparison, kind: str) -> None:
    first, second = (a.ravel() for a in np.meshgrid(VALUES, VALUES))
    bits = [a.astype(NUMBERS[kind]).view(BITS[kind]) for a in (first, second)]
    unordered = np.isnan(first) | np.isnan(second)
    plain = ORDERED[name](first, second)
    assert np.array_equal(evaluate(compared(name, kind), *bits), plain & ~unordered)
    with_nan: Comparison = f"{name}u"  # type: ignore[assignment]
    assert np.array_equal(evaluate(compared(with_nan, kind), *bits), plain | unordered)
    assert np.array_equal(evaluate(compared("num", kind), *bits), ~unordered)
    assert np.array_equal(evaluate(compared("nan", kind), *bits), unordered)


@pytest.mark.parametrize("kind", ["u8", "s16", "u32", "s32", "u64", "s64"])
@pytest.mark.parametrize("name", ORDERED)
def test_whole_numbers_are_compared(name: Comparison, kind: str) -> None:
    bits = np.array([0, 1, 2, -1, -2], np.int64).astype(BITS[kind])
    first, second = (a.ravel() for a in np.meshgrid(bits, bits))
    due = ORDERED[name](first.view(NUMBERS[kind]), second.view(NUMBERS[kind]))
    assert np.array_equal(evaluate(compared(name, kind), first, second), due)


def test_a_flushed_comparison_sees_zeros() -> None:
    tiny, zero = of("b32", 1), of("b32", 0)
    assert evaluate(compared("gt", "f32"), tiny, zero).tolist() == [True]
    assert evaluate(compared("gt", "f32", ftz=True), tiny, zero).tolist() == [False]
    assert evaluate(compared("eq", "f32", ftz=True), tiny, zero).tolist() == [True]


def test_a_choice() -> None:
    p, a, b = np.array([True, False]), of("b32", 1, 2), of("b32", 3, 4)
    assert evaluate(Operation("select", "f32"), p, a, b).tolist() == [1, 4]


def test_pieces() -> None:
    low, high = of("b16", 0x1234), of("b16", 0xABCD)
    whole = evaluate(Operation("concat", "b32", "b16"), low, high)
    assert whole.dtype == np.uint32
    assert whole.tolist() == [0xABCD1234]
    halves = [evaluate(Operation("extract", "f16", "b32", low=n), whole) for n in (0, 16)]
    assert [half.tolist() for half in halves] == [[0x1234], [0xABCD]]
    bytes_of = [evaluate(Operation("extract", "b8", "b32", low=n), whole) for n in (0, 8, 16, 24)]
    assert [hex(b[0]) for b in bytes_of] == ["0x34", "0x12", "0xcd", "0xab"]
    four = evaluate(Operation("concat", "b32", "b8"), *bytes_of)
    assert four.tolist() == whole.tolist()


def test_one_number_meets_many() -> None:
    one, many = of("b32", 0x3F800000)[0], of("b32", 0x3F800000, 0x40000000, 0x40400000)
    for arguments in ((one, many), (many, one), (many[:1], many)):
        total = evaluate(Operation("add", "f32"), *arguments)
        assert total.view(np.float32).tolist() == [2, 3, 4]
    scalar = evaluate(Operation("fma", "f32"), one, one, one)
    assert scalar.shape == ()
    assert scalar.view(np.float32) == 2


def test_an_evaluator_is_made_once() -> None:
    operation = Operation("add", "f32")
    assert evaluator(operation) is evaluator(Operation("add", "f32"))
