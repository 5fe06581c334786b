"""Flush-to-zero and denormals-are-zero, as processors do them (SPEC C18)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lion_ref import arithmetic
from lion_ref.arithmetic import round_to
from lion_ref.rational import FORMATS
from lion_ref.semantics import Subnormals

Array = NDArray[Any]
Dtype = np.dtype[Any]
Mask = NDArray[np.bool_]


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
        native = self.operand(array)
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

    def _is_tiny_product(self, a: Array, b: Array, result: Array) -> Mask:
        return self._is_tiny(result, self.compute, (a, b), lambda x, y: x * y)

    def _is_tiny_fma(self, a: Array, b: Array, c: Array, result: Array) -> Mask:
        return self._is_tiny(result, self.compute, (a, b, c), lambda x, y, z: x * y + z)

    def _is_tiny_stored(self, values: Array, dtype: Dtype) -> Mask:
        return self._is_tiny(round_to(values, dtype), dtype, (values,), lambda x: x)

    def _is_tiny(
        self,
        result: Array,
        dtype: Dtype,
        operands: tuple[Array, ...],
        exact: Callable[..., Fraction],
    ) -> Mask:
        """A result below the smallest normal number is tiny in either sense, one above in neither.

        Left to decide are the results that are that number, having been rounded up to it.
        """
        smallest = Fraction(2) ** FORMATS[dtype.name].min_exponent
        magnitude = np.abs(np.asarray(result, dtype=np.float64))
        tiny: Mask = np.asarray(magnitude < float(smallest))
        # Rounded with unbounded exponent range, numbers from `reaches` on become the smallest.
        reaches = smallest * (1 - Fraction(1, 2 ** (FORMATS[dtype.name].precision + 1)))
        limit = smallest if self.mode == "flush-before-rounding" else reaches
        everywhere = np.broadcast_arrays(*operands)
        for index in np.argwhere(magnitude == float(smallest)):
            at = tuple(index)
            tiny[at] = abs(exact(*(Fraction(float(x[at])) for x in everywhere))) < limit
        return tiny


def _without_subnormals(values: Array) -> Array:
    smallest = 2.0 ** FORMATS[values.dtype.name].min_exponent
    return _zeroed(values, np.abs(values) < smallest)


def _zeroed(values: Array, where: Mask) -> Array:
    """values with a zero of the same sign in the given places."""
    return np.where(where, np.copysign(values.dtype.type(0), values), values)
