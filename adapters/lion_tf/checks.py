"""What is refused before anything is changed (SPEC C2, C3, C13, C14)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from lion_ref.dtypes import check_dtypes


def check_gradients(gradients: Sequence[Any], variables: Sequence[Any]) -> list[Any]:
    """The gradients, dense; TypeError or ValueError that names the first pair that is not legal.

    In a graph, what is not known yet is checked as the graph runs: what writes must wait for the
    gradients that `is_known` is not true of.
    """
    if len(gradients) != len(variables):
        raise ValueError(
            f"grads has {len(gradients)} entries, but trainable_variables has {len(variables)}; "
            "legal: one gradient, or None, for each variable"
        )
    return [
        gradient
        if gradient is None or getattr(variable, "overwrite_with_gradient", False)
        else _checked(gradient, variable)
        for gradient, variable in zip(gradients, variables, strict=True)
    ]


def is_known(gradient: Any) -> bool:
    """Whether a gradient, as it was given, can be refused before a graph runs."""
    if isinstance(gradient, tf.IndexedSlices):
        return False  # its rows may be any
    return not isinstance(gradient, tf.Tensor) or gradient.shape.is_fully_defined()


def _checked(gradient: Any, variable: Any) -> Any:
    """The gradient of one variable, dense and of the variable's shape."""
    try:
        if isinstance(gradient, tf.IndexedSlices):
            gradient = _dense(gradient, variable)
        else:
            gradient = _numbers("grad", gradient, variable)
            _check_dtype(gradient, variable)
        _check_shape(gradient.shape, variable)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"variable {path(variable)!r}: {error}") from None
    # Of an unknown shape, a single row would be broadcast. Of a known one, this is an operation for
    # tf.debugging.enable_check_numerics to find a NaN in, before anything is changed.
    return tf.ensure_shape(gradient, variable.shape)


def _check_dtype(gradient: Any, variable: Any) -> None:
    dtype = tf.as_dtype(variable.dtype).name
    check_dtypes(dtype, dtype, gradient.dtype.name)


def _check_shape(shape: Any, variable: Any) -> None:
    if not shape.is_compatible_with(variable.shape):
        raise ValueError(
            f"grad has shape {tuple(shape)}, but the variable has shape {tuple(variable.shape)}; "
            "legal: the variable's shape"
        )


def _tensor(what: str, value: Any) -> Any:
    """What a Tensor can be made of, as Keras would: an array, a list, a variable."""
    try:
        return tf.convert_to_tensor(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"{what} is of type {type(value).__name__}; legal: a Tensor, or what TensorFlow can "
            "make one of"
        ) from None


def _numbers(what: str, value: Any, variable: Any) -> Any:
    """A Tensor, of Python's numbers in binary64 where a float64 variable can take them so."""
    tensor = _tensor(what, value)
    if tensor.dtype == tf.float32 and tf.as_dtype(variable.dtype) == tf.float64:
        leaves = tf.nest.flatten(value)
        if any(isinstance(x, float) for x in leaves) and not any(map(tf.is_tensor, leaves)):
            return tf.convert_to_tensor(value, tf.float64)
    return tensor


def _dense(slices: Any, variable: Any) -> Any:
    """IndexedSlices of whatever can be made a Tensor, as the Tensor that they stand for."""
    if not len(variable.shape):
        raise ValueError(
            "grad is IndexedSlices, but the variable has shape (), without rows; legal: a dense "
            "gradient"
        )
    values = _numbers("the values of grad", slices.values, variable)
    _check_dtype(values, variable)
    rows = _rows(slices.dense_shape, variable)
    indices = _indices(slices.indices, variable.shape[0])
    ranks = values.shape.rank, indices.shape.rank
    if None not in ranks and not values.shape[: ranks[1]].is_compatible_with(indices.shape):
        raise ValueError(
            f"grad has values of shape {tuple(values.shape)} for indices of shape "
            f"{tuple(indices.shape)}; legal: one row of values for each index"
        )
    return tf.math.unsorted_segment_sum(values, indices, rows)


def _indices(given: Any, rows: int) -> Any:
    """Indices as int32 or int64, which TensorFlow has operations for on every device."""
    indices = _tensor("the indices of grad", given)
    if indices.shape.num_elements() == 0:
        return tf.zeros(indices.shape, tf.int64)  # an empty list does not say of what
    if not indices.dtype.is_integer:
        raise TypeError(
            f"grad has indices of dtype {indices.dtype.name}; legal: integers in range({rows})"
        )
    known = tf.get_static_value(indices)
    if known is not None:  # TensorFlow drops negative rows, and on a GPU rows beyond the last
        outside = known[(known < 0) | (known >= rows)]
        if outside.size:
            raise ValueError(f"grad has the index {outside[0]}; legal: an integer in range({rows})")
    return indices if indices.dtype in {tf.int32, tf.int64} else tf.cast(indices, tf.int64)


def _rows(dense_shape: Any, variable: Any) -> Any:
    """The number of rows: the variable's, unless a graph has yet to compute the dense shape."""
    rows, known = variable.shape[0], dense_shape
    if dense_shape is None:
        return rows
    if any(map(tf.is_tensor, tf.nest.flatten(dense_shape))):  # one, or several of one number each
        dense_shape = _tensor("the dense_shape of grad", dense_shape)
        known = tf.get_static_value(dense_shape)
        if known is None:
            _check_open_shape(dense_shape, variable)
            known = tf.get_static_value(dense_shape, partial=True)
    try:
        shape = tf.TensorShape(known)
    except (TypeError, ValueError):
        raise TypeError(
            f"grad has the dense_shape {np.asarray(known).tolist()}; legal: the variable's shape, "
            f"{tuple(variable.shape)}, or None"
        ) from None
    _check_shape(shape, variable)
    return rows if shape.is_fully_defined() or not tf.is_tensor(dense_shape) else dense_shape[0]


def _check_open_shape(dense_shape: Any, variable: Any) -> None:
    axes = [len(variable.shape)]
    if not dense_shape.dtype.is_integer or not dense_shape.shape.is_compatible_with(axes):
        raise TypeError(
            f"grad has a dense_shape of dtype {dense_shape.dtype.name} and shape "
            f"{dense_shape.shape}; legal: integers of shape {tuple(axes)}, the variable's shape, "
            f"{tuple(variable.shape)}, or None"
        )


def path(variable: Any) -> str:
    """What Keras calls a variable in its model; a variable of TensorFlow's own has a name."""
    name: str = getattr(variable, "path", variable.name)
    return name.partition(":")[0]
