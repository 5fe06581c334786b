"""C18's flush by comparisons and products alone, for arrays of any library (SPEC C33).

`flushing` has every rule of C18 in NumPy and in rationals, for the reference. This is one rule in a
few operations of whichever library the arrays are of, fast enough to train with, and it is what
adapters step with where the processor keeps subnormals. Where the processor flushes as well, after
rounding, it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lion_ref.rational import FORMATS

_SCALE: Final = 2.0**64
"""Brings the products around the smallest normal number among numbers whose precision is full."""


def _unfenced(product: Any) -> Any:
    return product


class Flushed:
    """The operations of one compute dtype with subnormals flushed, tininess after rounding.

    Args:
        compute: the compute dtype's name, "float32" or "float64"; operations are rounded to it.
        where: the library's `where(condition, x, y)`.
        absolute: the library's |x|.
        fence: what a product goes through where a compiler would contract it with a sum.

    >>> import numpy as np
    >>> ops = Flushed("float32", np.where)
    >>> ops.operand(np.float32([1e-40, -1e-40, 1e-30]), "float32")
    array([ 0.e+00, -0.e+00,  1.e-30], dtype=float32)
    >>> ops.product(0.125, np.float32([2e-38, 1.0]))
    array([0.   , 0.125], dtype=float32)
    """

    def __init__(
        self,
        compute: str,
        where: Callable[[Any, Any, Any], Any],
        *,
        absolute: Callable[[Any], Any] = abs,
        fence: Callable[[Any], Any] = _unfenced,
    ) -> None:
        self._compute = compute
        self._where = where
        self._absolute = absolute
        self._fence = fence

    def operand(self, x: Any, dtype: str) -> Any:
        """An input that was widened from the named dtype to the compute dtype.

        A subnormal number of its own dtype is flushed, though float64 holds those of float32 and
        bfloat16 as normal ones. float16's are kept.
        """
        return x if dtype == "float16" else self._zeroed(x, x, _smallest(dtype))

    def product(self, scalar: Any, x: Any) -> Any:
        """scalar ⊗ x, both flushed already.

        A product that gradual underflow rounds up to the smallest normal number may be tiny all the
        same. Scaled, it is rounded as with unbounded exponent range. Where the scaled scalar
        overflows, no product is tiny.
        """
        product = self._fence(scalar * x)
        scaled = (scalar * _SCALE) * x
        return self._zeroed(product, scaled, _smallest(self._compute) * _SCALE)

    def add(self, a: Any, b: Any) -> Any:
        """a ⊕ b: a sum that is tiny is exact."""
        return self._sum(a + b)

    def subtract(self, a: Any, b: Any) -> Any:
        """a ⊖ b."""
        return self._sum(a - b)

    def storable(self, x: Any, dtype: str) -> Any:
        """A result that, rounded once to the named dtype, is stored as C18 has it.

        In float32 only float16 is left to store in with another range, and that keeps subnormals.
        From float64 a result is tiny in the precision and range of the dtype that it is stored in.
        """
        if dtype in ("float16", self._compute) or self._compute == "float32":
            return x
        # From half a last place below the smallest normal number on, results become that number.
        half = 2.0 ** -(FORMATS[dtype].precision + 1)
        return self._zeroed(x, x, _smallest(dtype) * (1 - half))

    def _sum(self, result: Any) -> Any:
        return self._zeroed(result, result, _smallest(self._compute))

    def _zeroed(self, x: Any, compared: Any, limit: float) -> Any:
        """x, or a zero of its sign where |compared| is below the limit; a NaN is not."""
        return self._where(self._absolute(compared) < limit, x * 0.0, x)


def _smallest(dtype: str) -> float:
    """The smallest normal number."""
    return float(2.0 ** FORMATS[dtype].min_exponent)
