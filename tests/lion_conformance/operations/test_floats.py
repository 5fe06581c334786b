"""Every float operation in every format, direction, flush and cut, against rationals."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import ml_dtypes
import numpy as np
import pytest

from lion_conformance.operations.evaluate import evaluate
from lion_conformance.operations.operation import FLOATS, Operation, Rounding
from lion_conformance.operations.patterns import BITS, NUMBERS, Array, format_of
from tests.lion_conformance.operations.exactly import differences, number
from tests.lion_conformance.operations.numbers import all_landmarks, arguments, of, patterns

ROUNDED = ("add", "sub", "mul", "div", "sqrt", "fma")
SIZE = 150
_F32, _U32 = np.dtype(np.float32), np.dtype(np.uint32)


def variants(name: str, kind: str) -> list[Operation]:
    """The operation in every direction, flushing or not, cut or not."""
    flushes = (False,) if kind == "f64" else (False, True)
    return [
        Operation(name, kind, rounding=rounding, ftz=ftz, saturate=saturate)
        for rounding, ftz, saturate in product(("", "rz", "rm", "rp"), flushes, (False, True))
    ]


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("name", ROUNDED)
def test_what_is_rounded_is_rounded_once(name: str, kind: str) -> None:
    rng = np.random.default_rng([len(name), len(kind), 5])
    for operation in variants(name, kind):
        given = arguments(rng, operation, SIZE)
        found = differences(evaluate(operation, *given), operation, *given)
        assert not found, found[:3]


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("name", ["add", "mul", "div"])
def test_the_edges_of_every_format_meet(name: str, kind: str) -> None:
    edges = all_landmarks(kind)[::3]
    first, second = (a.ravel() for a in np.meshgrid(edges, edges))
    for rounding in ("", "rm"):
        operation = Operation(name, kind, rounding=rounding)
        found = differences(evaluate(operation, first, second), operation, first, second)
        assert not found, found[:3]


@pytest.mark.parametrize(
    ("kind", "lane"),
    [
        ("f32", (0x337FFFFE, 0x3F800001, 0x3F800001)),  # 2**-70 below a tie
        ("f32", (0x19FFFFFE, 0x1A000001, 0x00400001)),  # 2**-196 below one of the subnormals
        ("bf16", (0x4040, 0x42AE, 0x2180)),  # 3·87 is a tie, and 2**-60 is added
    ],
)
def test_a_fused_sum_that_binary64_takes_for_a_tie(kind: str, lane: tuple[int, ...]) -> None:
    """Alone: with others, some lane may have all of them computed with more care."""
    operation = Operation("fma", kind)
    given = [of(kind, bits) for bits in lane]
    assert not differences(evaluate(operation, *given), operation, *given)


@pytest.mark.parametrize("rounding", ["", "rz", "rm", "rp"])
def test_what_is_tiny_is_so_after_rounding(rounding: Rounding) -> None:
    # Products at and around the largest number below the normal ones.
    factors = of("b32", *(0x3F800000 + offset for offset in range(-3, 3)))
    normal = of("b32", 0x00800000, 0x80800000, 0x00800001, 0x80800001)
    given = [a.ravel() for a in np.meshgrid(factors, normal)]
    operation = Operation("mul", "f32", rounding=rounding, ftz=True)
    assert not differences(evaluate(operation, *given), operation, *given)


def rounded_twice(a: Array, b: Array, c: Array) -> Array:
    """A fused operation by way of binary64, as C without an fma instruction has it."""
    wide = a.view(_F32).astype(np.float64) * b.view(_F32) + c.view(_F32)
    narrow: Array = wide.astype(np.float32)
    return narrow.view(_U32)


def by_way_of_binary32(a: Array, b: Array) -> Array:
    """A bfloat16 product, flushed nowhere, from binary32 that was flushed."""
    bfloat16 = np.dtype(ml_dtypes.bfloat16)
    product = a.view(bfloat16).astype(np.float32) * b.view(bfloat16).astype(np.float32)
    flushed = np.where(np.abs(product) < 2.0**-126, product * 0, product)
    narrow: Array = flushed.astype(bfloat16)
    return narrow.view(np.uint16)


def unfused(a: Array, b: Array, c: Array) -> Array:
    """A product and a sum."""
    return (a.view(_F32) * b.view(_F32) + c.view(_F32)).view(_U32)


def to_nearest(a: Array, b: Array) -> Array:
    """A product, whatever direction was asked for."""
    return (a.view(_F32) * b.view(_F32)).view(_U32)


def flushed_before_rounding(a: Array, b: Array) -> Array:
    """Tiny before it is rounded, as Arm's processors see it."""
    wide = a.view(_F32).astype(np.float64) * b.view(_F32)
    wide = np.where((np.abs(wide) < 2.0**-126) & (wide != 0), wide * 0, wide)
    exponents = [x.view(_U32) & _U32.type(0x7F800000) for x in (a, b)]
    zero = (exponents[0] == 0) | (exponents[1] == 0)
    result: Array = np.where(zero & np.isfinite(wide), wide * 0, wide).astype(np.float32)
    return result.view(_U32)


def with_a_negative_zero(a: Array, b: Array) -> Array:
    """Cut to [0, 1] as min and max do it: -0 is not below 0."""
    values = a.view(_F32) * b.view(_F32)
    cut = np.where(np.isnan(values), 0, np.clip(values, 0, 1)).astype(np.float32)
    return np.where(values == 0, values, cut).view(_U32)


WRONG: list[tuple[Operation, Callable[..., Array]]] = [
    (Operation("fma", "f32"), rounded_twice),
    (Operation("fma", "f32"), unfused),
    (Operation("mul", "bf16"), by_way_of_binary32),
    (Operation("mul", "f32", rounding="rz"), to_nearest),
    (Operation("mul", "f32", rounding="rm"), to_nearest),
    (Operation("mul", "f32", rounding="rp"), to_nearest),
    (Operation("mul", "f32", ftz=True), to_nearest),
    (Operation("mul", "f32", ftz=True), flushed_before_rounding),
    (Operation("mul", "f32", saturate=True), to_nearest),
    (Operation("mul", "f32", saturate=True), with_a_negative_zero),
]


@pytest.mark.parametrize(("operation", "wrong"), WRONG)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_wrong_arithmetic_is_told(operation: Operation, wrong: Callable[..., Array]) -> None:
    rng = np.random.default_rng(3)
    given = arguments(rng, operation, 2000)
    if wrong is rounded_twice:
        # Just below a tie, by less than binary64 sees.
        given = [np.append(a, _U32.type(b)) for a, b in zip(given, _BELOW_A_TIE, strict=True)]
    if wrong is flushed_before_rounding:
        given = [np.append(a, _U32.type(b)) for a, b in zip(given, _NEARLY_NORMAL, strict=True)]
    assert not differences(evaluate(operation, *given), operation, *given)
    assert differences(wrong(*given), operation, *given)


_BELOW_A_TIE = (0x337FFFFE, 0x3F800001, 0x3F800001)
_NEARLY_NORMAL = (0x00800001, 0x3F7FFFFE)


@pytest.mark.parametrize("kind", ["f16", "bf16"])
def test_the_sign_alone_changes(kind: str) -> None:
    every = np.arange(1 << 16, dtype=np.uint16)
    assert np.array_equal(evaluate(Operation("neg", kind), every), every ^ np.uint16(0x8000))
    assert np.array_equal(evaluate(Operation("abs", kind), every), every & np.uint16(0x7FFF))


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("name", ["min", "max"])
def test_the_smaller_and_the_larger(name: str, kind: str) -> None:
    rng = np.random.default_rng(11)
    edges = np.concatenate([all_landmarks(kind)[::4], patterns(rng, kind, 10)])
    first, second = (a.ravel() for a in np.meshgrid(edges, edges))
    for nan, ftz in product((False, True), (False, True)):
        results = evaluate(Operation(name, kind, nan=nan, ftz=ftz), first, second)
        tiny = 2.0 ** format_of(kind).min_exponent if ftz else 0.0
        for a, b, got in zip(
            flushed(first, tiny, kind), flushed(second, tiny, kind), results.tolist(), strict=True
        ):
            x, y = number(a, kind), number(b, kind)
            if math.isnan(x) or math.isnan(y):
                other = b if math.isnan(x) else a
                expected = None if nan or (math.isnan(x) and math.isnan(y)) else other
            else:
                # Of ±0 the sign decides.
                low, high = sorted((a, b), key=lambda p: (number(p, kind), -p))
                expected = low if name == "min" else high
            assert (None if math.isnan(number(got, kind)) else got) == expected, (x, y)


def flushed(bits: Array, tiny: float, kind: str) -> list[int]:
    """With zeros of their sign for what is below `tiny`."""
    sign = 1 << (8 * BITS[kind].itemsize - 1)
    return [b & sign if abs(number(b, kind)) < tiny else b for b in bits.tolist()]


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        ("", [-2.0, -0.0, 0.0, 2.0, 2.0]),
        ("rz", [-1.0, -0.0, 0.0, 1.0, 2.0]),
        ("rm", [-2.0, -1.0, 0.0, 1.0, 2.0]),
        ("rp", [-1.0, -0.0, 1.0, 2.0, 3.0]),
    ],
)
def test_whole_numbers_as_floats(kind: str, rounding: str, expected: list[float]) -> None:
    numbers = NUMBERS[kind]
    given = np.array([-1.5, -0.5, 0.5, 1.5, 2.5]).astype(numbers).view(BITS[kind])
    results = evaluate(Operation("integral", kind, rounding=rounding), given)
    assert np.array_equal(results, np.array(expected).astype(numbers).view(BITS[kind]))


def test_flushing_in_binary64_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="mul of f64 that flushes subnormals"):
        evaluate(Operation("mul", "f64", ftz=True), of("b64", 1), of("b64", 1))
