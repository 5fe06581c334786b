"""The update of one variable as XLA compiles it: C5's roundings, in place, in two loops.

Every mode of TensorFlow runs this one function: eager and `tf.function` call it as a compiled
cluster, `jit_compile=True` inlines it. That is what makes their bits equal, and it is also the
fastest of them: op by op, each line below would be a pass over memory and a temporary of the
variable's size.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from lion_tf.fence import fence, zero_after
from lion_tf.operations import FlushedOperations, Operations
from lion_tf.rounding import stored

if TYPE_CHECKING:
    from lion_tf.fence import Tensor
    from lion_tf.scalars import Scalars


def sign(c: Tensor) -> Tensor:
    """-1, +0, +1 or NaN; tf.sign keeps the sign of a zero (SPEC C7)."""
    return tf.where(tf.equal(c, 0), tf.zeros_like(c), tf.sign(c))


def update(
    variable: Tensor,
    momentum: Tensor,
    gradient: Tensor,
    scalars: Scalars,
    dtype: tf.DType,
    *,
    flushed: bool = False,
) -> None:
    """One step of Lion on a variable and its momentum, in place (SPEC C5).

    θ and m are passed as resource handles: a trace serves all variables of a dtype, and it would
    keep a weak reference to the first ones, were they passed as tf.Variables, and refuse to work
    in a graph once they are gone.

    Args:
        variable: θ, the handle of a tf.Variable.
        momentum: m, the handle of a tf.Variable of θ's shape and dtype.
        gradient: g, of θ's shape, in a dtype that is not wider than the compute dtype.
        scalars: η, λ, the betas and the number of steps done.
        dtype: the dtype of θ and m.
        flushed: whether to flush subnormals on a device that keeps them (SPEC C33).
    """
    rate, decay = scalars.learning_rate.dtype, scalars.weight_decay.dtype
    step = compiled(dtype, gradient.dtype, rate, decay, flushed)
    step(variable, momentum, gradient, *scalars)


@cache
def compiled(
    dtype: tf.DType, gradient: tf.DType, rate: tf.DType, decay: tf.DType, flushed: bool = False
) -> Any:
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
        partial(_update, dtype, flushed),
        input_signature=signature,
        jit_compile=True,
        autograph=False,
    )
    with ThreadPoolExecutor(max_workers=1) as elsewhere:
        return elsewhere.submit(function.get_concrete_function).result()


def _update(
    dtype: tf.DType,
    flushed: bool,
    variable: Tensor,
    momentum: Tensor,
    gradient: Tensor,
    learning_rate: Tensor,
    weight_decay: Tensor,
    betas: Tensor,
    iterations: Tensor,
) -> None:
    compute = tf.float64 if dtype == tf.float64 else tf.float32
    ops = FlushedOperations(compute) if flushed else Operations(compute)
    zero = tf.minimum(iterations, tf.zeros_like(iterations))

    # Rounded here, where the environment that flushes is the step's own (SPEC C18).
    lr, decay = ops.scalar(learning_rate), ops.scalar(weight_decay)
    beta_1, complement_1, beta_2, complement_2 = tf.unstack(ops.scalar(betas))

    old_theta = tf.raw_ops.ReadVariableOp(resource=variable, dtype=dtype)
    old_m = tf.raw_ops.ReadVariableOp(resource=momentum, dtype=dtype)
    theta, m = ops.load(old_theta), ops.load(old_m)
    g = ops.load(fence(gradient, zero))  # as it was handed over, rounded to its dtype

    a = fence(ops.product(beta_1, m), zero)
    b = fence(ops.product(complement_1, g), zero)
    u = sign(ops.add(a, b))
    d = fence(ops.product(decay, theta), zero)
    s = ops.add(u, d)
    e = fence(ops.product(lr, s), zero)
    new_theta = stored(ops.subtract(theta, e), old_theta, zero, iterations)

    # m' overwrites what θ' reads. Where nothing orders the two loops, XLA copies m first; this
    # zero is known only after θ', so that no copy is needed.
    after = zero_after(new_theta, zero)
    x = fence(ops.product(beta_2, m), after)
    y = fence(ops.product(complement_2, g), after)
    new_m = stored(ops.add(x, y), old_m, after, iterations)

    tf.raw_ops.AssignVariableOp(resource=variable, value=new_theta)
    tf.raw_ops.AssignVariableOp(resource=momentum, value=new_m)
