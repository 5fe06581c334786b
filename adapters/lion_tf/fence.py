"""Fences: values that no compiler may look through (SPEC C5, C9).

XLA contracts a product and a sum into a fused multiply-add on a CPU, and may merge a constant
factor of the program around a step with one of the step's, or drop a rounding to a half-precision
dtype that is widened again (xla_allow_excess_precision). None of these happens across a *fence*:
the value's bits, xor a zero that the compiler cannot prove to be one. The zero is
min(iterations, 0), which is read from a variable.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import tensorflow as tf

Tensor: TypeAlias = Any  # TensorFlow ships no types

_BITS: Final = {
    tf.float16: tf.int16,
    tf.bfloat16: tf.int16,
    tf.float32: tf.int32,
    tf.float64: tf.int64,
}


def fence(value: Tensor, zero: Tensor) -> Tensor:
    """value, bit for bit, through an xor with an opaque integer zero."""
    bits = _BITS[value.dtype]
    fenced = tf.bitwise.bitwise_xor(tf.bitcast(value, bits), tf.cast(zero, bits))
    return tf.bitcast(fenced, value.dtype)


def zero_after(value: Tensor, zero: Tensor) -> Tensor:
    """zero again, as an integer that cannot be known before value is."""
    bits = _BITS[value.dtype]
    # One element is enough; the empty array has none, and nothing to order either.
    first = tf.reshape(value, [-1])[:1]
    return tf.reduce_sum(tf.bitwise.bitwise_and(tf.bitcast(first, bits), tf.cast(zero, bits)))
