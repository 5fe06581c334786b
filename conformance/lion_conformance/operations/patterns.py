"""Bit patterns, and the numbers that they stand for: the NumPy dtypes of each type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from lion_conformance.operations.operation import FLOATS, WIDTHS
from lion_ref.rational import FORMATS, Format

Array = NDArray[Any]
Evaluator = Callable[..., Array]

BITS: Final[dict[str, np.dtype[Any]]] = {
    kind: np.dtype(bool if kind == "pred" else f"u{width // 8}") for kind, width in WIDTHS.items()
}
"""What a bit pattern of each type is stored as."""

NUMBERS: Final[dict[str, np.dtype[Any]]] = {
    **BITS,
    **{kind: np.dtype(f"i{WIDTHS[kind] // 8}") for kind in ("s8", "s16", "s32", "s64")},
    "f16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
}
"""What its numbers are: a view of the same width."""

SIGNS: Final = {kind: BITS[kind].type(1 << (WIDTHS[kind] - 1)) for kind in FLOATS}
"""The sign's bit."""


def format_of(kind: str) -> Format:
    """The IEEE 754 format of a float type."""
    return FORMATS[NUMBERS[kind].name]


def exponent_field(kind: str) -> Any:
    """The bits of the exponent: infinity's pattern."""
    low = format_of(kind).precision - 1
    return BITS[kind].type((1 << (WIDTHS[kind] - 1)) - (1 << low))


def without_subnormals(kind: str) -> Evaluator:
    """Bits in, bits out: a subnormal becomes the zero of its sign."""
    field, sign = exponent_field(kind), SIGNS[kind]

    def flushed(bits: Array) -> Array:
        return np.where(bits & field, bits, bits & sign)

    return flushed
