"""Whole numbers and bits at the edges of every width, against Python's integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lion_conformance.operations.evaluate import evaluate
from lion_conformance.operations.operation import WIDTHS, Operation
from lion_conformance.operations.patterns import BITS, Array
from tests.lion_conformance.operations.numbers import of

KINDS = tuple(f"{kind}{width}" for kind in "us" for width in (8, 16, 32, 64))


def edges(kind: str) -> list[int]:
    """Patterns: around zero, the signs' border and the end; and two of no pattern."""
    width = WIDTHS[kind]
    top = 1 << (width - 1)
    spread = 0x5A5AA5A53CC30FF1 % (1 << width)
    return [0, 1, 2, 3, 7, top - 1, top, top + 1, 2 * top - 2, 2 * top - 1, spread, spread // 3]


def value(bits: int, kind: str) -> int:
    """The number of a pattern."""
    return bits - (1 << WIDTHS[kind]) if kind[0] == "s" and bits >> (WIDTHS[kind] - 1) else bits


def _div(a: int, b: int) -> int:
    return -1 if b == 0 else (abs(a) // abs(b)) * (1 if (a < 0) == (b < 0) else -1)


def _rem(a: int, b: int) -> int:
    return a if b == 0 else a - b * _div(a, b)


OF_TWO: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": _div,
    "rem": _rem,
    "min": min,
    "max": max,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
}


def of_pairs(kind: str) -> tuple[Array, Array]:
    first, second = np.meshgrid(
        np.array(edges(kind), BITS[kind]), np.array(edges(kind), BITS[kind])
    )
    return first.ravel(), second.ravel()


def check_two(operation: Operation, compute: Callable[[int, int], int]) -> None:
    kind = operation.type
    first, second = of_pairs(kind)
    results = evaluate(operation, first, second)
    assert results.dtype == BITS[kind]
    for a, b, got in zip(first.tolist(), second.tolist(), results.tolist(), strict=True):
        due = compute(value(a, kind), value(b, kind)) % (1 << WIDTHS[kind])
        assert got == due, (operation, hex(a), hex(b))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OF_TWO)
def test_operations_of_two(name: str, kind: str) -> None:
    check_two(Operation(name, kind), OF_TWO[name])


@pytest.mark.parametrize("kind", KINDS)
def test_the_upper_half_of_a_product(kind: str) -> None:
    check_two(Operation("mulhi", kind), lambda a, b: (a * b) >> WIDTHS[kind])


def test_a_signed_division_is_no_unsigned_one() -> None:
    """The same check tells them apart: so it tells what is wrong."""
    with pytest.raises(AssertionError):
        check_two(Operation("div", "s32"), lambda a, b: _div(a % 2**32, b % 2**32))


@pytest.mark.parametrize("kind", ["u8", "s8", "u16", "s16", "u32", "s32"])
@pytest.mark.parametrize("name", ["add", "sub"])
def test_sums_cut_to_the_range(name: str, kind: str) -> None:
    low = -(1 << (WIDTHS[kind] - 1)) if kind[0] == "s" else 0
    high = low + (1 << WIDTHS[kind]) - 1
    check_two(
        Operation(name, kind, saturate=True),
        lambda a, b: min(max(OF_TWO[name](a, b), low), high),
    )


def test_what_is_not_there_is_said() -> None:
    none = of("b64", 0)
    for operation in (
        Operation("add", "s64", saturate=True),
        Operation("mul", "s32", saturate=True),
        Operation("rotate", "u32"),
        Operation("add", "pred"),
        Operation("popc", "f32"),
        Operation("input", "f32"),
    ):
        with pytest.raises(NotImplementedError, match=operation.name):
            evaluate(operation, none, none)


@pytest.mark.parametrize("kind", [*KINDS, "b8", "b16", "b32", "b64"])
def test_shifts(kind: str) -> None:
    width = WIDTHS[kind]
    counts = [0, 1, width - 1, width, width + 1, 255, 0x80000000, 0xFFFFFFFF]
    for bits in edges(kind):
        given = np.full(len(counts), bits, BITS[kind])
        left = evaluate(Operation("shl", kind), given, np.array(counts, np.uint32)).tolist()
        right = evaluate(Operation("shr", kind), given, np.array(counts, np.uint32)).tolist()
        for count, up, down in zip(counts, left, right, strict=True):
            places = min(count, 2 * width)
            assert up == (bits << places) % (1 << width)
            assert down == (value(bits, kind) >> places) % (1 << width)


@pytest.mark.parametrize("kind", [*KINDS, "b8", "b16", "b32", "b64"])
def test_operations_of_one(kind: str) -> None:
    width = WIDTHS[kind]
    given = np.array(edges(kind), BITS[kind])

    def results(name: str) -> list[Any]:
        found = evaluate(Operation(name, kind), given)
        assert found.dtype == BITS[kind]
        return list(found.tolist())

    assert results("not") == [b ^ ((1 << width) - 1) for b in edges(kind)]
    assert results("neg") == [-b % (1 << width) for b in edges(kind)]
    assert results("abs") == [abs(value(b, kind)) for b in edges(kind)]
    assert results("popc") == [b.bit_count() for b in edges(kind)]
    assert results("clz") == [width - b.bit_length() for b in edges(kind)]


def test_truth() -> None:
    p, q = np.array([False, False, True, True]), np.array([False, True, False, True])
    assert evaluate(Operation("and", "pred"), p, q).tolist() == [False, False, False, True]
    assert evaluate(Operation("or", "pred"), p, q).tolist() == [False, True, True, True]
    assert evaluate(Operation("xor", "pred"), p, q).tolist() == [False, True, True, False]
    assert evaluate(Operation("not", "pred"), p).tolist() == [True, True, False, False]
