"""Conversions between all types, in every direction, against rationals."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from lion_conformance.operations.evaluate import evaluate
from lion_conformance.operations.operation import FLOATS, WIDTHS, Operation, Rounding
from lion_conformance.operations.patterns import BITS, NUMBERS, Array, format_of
from lion_ref.arithmetic import round_to
from tests.lion_conformance.operations.exactly import WHOLE as WHOLE_IN
from tests.lion_conformance.operations.exactly import finished, number
from tests.lion_conformance.operations.numbers import all_landmarks, of, patterns

WHOLE = tuple(f"{kind}{width}" for kind in "us" for width in (8, 16, 32, 64))
DIRECTIONS: tuple[Rounding, ...] = ("rn", "rz", "rm", "rp")


def some(kind: str) -> Array:
    """Patterns of a type: its edges, and anything."""
    rng = np.random.default_rng(WIDTHS[kind])
    if kind in FLOATS:
        whole = np.concatenate([2.0 ** np.arange(7, 65), [0.5, 1.5, 2.5, 1e9, 3e9, 1e19]])
        around = np.concatenate([whole, whole - 0.5, whole + 1, np.nextafter(whole, 0)])
        near = round_to(np.concatenate([around, -around]), NUMBERS[kind]).view(BITS[kind])
        return np.concatenate([all_landmarks(kind), near, patterns(rng, kind, 50)])
    width = WIDTHS[kind]
    powers = [1 << p for p in range(width)]
    edges = {(p + d) % (1 << width) for p in [0, *powers] for d in (-1, 0, 1)}
    # Halfway between two numbers of 8, 11, 24 and 53 bits.
    ties = {
        (1 << t) + (1 << (t - p)) + d for p in (8, 11, 24, 53) for t in (p, 62) for d in (-1, 0, 1)
    }
    edges |= {tie for tie in ties if tie < 1 << width}
    anything = rng.integers(0, 1 << width, 50, dtype=np.uint64 if width == 64 else np.int64)
    return np.concatenate([np.array(sorted(edges), BITS[kind]), anything.astype(BITS[kind])])


def expected_float(bits: int, operation: Operation) -> int | None:
    source = operation.source
    if source not in FLOATS:
        whole = int(BITS[source].type(bits).view(NUMBERS[source]))
        return finished(Fraction(whole), False, operation)
    value = number(bits, source)
    ftz = operation.ftz
    if ftz and source == "f32" and abs(value) < 2.0**-126:
        value = math.copysign(0.0, value)
    if operation.type != "f32":  # subnormals of binary32 alone are flushed
        operation = Operation(
            "convert", operation.type, source, operation.rounding, saturate=operation.saturate
        )
    exact = Fraction(value) if math.isfinite(value) else value
    return finished(exact, math.copysign(1, value) < 0, operation)


def expected_whole(bits: int, operation: Operation) -> int:
    source, target = operation.source, operation.type
    limits = np.iinfo(NUMBERS[target])
    if source in FLOATS:
        value = number(bits, source)
        if math.isnan(value):
            return 1 << (WIDTHS[target] - 1) if "64" in source + target else 0
        if math.isinf(value):
            whole = limits.max if value > 0 else limits.min
        else:
            whole = WHOLE_IN[operation.rounding or "rz"](Fraction(value))
        whole = min(max(int(whole), limits.min), limits.max)
    else:
        whole = int(BITS[source].type(bits).view(NUMBERS[source]))
        if operation.saturate:
            whole = min(max(whole, int(limits.min)), int(limits.max))
    return whole % (1 << WIDTHS[target])


def differences(results: Array, operation: Operation, given: Array) -> list[str]:
    expected = expected_float if operation.type in FLOATS else expected_whole
    found = []
    for bits, got in zip(given.tolist(), results.tolist(), strict=True):
        nan = operation.type in FLOATS and math.isnan(number(got, operation.type))
        due = expected(bits, operation)
        if due != (None if nan else got):
            found.append(f"{operation} of {bits:x}: {got:x}, and not {due}")
    return found


@pytest.mark.parametrize("target", FLOATS)
@pytest.mark.parametrize("source", [*FLOATS, *WHOLE])
def test_to_floats(source: str, target: str) -> None:
    given = some(source)
    flushes = (False, True) if "f32" in {source, target} and source in FLOATS else (False,)
    for rounding, ftz, saturate in product(DIRECTIONS, flushes, (False, True)):
        operation = Operation("convert", target, source, rounding, ftz=ftz, saturate=saturate)
        found = differences(evaluate(operation, given), operation, given)
        assert not found, found[:3]


@pytest.mark.parametrize("target", WHOLE)
@pytest.mark.parametrize("source", FLOATS)
def test_to_whole_numbers(source: str, target: str) -> None:
    given = some(source)
    for rounding in ("", *DIRECTIONS):
        operation = Operation("convert", target, source, rounding)
        found = differences(evaluate(operation, given), operation, given)
        assert not found, found[:3]


@pytest.mark.parametrize("target", WHOLE)
@pytest.mark.parametrize("source", WHOLE)
def test_between_whole_numbers(source: str, target: str) -> None:
    given = some(source)
    for saturate in (False, True):
        operation = Operation("convert", target, source, saturate=saturate)
        found = differences(evaluate(operation, given), operation, given)
        assert not found, found[:3]


@pytest.mark.parametrize("source", ["f16", "bf16"])
@pytest.mark.parametrize("target", ["f32", "f64"])
def test_every_number_of_16_bits_widens_to_itself(source: str, target: str) -> None:
    every = np.arange(1 << 16, dtype=np.uint16)
    wide = evaluate(Operation("convert", target, source), every)
    back = evaluate(Operation("convert", source, target), wide)
    with np.errstate(invalid="ignore"):
        nan = np.isnan(every.view(NUMBERS[source]))
    assert np.array_equal(back[~nan], every[~nan])
    assert np.isnan(wide.view(NUMBERS[target])[nan]).all()


def rounded_twice(given: Array) -> Array:
    """binary64 to bfloat16 by way of binary32."""
    return round_to(round_to(given.view(np.float64), np.dtype(np.float32)), NUMBERS["bf16"]).view(
        np.uint16
    )


def cut_toward_zero(given: Array) -> Array:
    """The upper half of a binary32, as some kernels make a bfloat16."""
    return (given >> np.uint32(16)).astype(np.uint16)


def wrapped(given: Array) -> Array:
    """A float beyond the range, modulo 2**32."""
    values = given.view(np.float32).astype(np.float64)
    small = np.where(np.isfinite(values) & (abs(values) < 2.0**62), values, 0)
    return small.astype(np.int64).astype(np.uint32)


def by_way_of_binary64(given: Array) -> Array:
    """64 bits to binary32, rounded twice."""
    return given.astype(np.float64).astype(np.float32).view(np.uint32)


@pytest.mark.parametrize(
    ("operation", "wrong"),
    [
        (Operation("convert", "bf16", "f64"), rounded_twice),
        (Operation("convert", "bf16", "f32"), cut_toward_zero),
        (Operation("convert", "s32", "f32"), wrapped),
        (Operation("convert", "f32", "u64"), by_way_of_binary64),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_wrong_conversions_are_told(operation: Operation, wrong: Callable[[Array], Array]) -> None:
    given = some(operation.source)
    if wrong is rounded_twice:  # just above a tie, and binary32 does not see it
        given = np.append(given, np.float64(1 + 2.0**-8 + 2.0**-40).view(np.uint64))
    if wrong is by_way_of_binary64:
        given = np.append(given, np.uint64((1 << 63) + (1 << 39) + 1))
    assert not differences(evaluate(operation, given), operation, given)
    assert differences(wrong(given), operation, given)


def test_half_of_the_last_place_of_bfloat16() -> None:
    assert format_of("bf16").precision == 8
    tie = of("b32", 0x3F808000, 0x3F818000, 0x3F808001)
    narrow = evaluate(Operation("convert", "bf16", "f32"), tie)
    assert narrow.tolist() == [0x3F80, 0x3F82, 0x3F81]
