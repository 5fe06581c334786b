"""Conversions between floats, whole numbers and each other, on bit patterns, rounded once."""

from __future__ import annotations

from typing import Final

import numpy as np

from lion_conformance.operations.binary64 import in_direction
from lion_conformance.operations.operation import FLOATS, WIDTHS, Operation
from lion_conformance.operations.patterns import (
    BITS,
    NUMBERS,
    Array,
    Evaluator,
    format_of,
    without_subnormals,
)
from lion_conformance.operations.rounding import rounder, saturated, sum_to_odd

_F64: Final = np.dtype(np.float64)

INTEGRAL: Final[dict[str, Evaluator]] = {
    "rn": np.rint,
    "rz": np.trunc,
    "rm": np.floor,
    "rp": np.ceil,
}
"""Numbers to whole numbers, in every direction."""


def conversion_evaluator(operation: Operation) -> Evaluator:
    """Bits in, bits out."""
    source, target = operation.source, operation.type
    if source in FLOATS:
        return _between_floats(operation) if target in FLOATS else _to_whole(operation)
    return _from_whole(operation) if target in FLOATS else _between_whole(operation)


def _between_floats(operation: Operation) -> Evaluator:
    source, target, rounding = operation.source, operation.type, operation.rounding or "rn"
    # Subnormals of binary32 alone are flushed in a conversion, by the PTX ISA.
    flushed = without_subnormals("f32") if operation.ftz and source == "f32" else None
    plain = flushed is None and not operation.saturate and not (operation.ftz and target == "f32")
    numbers, bits, result = NUMBERS[source], BITS[target], NUMBERS[target]
    once = _widens(source, target) or (rounding == "rn" and (source, target) != ("f64", "bf16"))
    if plain and once:
        return lambda a: a.view(numbers).astype(result).view(bits)
    if target in {"f64", source}:
        cut = saturated(target) if operation.saturate else None

        def widened(a: Array) -> Array:
            a = flushed(a) if flushed else a
            wide = a.view(numbers).astype(result).view(bits)
            return cut(wide) if cut else wide

        return widened
    ftz = operation.ftz and target == "f32"
    finish = rounder(target, rounding, ftz=ftz, saturate=operation.saturate)
    return lambda a: finish((flushed(a) if flushed else a).view(numbers).astype(_F64))


def _widens(source: str, target: str) -> bool:
    """Whether every number of the one is a number of the other."""
    narrow, wide = format_of(source), format_of(target)
    return wide.precision >= narrow.precision and wide.max_exponent >= narrow.max_exponent


def _to_whole(operation: Operation) -> Evaluator:
    """Cut to the type's range; a NaN to 0, or to the highest bit where 64 bits are in play."""
    source, target = operation.source, operation.type
    numbers, result, bits = NUMBERS[source], NUMBERS[target], BITS[target]
    integral = INTEGRAL[operation.rounding or "rz"]
    flushed = without_subnormals("f32") if operation.ftz and source == "f32" else None
    limits = np.iinfo(result)
    # The first number above the range; what is below it converts without an overflow.
    above, below = float(limits.max + 1), float(limits.min)
    of_nan = 1 << (WIDTHS[target] - 1) if source == "f64" or WIDTHS[target] == 64 else 0
    largest, nan = bits.type(limits.max), bits.type(of_nan)

    def evaluate(a: Array) -> Array:
        value = integral((flushed(a) if flushed else a).view(numbers).astype(_F64))
        inside = np.where((value >= below) & (value < above), value, below)
        whole = inside.astype(result).view(bits)
        return np.where(value >= above, largest, np.where(np.isnan(value), nan, whole))

    return evaluate


def _from_whole(operation: Operation) -> Evaluator:
    source, target, rounding = operation.source, operation.type, operation.rounding or "rn"
    numbers, bits, result = NUMBERS[source], BITS[target], NUMBERS[target]
    if rounding == "rn" and target in {"f32", "f64"} and not operation.saturate:
        return lambda a: a.view(numbers).astype(result).view(bits)
    add = in_direction("add", rounding) if rounding != "rn" else np.add
    cut = saturated("f64") if operation.saturate else None
    finish = (
        None
        if target == "f64"
        else rounder(target, rounding, ftz=False, saturate=operation.saturate)
    )

    def evaluate(a: Array) -> Array:
        values = a.view(numbers).astype(np.int64 if numbers.kind == "i" else np.uint64)
        high = (values >> values.dtype.type(32)).astype(_F64) * 2.0**32
        low = (values & values.dtype.type(0xFFFFFFFF)).astype(_F64)
        if finish:
            return finish(sum_to_odd(high, low))
        wide = np.asarray(add(high, low)).view(bits)
        return cut(wide) if cut else wide

    return evaluate


def _between_whole(operation: Operation) -> Evaluator:
    source, target = NUMBERS[operation.source], NUMBERS[operation.type]
    bits = BITS[operation.type]
    if not operation.saturate:
        return lambda a: a.view(source).astype(target).view(bits)
    limits, possible = np.iinfo(target), np.iinfo(source)
    lowest = source.type(max(limits.min, possible.min))
    highest = source.type(min(limits.max, possible.max))
    return lambda a: np.clip(a.view(source), lowest, highest).astype(target).view(bits)
