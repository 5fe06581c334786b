"""Whole numbers and bits, modulo 2**width; and what is only true or false."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from lion_conformance.operations.operation import WIDTHS, Operation
from lion_conformance.operations.patterns import BITS, NUMBERS, Array, Evaluator

_RING: Final[dict[str, Evaluator]] = {"add": np.add, "sub": np.subtract, "mul": np.multiply}
_BITWISE: Final[dict[str, Evaluator]] = {
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.invert,
}


def bitwise_evaluator(operation: Operation) -> Evaluator | None:
    """and, or, xor, not: of the bits of any type."""
    return _BITWISE.get(operation.name)


def integer_evaluator(operation: Operation) -> Evaluator | None:
    """Bits in, bits out; None for what is no operation of whole numbers."""
    name, kind = operation.name, operation.type
    if name in _RING:
        return _saturating(operation) if operation.saturate else _RING[name]
    builder = _BUILDERS.get(name)
    return builder(kind) if builder else None


def _saturating(operation: Operation) -> Evaluator:
    """For at most 32 bits, in 64: add and sub."""
    kind, compute = operation.type, _RING[operation.name]
    if WIDTHS[kind] > 32 or operation.name == "mul":
        raise NotImplementedError(f"{operation.name} of {kind} that saturates")
    numbers, bits = NUMBERS[kind], BITS[kind]
    range_of = np.iinfo(numbers)

    def evaluate(a: Array, b: Array) -> Array:
        wide = compute(a.view(numbers).astype(np.int64), b.view(numbers).astype(np.int64))
        cut: Array = np.clip(wide, range_of.min, range_of.max).astype(numbers)
        return cut.view(bits)

    return evaluate


def _negated(kind: str) -> Evaluator:
    zero = BITS[kind].type(0)
    return lambda a: np.subtract(zero, a)


def _on_numbers(compute: Evaluator) -> Any:
    """A builder for what NumPy does with the numbers."""

    def builder(kind: str) -> Evaluator:
        numbers, bits = NUMBERS[kind], BITS[kind]
        return lambda *arguments: compute(*(x.view(numbers) for x in arguments)).view(bits)

    return builder


def _shifted_left(kind: str) -> Evaluator:
    bits, width = BITS[kind], WIDTHS[kind]
    # NumPy shifts all out by the width.
    return lambda a, count: np.left_shift(a, np.minimum(count, width).astype(bits))


def _shifted_right(kind: str) -> Evaluator:
    numbers, bits, width = NUMBERS[kind], BITS[kind], WIDTHS[kind]
    if kind.startswith("s"):
        last = width - 1
        return lambda a, count: np.right_shift(
            a.view(numbers), np.minimum(count, last).astype(numbers)
        ).view(bits)
    return lambda a, count: np.right_shift(a, np.minimum(count, width).astype(bits))


def _high_half(kind: str) -> Evaluator:
    numbers, bits, width = NUMBERS[kind], BITS[kind], WIDTHS[kind]
    if width == 64:
        return _high_half_of_64(signed=kind.startswith("s"))
    wide = np.dtype(f"{numbers.kind}{2 * width // 8}")

    def evaluate(a: Array, b: Array) -> Array:
        product = a.view(numbers).astype(wide) * b.view(numbers).astype(wide)
        high: Array = (product >> wide.type(width)).astype(numbers)
        return high.view(bits)

    return evaluate


def _high_half_of_64(*, signed: bool) -> Evaluator:
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)

    def evaluate(a: Array, b: Array) -> Array:
        a_low, a_high, b_low, b_high = a & low, a >> half, b & low, b >> half
        middle = a_high * b_low + (a_low * b_low >> half)
        other = a_low * b_high + (middle & low)
        high: Array = a_high * b_high + (middle >> half) + (other >> half)
        if signed:  # a negative number is its pattern less 2**64
            none = np.uint64(0)
            high = high - np.where(a.view(np.int64) < 0, b, none)
            high = high - np.where(b.view(np.int64) < 0, a, none)
        return high

    return evaluate


def _quotient(kind: str) -> Evaluator:
    numbers, bits = NUMBERS[kind], BITS[kind]
    none, nothing = BITS[kind].type(0), ~BITS[kind].type(0)

    def evaluate(a: Array, b: Array) -> Array:
        x, y = a.view(numbers), b.view(numbers)
        exact: Array = np.floor_divide(np.subtract(x, np.fmod(x, y)), y).view(
            bits
        )  # cut towards zero
        return np.where(b == none, nothing, exact)

    return evaluate


def _remainder(kind: str) -> Evaluator:
    numbers, bits = NUMBERS[kind], BITS[kind]

    def evaluate(a: Array, b: Array) -> Array:
        left: Array = np.fmod(a.view(numbers), b.view(numbers)).view(bits)
        return np.where(b == bits.type(0), a, left)

    return evaluate


def _count_of_ones(kind: str) -> Evaluator:
    bits = BITS[kind]
    return lambda a: np.bitwise_count(a).astype(bits)


def _leading_zeros(kind: str) -> Evaluator:
    bits, width = BITS[kind], WIDTHS[kind]

    def evaluate(a: Array) -> Array:
        for distance in (1, 2, 4, 8, 16, 32):
            if distance < width:
                a = a | (a >> bits.type(distance))
        zeros: Array = bits.type(width) - np.bitwise_count(a).astype(bits)
        return zeros

    return evaluate


_BUILDERS: Final[dict[str, Any]] = {
    "neg": _negated,
    "abs": _on_numbers(np.abs),
    "min": _on_numbers(np.minimum),
    "max": _on_numbers(np.maximum),
    "shl": _shifted_left,
    "shr": _shifted_right,
    "mulhi": _high_half,
    "div": _quotient,
    "rem": _remainder,
    "popc": _count_of_ones,
    "clz": _leading_zeros,
}
