"""The update of one variable as XLA compiles it: C5's roundings, in place, in two loops.

Every mode of TensorFlow runs this one function: eager and `tf.function` call it as a compiled
cluster, `jit_compile=True` inlines it. That is what makes their bits equal, and it is also the
fastest of them: op by op, each line below would be a pass over memory and a temporary of the
variable's size.

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


def stored(new: Tensor, dtype: tf.DType, zero: Tensor) -> Tensor:
    """new, rounded once to the dtype of θ and m (SPEC C9).

    Without a fence where nothing is rounded: XLA takes a fence, which has one array for an operand,
    as free to repeat, computes θ' once more for `zero_after`, and copies both arrays before.
    """
    return new if new.dtype == dtype else fence(tf.cast(new, dtype), zero)


def sign(c: Tensor) -> Tensor:
    """-1, +0, +1 or NaN; tf.sign keeps the sign of a zero (SPEC C7)."""
    return tf.where(tf.equal(c, 0), tf.zeros_like(c), tf.sign(c))


@tf.function(jit_compile=True, autograph=False)
def update(
    variable: Tensor,
    momentum: Tensor,
    gradient: Tensor,
    learning_rate: Tensor,
    weight_decay: Tensor,
    betas: Tensor,
    iterations: Tensor,
    dtype: tf.DType,
) -> None:
    """One step of Lion on a variable and its momentum, in place (SPEC C5).

    θ and m are passed as resource handles: a trace serves all variables of a shape, and it would
    keep a weak reference to the first ones, were they passed as tf.Variables, and refuse to work
    in a graph once they are gone.

    Args:
        variable: θ, the handle of a tf.Variable.
        momentum: m, the handle of a tf.Variable of θ's shape and dtype.
        gradient: g, of θ's shape, in a dtype that is not wider than the compute dtype.
        learning_rate: η, 0-d, in any floating dtype.
        weight_decay: λ, likewise.
        betas: β1, 1-β1, β2, 1-β2 in float64, the complements formed there (SPEC C4).
        iterations: steps done so far, 0-d, never negative.
        dtype: the dtype of θ and m.
    """
    compute = tf.float64 if dtype == tf.float64 else tf.float32
    zero = tf.minimum(iterations, tf.zeros_like(iterations))

    # Rounded here, where the environment that flushes is the step's own (SPEC C18).
    lr, decay = tf.cast(learning_rate, compute), tf.cast(weight_decay, compute)
    beta_1, complement_1, beta_2, complement_2 = tf.unstack(tf.cast(betas, compute))

    theta = tf.cast(tf.raw_ops.ReadVariableOp(resource=variable, dtype=dtype), compute)
    m = tf.cast(tf.raw_ops.ReadVariableOp(resource=momentum, dtype=dtype), compute)
    g = tf.cast(fence(gradient, zero), compute)  # as it was handed over, rounded to its dtype

    a = fence(beta_1 * m, zero)
    b = fence(complement_1 * g, zero)
    u = sign(a + b)
    d = fence(decay * theta, zero)
    s = u + d
    e = fence(lr * s, zero)
    new_theta = stored(theta - e, dtype, zero)

    # m' overwrites what θ' reads. Where nothing orders the two loops, XLA copies m first; this
    # zero is known only after θ', so that no copy is needed.
    after = zero_after(new_theta, zero)
    x = fence(beta_2 * m, after)
    y = fence(complement_2 * g, after)
    new_m = stored(x + y, dtype, after)

    tf.raw_ops.AssignVariableOp(resource=variable, value=new_theta)
    tf.raw_ops.AssignVariableOp(resource=momentum, value=new_m)
