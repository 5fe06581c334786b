"""What is refused before anything is changed (SPEC C2, C3, C13, C14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from lion_ref.dtypes import check_dtypes
from lion_ref.hyperparameters import non_negative

if TYPE_CHECKING:
    from collections.abc import Sequence

Schedule = keras.optimizers.schedules.LearningRateSchedule


def number_or_schedule(name: str, value: Any) -> Any:
    """A number as binary64; a schedule or a callable, whose values are checked as they come."""
    if isinstance(value, Schedule) or (callable(value) and not isinstance(value, type)):
        return value
    try:
        return non_negative(name, value)
    except TypeError as error:
        raise TypeError(
            f"{error}, a LearningRateSchedule, or a callable without arguments that returns one"
        ) from None


def as_gradient(gradient: Any) -> Any:
    """The gradient as a Tensor or IndexedSlices; None stays None, for Keras to filter."""
    if gradient is None or isinstance(gradient, (tf.Tensor, tf.IndexedSlices)):
        return gradient
    return tf.convert_to_tensor(gradient)


def check_gradients(gradients: Sequence[Any], variables: Sequence[Any]) -> list[Any]:
    """The gradients, dense; TypeError or ValueError that names the first pair that is not legal.

    In a graph, a shape that is not known yet is checked as the graph runs: what writes must wait
    for the gradients that are not the ones that were given.
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


def check_iterations(iterations: int) -> None:
    """ValueError unless the number of steps done is one; the kernel's fences rely on it."""
    if iterations < 0:
        raise ValueError(f"iterations={iterations} is not legal; legal: an integer >= 0")


def _checked(gradient: Any, variable: Any) -> Any:
    """The gradient of one variable, dense and of the variable's shape."""
    dtype = tf.as_dtype(variable.dtype).name
    try:
        check_dtypes(dtype, dtype, gradient.dtype.name)
    except TypeError as error:
        raise TypeError(f"variable {_name(variable)!r}: {error}") from None
    _check_shape(gradient, variable)
    if isinstance(gradient, tf.IndexedSlices):
        gradient = _dense(gradient, variable)
        _check_shape(gradient, variable)
    if gradient.shape.is_fully_defined():
        return gradient
    return tf.ensure_shape(gradient, variable.shape)  # a single row would be broadcast


def _check_shape(gradient: Any, variable: Any) -> None:
    if not gradient.shape.is_compatible_with(variable.shape):
        raise ValueError(
            f"variable {_name(variable)!r}: grad has shape {tuple(gradient.shape)}, but the "
            f"variable has shape {tuple(variable.shape)}; legal: the variable's shape"
        )


def _dense(gradient: Any, variable: Any) -> Any:
    """IndexedSlices as a Tensor; slices that do not know their dense shape are the variable's."""
    if tf.executing_eagerly():  # TensorFlow drops negative rows, and on a GPU rows beyond the last
        rows = variable.shape[0] if variable.shape else 0
        indices = gradient.indices.numpy()
        outside = indices[(indices < 0) | (indices >= rows)]
        if outside.size:
            raise ValueError(
                f"variable {_name(variable)!r}: grad has the index {outside[0]}; legal: an "
                f"integer in range({rows})"
            )
    if gradient.dense_shape is None:
        shape = tf.constant(list(variable.shape), gradient.indices.dtype)
        gradient = tf.IndexedSlices(gradient.values, gradient.indices, shape)
    return tf.convert_to_tensor(gradient)


def _name(variable: Any) -> str:
    name: str = getattr(variable, "path", variable.name)
    return name
