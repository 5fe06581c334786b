"""Flush-to-zero and denormals-are-zero, as processors do them (SPEC C18)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from lion_ref import arithmetic
from lion_ref.arithmetic import Array, Mask, name_of, round_to
from lion_ref.rational import FORMATS
from lion_ref.semantics import Subnormals

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
        if self.mode == "keep" or name_of(values.dtype) == "float16":
            return values
        return _without_subnormals(values)

    def widened(self, array: Array) -> Array:
        """An operand in the compute dtype; a subnormal of its own dtype is flushed on the way."""
        return np.asarray(self.result(array), dtype=self.compute)

    def narrowed(self, values: Array, dtype: Dtype) -> Array:
        """values rounded once to dtype; a tiny result is flushed where dtype's are."""
        values = self.result(values)
        rounded = round_to(values, dtype)
        if self.mode == "keep" or name_of(dtype) == "float16" or dtype == values.dtype:
            return rounded
        if name_of(dtype) == "bfloat16" and values.dtype.itemsize == 4:
            return rounded  # same exponent range: a tiny value was flushed as an operand already
        return np.where(self._is_tiny_stored(values, dtype), round_to(values * 0, dtype), rounded)

    def product(self, a: Array, b: Array) -> Array:
        """a ⊗ b."""
        result = np.asarray(a * b)
        if self.mode == "keep":
            return result
        return _zeroed(result, self._is_tiny_product(a, b, result))

    def fma(self, a: Array, b: Array, c: Array) -> Array:
        """a·b + c, rounded once."""
        result = arithmetic.fma(a, b, c)
        if self.mode == "keep":
            return result
        return _zeroed(result, self._is_tiny_fma(a, b, c, result))

    def _is_tiny_product(self, a: Array, b: Array, result: Array) -> Mask:
        if self.compute.itemsize == 4:
            product = np.asarray(a, np.float64) * np.asarray(b, np.float64)  # exact
            return np.asarray(np.abs(product) < float(tiny_below(self.mode, self.compute)))
        return self._is_tiny(result, (a, b), lambda x, y: x * y)

    def _is_tiny_fma(self, a: Array, b: Array, c: Array, result: Array) -> Mask:
        return self._is_tiny(result, (a, b, c), lambda x, y, z: x * y + z)

    def _is_tiny_stored(self, values: Array, dtype: Dtype) -> Mask:
        return np.asarray(np.abs(values) < float(tiny_below(self.mode, dtype)))

    def _is_tiny(
        self, result: Array, operands: tuple[Array, ...], exact: Callable[..., Fraction]
    ) -> Mask:
        """A result below the smallest normal number is tiny in either sense, one above in neither.

        Left to decide are the results that are that number, having been rounded up to it.
        """
        smallest = 2.0 ** FORMATS[name_of(self.compute)].min_exponent
        limit = tiny_below(self.mode, self.compute)
        magnitude = np.abs(np.asarray(result, dtype=np.float64))
        tiny: Mask = np.asarray(magnitude < smallest)
        everywhere = np.broadcast_arrays(*operands)
        for index in np.argwhere(magnitude == smallest):
            at = tuple(index)
            tiny[at] = abs(exact(*(Fraction(float(x[at])) for x in everywhere))) < limit
        return tiny


@lru_cache(maxsize=8)
def tiny_below(mode: Subnormals, dtype: Dtype) -> Fraction:
    """Exact results below it are tiny.

    Rounded with unbounded exponent range, numbers from half an ulp below the smallest normal
    number on become that number.
    """
    target = FORMATS[name_of(dtype)]
    smallest = Fraction(2) ** target.min_exponent
    if mode == "flush-before-rounding":
        return smallest
    return smallest * (1 - Fraction(1, 2 ** (target.precision + 1)))


def _without_subnormals(values: Array) -> Array:
    smallest = 2.0 ** FORMATS[name_of(values.dtype)].min_exponent
    return _zeroed(values, np.abs(values) < smallest)


def _zeroed(values: Array, where: Mask) -> Array:
    """values with a zero of the same sign in the given places."""
    return np.where(where, np.copysign(values.dtype.type(0), values), values)
