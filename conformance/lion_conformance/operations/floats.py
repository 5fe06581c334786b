"""Arithmetic of floats on bit patterns: in every format and direction, rounded once."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from lion_conformance.operations.binary64 import NEAREST, in_direction, with_negative_zeros
from lion_conformance.operations.conversions import INTEGRAL
from lion_conformance.operations.operation import Operation
from lion_conformance.operations.patterns import (
    BITS,
    NUMBERS,
    SIGNS,
    Array,
    Evaluator,
    exponent_field,
    format_of,
    without_subnormals,
)
from lion_conformance.operations.rounding import rounder, saturated, sum_to_odd

_F32: Final = np.dtype(np.float32)
_U32: Final = np.dtype(np.uint32)
_F64: Final = np.dtype(np.float64)
_U64: Final = np.dtype(np.uint64)

FLOAT_OPERATIONS: Final = frozenset({*NEAREST, "neg", "abs", "min", "max", "integral"})
"""What there is of floats."""


def float_evaluator(operation: Operation) -> Evaluator:
    """Bits in, bits out."""
    if operation.name in NEAREST:
        return _rounded(operation)
    if operation.name in {"neg", "abs"}:
        return _of_the_sign(operation)
    if operation.name in {"min", "max"}:
        return _the_one_of_two(operation)
    return _integral(operation)


def _rounded(operation: Operation) -> Evaluator:
    name, kind, rounding = operation.name, operation.type, operation.rounding or "rn"
    if kind == "f64":
        return _in_f64(operation)
    plain = rounding == "rn" and not operation.ftz and not operation.saturate
    if plain and kind == "f32":
        return _fma_f32 if name == "fma" else _native_f32(name)
    numbers = NUMBERS[kind]
    wide = _standing_for(name, kind, rounding)
    finish = rounder(kind, rounding, ftz=operation.ftz, saturate=operation.saturate)
    flushed = without_subnormals(kind) if operation.ftz else None

    def evaluate(*arguments: Array) -> Array:
        if flushed:
            arguments = tuple(map(flushed, arguments))
        values = tuple(x.view(numbers).astype(_F64) for x in arguments)
        result = wide(*values)
        if rounding == "rm":
            result = with_negative_zeros(name, result == 0, result, values)
        return finish(result)

    return evaluate


def _native_f32(name: str) -> Evaluator:
    """What NumPy has: the machines' own arithmetic, as hot loops need it."""
    compute = NEAREST[name]
    if name == "sqrt":
        return lambda a: compute(a.view(_F32)).view(_U32)
    return lambda a, b: compute(a.view(_F32), b.view(_F32)).view(_U32)


def _fused(kind: str) -> Evaluator:
    """a·b + c in binary64, of numbers of a narrower type: what stands for it, to nearest."""
    form = format_of(kind)
    rest, half = _U64.type((1 << (53 - form.precision)) - 1), _U64.type(1 << (52 - form.precision))
    normal = 2.0**form.min_exponent

    def wide(a: Array, b: Array, c: Array) -> Array:
        product = a * b  # exact
        total = product + c
        # Rounded a second time it might go wrong if it is a tie, or tiny.
        ties = (total.view(_U64) & rest) == half
        if np.any(ties | ((np.abs(total) < normal) & (total != 0))):
            return sum_to_odd(product, c)
        return total

    return wide


_wide_fma_f32: Final = _fused("f32")


def _fma_f32(a: Array, b: Array, c: Array) -> Array:
    numbers = (x.view(_F32).astype(_F64) for x in (a, b, c))
    return _wide_fma_f32(*numbers).astype(_F32).view(_U32)


def _standing_for(name: str, kind: str, rounding: str) -> Evaluator:
    """In binary64, for numbers of at most 24 bits: what stands for the exact result."""
    if rounding == "rn":
        return _fused(kind) if name == "fma" else NEAREST[name]
    return _TO_ODD.get(name, NEAREST[name])


_TO_ODD: Final[dict[str, Evaluator]] = {
    "add": sum_to_odd,
    "sub": lambda a, b: sum_to_odd(a, -b),
    "fma": lambda a, b, c: sum_to_odd(a * b, c),
}


def _in_f64(operation: Operation) -> Evaluator:
    name, rounding = operation.name, operation.rounding or "rn"
    if operation.ftz:
        raise NotImplementedError(f"{name} of f64 that flushes subnormals")
    compute = NEAREST[name] if rounding == "rn" else in_direction(name, rounding)

    def evaluate(*arguments: Array) -> Array:
        return compute(*(x.view(_F64) for x in arguments)).view(_U64)

    return _then(saturated("f64"), evaluate) if operation.saturate else evaluate


def _of_the_sign(operation: Operation) -> Evaluator:
    kind = operation.type
    sign = SIGNS[kind]
    if operation.name == "neg":
        evaluate: Evaluator = partial(np.bitwise_xor, sign)
    else:
        evaluate = partial(np.bitwise_and, ~sign)
    return _flushing(operation, evaluate)


def _the_one_of_two(operation: Operation) -> Evaluator:
    numbers, bits = NUMBERS[operation.type], BITS[operation.type]
    smaller = operation.name == "min"
    nan = exponent_field(operation.type) | bits.type(1 << (format_of(operation.type).precision - 2))

    def evaluate(a: Array, b: Array) -> Array:
        x, y = a.view(numbers), b.view(numbers)
        # Of equal numbers: their bits are equal, too, or they are zeros, the negative one smaller.
        equal = a | b if smaller else a & b
        first = x < y if smaller else x > y
        second = y < x if smaller else y > x
        if operation.nan:
            other = np.where(x == y, equal, nan)
        else:
            other = np.where(x == y, equal, np.where(x != x, b, a))  # noqa: PLR0124
        return np.where(first, a, np.where(second, b, other))

    return _flushing(operation, evaluate)


def _integral(operation: Operation) -> Evaluator:
    kind = operation.type
    numbers, bits = NUMBERS[kind], BITS[kind]
    compute = INTEGRAL[operation.rounding or "rn"]

    def evaluate(a: Array) -> Array:
        return compute(a.view(numbers).astype(_F64)).astype(numbers).view(bits)

    evaluate = _flushing(operation, evaluate)
    return _then(saturated(kind), evaluate) if operation.saturate else evaluate


def _flushing(operation: Operation, evaluate: Evaluator) -> Evaluator:
    """With its arguments flushed, if it flushes: the results are then no subnormals."""
    if not operation.ftz:
        return evaluate
    flushed = without_subnormals(operation.type)
    return lambda *arguments: evaluate(*map(flushed, arguments))


def _then(last: Evaluator, first: Evaluator) -> Evaluator:
    return lambda *arguments: last(first(*arguments))
