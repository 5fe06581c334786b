"""η, β1, β2, λ from a Keras user's numbers, schedules, callables and variables (SPEC C4, C13)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from lion_ref import schedules
from lion_ref.dtypes import STORAGE_DTYPES, compute_dtype
from lion_ref.flushing import Flush
from lion_ref.hyperparameters import finite_in, non_negative
from lion_tf.schedules import TableSchedule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lion_tf.fence import Tensor

Schedule = keras.optimizers.schedules.LearningRateSchedule


class Scalars(NamedTuple):
    """The scalars of one step: what the kernel takes beside the arrays, and rounds itself.

    learning_rate: η, 0-d, in any floating dtype.
    weight_decay: λ, likewise.
    betas: β1, 1-β1, β2, 1-β2 in float64, the complements formed there.
    iterations: steps done so far, 0-d, in int64, never negative: the kernel's fences rely on it.
    """

    learning_rate: Tensor
    weight_decay: Tensor
    betas: Tensor
    iterations: Tensor


def scalars_for(
    learning_rate: Any, weight_decay: Any, beta_1: float, beta_2: float, iterations: Any
) -> Scalars:
    """The scalars of a step, of numbers, tensors and variables."""
    return Scalars(
        _scalar("learning_rate", learning_rate),
        _scalar("weight_decay", weight_decay),
        tf.constant([beta_1, 1.0 - beta_1, beta_2, 1.0 - beta_2], tf.float64),
        tf.cast(tf.convert_to_tensor(iterations), tf.int64),
    )


def _scalar(name: str, value: Any) -> Tensor:
    """A number in binary64; a tensor or variable as the tensor it is."""
    if isinstance(value, keras.Variable):
        value = value.value
    if not (tf.is_tensor(value) or isinstance(value, tf.Variable)):
        return tf.constant(np.array(value), tf.float64)  # see as_held
    tensor = tf.convert_to_tensor(value)
    if tensor.shape.rank:
        raise TypeError(
            f"{name} is not legal: it has shape {tuple(tensor.shape)}; legal: a number, or a "
            "tensor without axes"
        )
    return tensor


def number_or_schedule(name: str, value: Any) -> Any:
    """A number as binary64; a schedule or a callable, whose values are checked as they come."""
    if isinstance(value, schedules.Schedule):
        return TableSchedule(**asdict(value))
    if isinstance(value, Schedule) or (callable(value) and not isinstance(value, type)):
        return value
    try:
        return non_negative(name, value)
    except TypeError as error:
        raise TypeError(
            f"{error}, a LearningRateSchedule, or a callable without arguments that returns one"
        ) from None


def as_held(value: Any, dtype: str, *, flush: bool) -> Any:
    """What a variable of the dtype is to hold of a number.

    A variable rounds as NumPy does, which keeps subnormals: what it holds would no longer tell
    whether the number was tiny (SPEC C18). And of numbers that are equal, as 0.0 and -0.0 are,
    TensorFlow makes one tensor, unless they are arrays.
    """
    if not isinstance(value, float):
        return value
    number = np.array(value)
    if flush:
        return Flush("flush", number.dtype).narrowed(number, STORAGE_DTYPES[dtype])
    return number


def check_values(scalars: Scalars, variables: Iterable[Any]) -> None:
    """ValueError for what only a step's own numbers show: not for a graph, which has none yet."""
    check_finite("learning_rate", float(scalars.learning_rate), variables)
    check_finite("weight_decay", float(scalars.weight_decay), variables)
    iterations = int(scalars.iterations)
    if iterations < 0:
        raise ValueError(f"iterations={iterations} is not legal; legal: an integer >= 0")


def check_finite(name: str, value: Any, variables: Iterable[Any]) -> None:
    """Refuse a number that is not legal, or no longer finite in a variable's compute dtype."""
    if isinstance(value, TableSchedule):
        value = value.largest
    if isinstance(value, float):
        for compute in {compute_dtype(tf.as_dtype(v.dtype).name).name for v in variables}:
            finite_in(name, value, compute)
