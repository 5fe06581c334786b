"""What an operation on floats comes to, by rationals: PTX's and IEEE 754's rules, written out.

Numbers go in and come out as bits; None is any NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Final

import numpy as np

from lion_conformance.operations.operation import WIDTHS, Operation
from lion_conformance.operations.patterns import BITS, NUMBERS, Array, format_of
from tests.exact import Exact, exact_product

WHOLE: Final[dict[str, Callable[[Fraction], int]]] = {
    "rn": round,
    "rz": math.trunc,
    "rm": math.floor,
    "rp": math.ceil,
}
"""The whole number in each direction."""


def number(bits: int, kind: str) -> float:
    """A pattern's number, which binary64 holds."""
    with np.errstate(invalid="ignore"):  # a signalling NaN
        return float(BITS[kind].type(bits).view(NUMBERS[kind]))


def pattern(value: float, kind: str) -> int:
    """The bits of a number that the type holds."""
    return int(NUMBERS[kind].type(value).view(BITS[kind]))


def exactly(operation: Operation, *bits: int) -> int | None:
    """The bits of an operation of floats; None for a NaN."""
    kind = operation.type
    values = [number(b, kind) for b in bits]
    if operation.ftz:
        values = [_flushed(value, kind) for value in values]
    exact, negative = _before_rounding(operation, values)
    return finished(exact, negative, operation)


def finished(exact: Fraction | float, negative: bool, operation: Operation) -> int | None:
    """An exact result, rounded, flushed and cut as the operation says."""
    kind, rounding = operation.type, operation.rounding or "rn"
    if isinstance(exact, float):
        result = exact
    else:
        result = rounded(exact, kind, rounding)
        if result == 0:
            result = math.copysign(0.0, -1 if exact < 0 or (exact == 0 and negative) else 1)
        if operation.ftz and exact != 0 and _tiny(exact, kind, rounding):
            result = 0.0 if exact > 0 else -0.0
    if operation.saturate:
        result = min(result, 1.0) if result > 0 else 0.0
    return None if math.isnan(result) else pattern(result, kind)


def rounded(exact: Fraction, kind: str, rounding: str, *, least: int | None = None) -> float:
    """The number of the type in that direction; `least` is another smallest exponent."""
    if exact == 0:
        return 0.0
    form = format_of(kind)
    exponent = abs(exact).numerator.bit_length() - exact.denominator.bit_length()
    if Fraction(2) ** exponent > abs(exact):
        exponent -= 1
    exponent = max(exponent, form.min_exponent if least is None else least)
    unit = Fraction(2) ** (exponent - form.precision + 1)
    result = WHOLE[rounding](exact / unit) * unit
    if abs(result) < Fraction(2) ** (form.max_exponent + 1):
        return float(result)
    to_infinity = rounding in {"rn", "rp" if exact > 0 else "rm"}
    largest = (2 - 2.0 ** (1 - form.precision)) * 2.0**form.max_exponent
    return (math.inf if to_infinity else largest) * (1 if exact > 0 else -1)


def _tiny(exact: Fraction, kind: str, rounding: str) -> bool:
    """As if there were no least exponent."""
    return abs(rounded(exact, kind, rounding, least=-5000)) < 2.0 ** format_of(kind).min_exponent


def _flushed(value: float, kind: str) -> float:
    tiny = abs(value) < 2.0 ** format_of(kind).min_exponent
    return math.copysign(0.0, value) if tiny else value


def _before_rounding(operation: Operation, values: Sequence[float]) -> Exact:
    down = operation.rounding == "rm"
    if operation.name == "mul":
        return exact_product(values[0], values[1])
    if operation.name in {"add", "sub"}:
        second = -values[1] if operation.name == "sub" else values[1]
        return _sum(_exact(values[0]), _exact(second), down=down)
    if operation.name == "fma":
        return _sum(exact_product(values[0], values[1]), _exact(values[2]), down=down)
    if operation.name == "div":
        return _quotient(values[0], values[1])
    return _square_root(values[0])


def _exact(value: float) -> Exact:
    return (
        Fraction(value) if math.isfinite(value) else value,
        math.copysign(1, value) < 0,
    )


def _sum(first: Exact, second: Exact, *, down: bool) -> Exact:
    (a, a_negative), (b, b_negative) = first, second
    if isinstance(a, float) or isinstance(b, float):
        return float(a if isinstance(a, float) else 0) + float(
            b if isinstance(b, float) else 0
        ), False
    a_negative, b_negative = a < 0 or (a == 0 and a_negative), b < 0 or (b == 0 and b_negative)
    # A sum of zero is +0, or -0 rounded down; zeros of one sign keep it.
    return a + b, a_negative or b_negative if down else a_negative and b_negative


def _quotient(a: float, b: float) -> Exact:
    negative = (math.copysign(1, a) < 0) != (math.copysign(1, b) < 0)
    if math.isnan(a) or math.isnan(b) or (a == 0 == b) or (math.isinf(a) and math.isinf(b)):
        return math.nan, False
    if math.isinf(a) or b == 0:
        return -math.inf if negative else math.inf, negative
    return (Fraction(0) if math.isinf(b) else Fraction(a) / Fraction(b)), negative


def _square_root(a: float) -> Exact:
    if math.isnan(a) or a < 0:
        return math.nan, False
    if math.isinf(a):
        return a, False
    scaled = Fraction(a) * 4**600
    root = math.isqrt(int(scaled))
    # Beyond what any format rounds at, that there is more is all that counts.
    more = Fraction(1, 2) if root * root != scaled else Fraction(0)
    return (root + more) / 2**600, math.copysign(1, a) < 0


def differences(results: Array, operation: Operation, *arguments: Array) -> list[str]:
    """Where results are not what the rationals say, as lines."""
    found = []
    with np.errstate(invalid="ignore"):
        nan = np.isnan(results.view(NUMBERS[operation.type]))
    for index, bits in enumerate(zip(*(a.tolist() for a in arguments), strict=True)):
        expected = exactly(operation, *bits)
        got = None if nan[index] else int(results[index])
        if got != expected:
            width = WIDTHS[operation.type] // 4
            shown = ", ".join(f"{b:0{width}x}" for b in bits)
            found.append(f"{operation} of {shown}: {got}, and not {expected}")
    return found
