"""The kernel's graph run by NumPy: a device that keeps subnormals, where there is no GPU.

NumPy contracts nothing, folds nothing and keeps subnormals, so what a graph does about them is all
its own: on a CPU, XLA would flush whatever the graph says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from lion_ref.arithmetic import Array
from lion_tf import kernel
from tests.lion_tf.doors import Pair


def run_by_numpy(
    theta: Array, m: Array, g: Array, scalars: dict[str, float], *, flushed: bool
) -> Pair:
    """(θ', m') of one step by the graph of these dtypes."""
    dtype, double = tf.as_dtype(theta.dtype), tf.float64
    graph = kernel.compiled(dtype, tf.as_dtype(g.dtype), double, double, flushed).graph
    betas = [x for beta in (scalars["beta1"], scalars["beta2"]) for x in (beta, 1 - beta)]
    rates = [np.float64(scalars[name]) for name in ("lr", "weight_decay")]
    given = ["theta", "m", g, *rates, np.array(betas), np.int64(3)]
    known = dict(zip((x.name for x in graph.inputs), given, strict=True))
    variables = {"theta": theta, "m": m}
    written = {}
    with np.errstate(all="ignore"):
        for operation in graph.get_operations():
            operands = [known[x.name] for x in operation.inputs]
            if operation.type == "AssignVariableOp":
                written[operands[0]] = operands[1]
            elif operation.type == "Unpack":
                known |= zip((x.name for x in operation.outputs), operands[0], strict=True)
            elif operation.type == "ReadVariableOp":
                known[operation.outputs[0].name] = variables[operands[0]]
            elif operation.type != "Placeholder":
                (output,) = operation.outputs
                result = OPERATIONS[operation.type](operation, *operands)
                known[output.name] = np.asarray(result, output.dtype.as_numpy_dtype)
    return written["theta"], written["m"]


def _cast(operation: Any, x: Array) -> Any:
    return x.astype(operation.outputs[0].dtype.as_numpy_dtype)


def _bitcast(operation: Any, x: Array) -> Any:
    return np.ascontiguousarray(x).view(operation.outputs[0].dtype.as_numpy_dtype).reshape(x.shape)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "Abs": lambda _, a: np.abs(a),
    "AddV2": lambda _, a, b: a + b,
    "Bitcast": _bitcast,
    "BitwiseAnd": lambda _, a, b: a & b,
    "BitwiseXor": lambda _, a, b: a ^ b,
    "Cast": _cast,
    "Const": lambda operation: tf.make_ndarray(operation.get_attr("value")),
    "Equal": lambda _, a, b: a == b,
    "Less": lambda _, a, b: a < b,
    "Minimum": lambda _, a, b: np.minimum(a, b),
    "Mul": lambda _, a, b: a * b,
    "Reshape": lambda _, a, shape: a.reshape(shape),
    "SelectV2": lambda _, which, yes, no: np.where(which, yes, no),
    "Sign": lambda _, a: np.where(a == 0, a, np.sign(a)),
    "StridedSlice": lambda _, a, begin, end, step: a[begin[0] : end[0] : step[0]],
    "Sub": lambda _, a, b: a - b,
    "Sum": lambda _, a, __: a.sum(),
    "ZerosLike": lambda _, a: np.zeros_like(a),
}
