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
    wide = _WIDE.get(name, NEAREST[name])
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


def _fma_f32(a: Array, b: Array, c: Array) -> Array:
    product = a.view(_F32).astype(_F64) * b.view(_F32)  # exact
    addend = c.view(_F32)
    total = product + addend
    if _needs_care(total):
        total = sum_to_odd(product, addend.astype(_F64))
    return total.astype(_F32).view(_U32)


def _needs_care(total: Array) -> bool:
    """Whether a total, rounded a second time, might round otherwise: it is a tie, or tiny."""
    ties = (total.view(_U64) & _U64.type(0x1FFFFFFF)) == _U64.type(0x10000000)
    return bool(np.any(ties | ((np.abs(total) < 2.0**-126) & (total != 0))))


_WIDE: Final[dict[str, Evaluator]] = {
    "add": sum_to_odd,
    "sub": lambda a, b: sum_to_odd(a, -b),
    "fma": lambda a, b, c: sum_to_odd(a * b, c),
}
"""In binary64, for numbers of at most 24 bits: what stands for the exact result."""


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
