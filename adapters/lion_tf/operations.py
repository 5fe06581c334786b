"""The operations of a step: as the device has them, or with subnormals flushed (SPEC C33)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from lion_ref.flushed import Flushed

if TYPE_CHECKING:
    from lion_tf.fence import Tensor


class Operations:
    """Those of one compute dtype, subnormals as the device treats them.

    The caller fences products: some have to wait for something else. Nothing is stored here: what
    is stored in another dtype than the compute dtype is not subnormal there, or is float16.
    """

    def __init__(self, compute: tf.DType) -> None:
        self.compute = compute

    def load(self, x: Tensor) -> Tensor:
        """x in the compute dtype."""
        return tf.cast(x, self.compute)

    def scalar(self, value: Tensor) -> Tensor:
        """A scalar, or several, rounded to the compute dtype where the step is (SPEC C4, C18)."""
        return tf.cast(value, self.compute)

    def product(self, scalar: Tensor, x: Tensor) -> Tensor:
        """scalar ⊗ x."""
        return scalar * x

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        """a ⊕ b."""
        return a + b

    def subtract(self, a: Tensor, b: Tensor) -> Tensor:
        """a ⊖ b."""
        return a - b


class FlushedOperations(Operations):
    """The same, flushed where the device keeps subnormals. Where it flushes, nothing changes."""

    def __init__(self, compute: tf.DType) -> None:
        super().__init__(compute)
        self._flushed = _flushed(compute)

    def load(self, x: Tensor) -> Tensor:
        """x in the compute dtype; a subnormal number of its own dtype is a zero."""
        return self._flushed.operand(tf.cast(x, self.compute), x.dtype.name)

    def scalar(self, value: Tensor) -> Tensor:
        """A scalar, or several, rounded to the compute dtype; one that is tiny is a zero."""
        if value.dtype.size <= self.compute.size:
            return self.load(value)
        storable = _flushed(value.dtype).storable(value, self.compute.name)
        return tf.cast(storable, self.compute)

    def product(self, scalar: Tensor, x: Tensor) -> Tensor:
        """scalar ⊗ x; the scalar is flushed already."""
        return self._flushed.product(scalar, x)

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        """a ⊕ b."""
        return self._flushed.add(a, b)

    def subtract(self, a: Tensor, b: Tensor) -> Tensor:
        """a ⊖ b."""
        return self._flushed.subtract(a, b)


def _flushed(compute: tf.DType) -> Flushed:
    return Flushed(compute.name, tf.where, absolute=tf.abs)
