"""lion_ref's schedules as Keras', looked up in a table that is formed in binary64 (SPEC C35)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from lion_ref.schedules import Schedule

if TYPE_CHECKING:
    from lion_tf.fence import Tensor


@keras.saving.register_keras_serializable(package="lion_tf")
class TableSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A `lion_ref.schedules.Schedule` by the iterations, in float64: the step rounds it once.

    `Lion` makes one of every Schedule that it is given. Before the first step η is the table's
    first number, and after its end the last.

    Args:
        name, first, last, steps, warmup: those of `lion_ref.schedules.Schedule`.

    >>> float(TableSchedule("linear", first=0.5, last=0.25, steps=2)(1))
    0.375
    """

    def __init__(self, name: Any, first: Any, last: Any = 0.0, steps: Any = 1, warmup: Any = 0):
        super().__init__()
        self.schedule = Schedule(name, first, last, steps, warmup)
        self._table: Tensor | None = None

    def __call__(self, step: Any) -> Tensor:
        """η for the step after `step` steps."""
        if self._table is None:
            # Outside of a graph that is being traced, which takes it as an input then: as one of
            # its constants it would be folded, and copied by every trace.
            with tf.init_scope():
                self._table = tf.constant(self.schedule.table())
        last = self._table.shape[0] - 1
        place = tf.clip_by_value(tf.cast(tf.convert_to_tensor(step), tf.int64), 0, last)
        return tf.gather(self._table, place)

    @property
    def largest(self) -> float:
        """The largest number of the schedule, which is its first or its last."""
        return max(self.schedule.first, self.schedule.last)

    def get_config(self) -> dict[str, Any]:
        """The schedule in words that JSON carries."""
        return asdict(self.schedule)
