"""Flush-to-zero and denormals-are-zero, as processors do them (SPEC C18)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lion_ref import arithmetic
from lion_ref.arithmetic import round_to
from lion_ref.rational import FORMATS
from lion_ref.semantics import Subnormals

Array = NDArray[Any]
Dtype = np.dtype[Any]


class Flush:
    """The operations of one compute dtype, with subnormals kept or flushed.

    The tininess of a product or fused product is decided on its exact value, or on its value
    rounded with unbounded exponent range; sums need neither, since a sum that small is exact.
    """

    def __init__(self, mode: Subnormals, compute: Dtype) -> None:
        self.mode = mode
        self.compute = compute

    def result(self, values: Array) -> Array:
        """An exact-if-tiny result: subnormals become zeros of their sign."""
        if self.mode == "keep" or values.dtype.name == "float16":
            return values
        return _without_subnormals(values)

    operand = result  # an input is flushed by the same rule

    def widened(self, array: Array) -> Array:
        """An operand in the compute dtype; a subnormal of its own dtype is flushed on the way."""
        native = array if array.dtype.name == "bfloat16" else self.operand(array)
        return self.operand(np.asarray(native, dtype=self.compute))

    def narrowed(self, values: Array, dtype: Dtype) -> Array:
        """values rounded once to dtype; a tiny result is flushed where dtype's are."""
        values = self.operand(values)
        rounded = round_to(values, dtype)
        if self.mode == "keep" or dtype.name == "float16" or dtype == values.dtype:
            return rounded
        if dtype.name == "bfloat16" and values.dtype.itemsize == 4:
            return rounded  # same exponent range: a tiny value was flushed as an operand already
        return np.where(self._is_tiny_stored(values, dtype), round_to(values * 0, dtype), rounded)

    def product(self, a: Array, b: Array) -> Array:
        result = np.asarray(a * b)
        if self.mode == "keep":
            return result
        return _zeroed(result, self._is_tiny_product(a, b, result))

    def fma(self, a: Array, b: Array, c: Array) -> Array:
        result = arithmetic.fma(a, b, c)
        if self.mode == "keep":
            return result
        return _zeroed(result, self._is_tiny_fma(a, b, c, result))

    # A result below the smallest normal number is tiny in either sense, and one above it in
    # neither. Left to decide are results that are that number, having been rounded up to it.

    def _is_tiny_product(self, a: Array, b: Array, result: Array) -> NDArray[np.bool_]:
        return self._is_tiny(result, lambda i: _exact(a, i) * _exact(b, i), self.compute.name)

    def _is_tiny_fma(self, a: Array, b: Array, c: Array, result: Array) -> NDArray[np.bool_]:
        return self._is_tiny(
            result, lambda i: _exact(a, i) * _exact(b, i) + _exact(c, i), self.compute.name
        )

    def _is_tiny_stored(self, values: Array, dtype: Dtype) -> NDArray[np.bool_]:
        rounded = np.asarray(round_to(values, dtype), dtype=np.float64)
        return self._is_tiny(rounded, lambda i: _exact(values, i), dtype.name)

    def _is_tiny(self, result: Array, exact: Any, dtype: str) -> NDArray[np.bool_]:
        smallest = 2.0 ** FORMATS[dtype].min_exponent
        magnitude = np.abs(result)
        tiny: NDArray[np.bool_] = magnitude < smallest
        for index in np.argwhere(magnitude == smallest):
            value = abs(exact(tuple(index)))
            # Rounded with unbounded range, numbers from here on reach the smallest normal.
            reaches = arithmetic.Fraction(smallest) * (
                1 - arithmetic.Fraction(1, 2 ** (FORMATS[dtype].precision + 1))
            )
            before = self.mode == "flush-before-rounding"
            limit = arithmetic.Fraction(smallest) if before else reaches
            tiny[tuple(index)] = value < limit
        return tiny


def _exact(array: Array, index: tuple[int, ...]) -> arithmetic.Fraction:
    return arithmetic.Fraction(float(np.asarray(array)[index]))


def _without_subnormals(values: Array) -> Array:
    smallest = 2.0 ** FORMATS[values.dtype.name].min_exponent
    return _zeroed(values, np.abs(values) < smallest)


def _zeroed(values: Array, where: NDArray[np.bool_]) -> Array:
    """values with a zero of the same sign in the given places."""
    return np.where(where, np.copysign(values.dtype.type(0), values), values)
