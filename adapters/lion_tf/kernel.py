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

from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
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


def stored(new: Tensor, old: Tensor, zero: Tensor, iterations: Tensor) -> Tensor:
    """new, rounded once to the dtype of old, whose place it takes (SPEC C9).

    XLA takes an operation on one array, such as a fence, as free to repeat: it would compute θ'
    once more for `zero_after`, and copy both arrays before. So a choice between two arrays stands
    behind the fence, and where nothing is rounded there is no fence. The choice must not say what
    zero is: LLVM would put it in place of every fence's, and contract.
    """
    if new.dtype == old.dtype:
        return new
    always = tf.less(iterations, 1 << 62)
    return tf.where(always, fence(tf.cast(new, old.dtype), zero), old)


def sign(c: Tensor) -> Tensor:
    """-1, +0, +1 or NaN; tf.sign keeps the sign of a zero (SPEC C7)."""
    return tf.where(tf.equal(c, 0), tf.zeros_like(c), tf.sign(c))


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

    θ and m are passed as resource handles: a trace serves all variables of a dtype, and it would
    keep a weak reference to the first ones, were they passed as tf.Variables, and refuse to work
    in a graph once they are gone.

    Args:
        variable: θ, the handle of a tf.Variable.
        momentum: m, the handle of a tf.Variable of θ's shape and dtype.
        gradient: g, of θ's shape, in a dtype that is not wider than the compute dtype.
        learning_rate: η, 0-d, in any floating dtype.
        weight_decay: λ, likewise.
        betas: β1, 1-β1, β2, 1-β2 in float64, the complements formed there (SPEC C4).
        iterations: steps done so far, 0-d, in int64, never negative.
        dtype: the dtype of θ and m.
    """
    run = compiled(dtype, gradient.dtype, learning_rate.dtype, weight_decay.dtype)
    run(variable, momentum, gradient, learning_rate, weight_decay, betas, iterations)


@cache
def compiled(dtype: tf.DType, gradient: tf.DType, rate: tf.DType, decay: tf.DType) -> Any:
    """`update` for arguments of these dtypes: one trace, which XLA compiles for each shape.

    It is traced in a thread of its own. TensorFlow's debuggers (`enable_check_numerics`,
    `enable_dump_debug_info`) put operations, which XLA cannot compile, into all that is traced in
    the thread that has switched them on, and in no other.
    """
    handle, scalar = tf.TensorSpec([], tf.resource), tf.TensorSpec([], tf.int64)
    signature = [
        handle,
        handle,
        tf.TensorSpec(None, gradient),
        tf.TensorSpec([], rate),
        tf.TensorSpec([], decay),
        tf.TensorSpec([4], tf.float64),
        scalar,
    ]
    function = tf.function(
        partial(_update, dtype),
        input_signature=signature,
        jit_compile=True,
        autograph=False,
    )
    with ThreadPoolExecutor(max_workers=1) as elsewhere:
        return elsewhere.submit(function.get_concrete_function).result()


def _update(
    dtype: tf.DType,
    variable: Tensor,
    momentum: Tensor,
    gradient: Tensor,
    learning_rate: Tensor,
    weight_decay: Tensor,
    betas: Tensor,
    iterations: Tensor,
) -> None:
    compute = tf.float64 if dtype == tf.float64 else tf.float32
    zero = tf.minimum(iterations, tf.zeros_like(iterations))

    # Rounded here, where the environment that flushes is the step's own (SPEC C18).
    lr, decay = tf.cast(learning_rate, compute), tf.cast(weight_decay, compute)
    beta_1, complement_1, beta_2, complement_2 = tf.unstack(tf.cast(betas, compute))

    old_theta = tf.raw_ops.ReadVariableOp(resource=variable, dtype=dtype)
    old_m = tf.raw_ops.ReadVariableOp(resource=momentum, dtype=dtype)
    theta, m = tf.cast(old_theta, compute), tf.cast(old_m, compute)
    g = tf.cast(fence(gradient, zero), compute)  # as it was handed over, rounded to its dtype

    a = fence(beta_1 * m, zero)
    b = fence(complement_1 * g, zero)
    u = sign(a + b)
    d = fence(decay * theta, zero)
    s = u + d
    e = fence(lr * s, zero)
    new_theta = stored(theta - e, old_theta, zero, iterations)

    # m' overwrites what θ' reads. Where nothing orders the two loops, XLA copies m first; this
    # zero is known only after θ', so that no copy is needed.
    after = zero_after(new_theta, zero)
    x = fence(beta_2 * m, after)
    y = fence(complement_2 * g, after)
    new_m = stored(x + y, old_m, after, iterations)

    tf.raw_ops.AssignVariableOp(resource=variable, value=new_theta)
    tf.raw_ops.AssignVariableOp(resource=momentum, value=new_m)
