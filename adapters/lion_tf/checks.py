"""What is refused before anything is changed (SPEC C2, C3, C13, C14)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from lion_ref.dtypes import check_dtypes
from lion_ref.hyperparameters import NON_NEGATIVE, non_negative

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


def finite_in(name: str, value: float, dtype: str) -> None:
    """ValueError unless value is legal, and still finite when rounded to the compute dtype."""
    with np.errstate(over="ignore"):
        rounded = float(np.dtype(dtype).type(non_negative(name, value)))
    if not math.isfinite(rounded):
        raise ValueError(
            f"{name}={value!r} is not legal; legal: {NON_NEGATIVE}, finite also in {dtype}"
        )


def as_gradient(gradient: Any) -> Any:
    """The gradient as a Tensor or IndexedSlices; None stays None, for Keras to filter."""
    if gradient is None or isinstance(gradient, (tf.Tensor, tf.IndexedSlices)):
        return gradient
    return tf.convert_to_tensor(gradient)


def check_gradients(gradients: Sequence[Any], variables: Sequence[Any]) -> None:
    """TypeError or ValueError that names the first pair that is not legal."""
    if len(gradients) != len(variables):
        raise ValueError(
            f"grads has {len(gradients)} entries, but trainable_variables has {len(variables)}; "
            "legal: one gradient, or None, for each variable"
        )
    for gradient, variable in zip(gradients, variables, strict=True):
        if gradient is None or getattr(variable, "overwrite_with_gradient", False):
            continue
        name = getattr(variable, "path", variable.name)
        dtype = tf.as_dtype(variable.dtype).name
        try:
            check_dtypes(dtype, dtype, gradient.dtype.name)
        except TypeError as error:
            raise TypeError(f"variable {name!r}: {error}") from None
        if not gradient.shape.is_compatible_with(variable.shape):
            raise ValueError(
                f"variable {name!r}: grad has shape {tuple(gradient.shape)}, but the variable has "
                f"shape {tuple(variable.shape)}; legal: the variable's shape"
            )
