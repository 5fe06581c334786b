"""η, β1, β2 and λ that a Keras optimizer has for its next step, and their change to a run's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import keras
import tensorflow as tf

from lion_ref.run_state import Group
from lion_ref.schedules import Schedule
from lion_tf import scalars
from lion_tf.groups import alike, check_finite, check_schedules
from lion_tf.optimizer import Lion
from lion_tf.schedules import TableSchedule

_LATEST: Final = 2**62
"""The kernel's roundings need fewer iterations than that."""


def steps_done(optimizer: Lion) -> int:
    """How many steps have been done; ValueError if there are gradients of the next."""
    count, every = int(optimizer._iterations.numpy()), _batches(optimizer)
    if count % every:
        raise ValueError(
            f"optimizer has accumulated the gradients of {count % every} of {every} batches, which "
            "would be lost; legal: after a step, before the next gradients"
        )
    return count // every


def numbers_of(
    optimizer: Lion, lr_schedule: Schedule | None, weight_decay_schedule: Schedule | None
) -> Group:
    """η, β1, β2 and λ of the next step."""
    rate, decay = optimizer._learning_rate, optimizer.weight_decay
    if _batches(optimizer) == 1:  # else Keras counts batches, and the schedule is of these
        lr_schedule = lr_schedule or _named(rate)
        weight_decay_schedule = weight_decay_schedule or _named(decay)
    step = steps_done(optimizer)
    return Group(
        lr=optimizer._exact_learning_rate()
        if isinstance(rate, keras.Variable)
        else _number(rate, optimizer, step),
        beta1=optimizer.beta_1,
        beta2=optimizer.beta_2,
        weight_decay=_number(decay, optimizer, step),
        lr_schedule=lr_schedule,
        weight_decay_schedule=weight_decay_schedule,
    )


def check_change(optimizer: Lion, numbers: Group, step: int, dtypes: Sequence[str]) -> int:
    """What the iterations will be; ValueError if the optimizer cannot go on with the numbers."""
    batches = _batches(optimizer)
    if step * batches >= _LATEST:
        raise ValueError(f"step={step} is not legal here; legal: less than {_LATEST // batches}")
    check_finite(numbers, dtypes)
    check_schedules("it", numbers, step, dtypes)
    changed = [
        name
        for name, new, old in (
            ("β1", numbers.beta1, optimizer.beta_1),
            ("β2", numbers.beta2, optimizer.beta_2),
        )
        if new != old
    ]
    for symbol, name, number, schedule, own in _scheduled(optimizer, numbers):
        if schedule is not None:
            if batches > 1:
                raise ValueError(
                    f"it has a schedule of {symbol} by steps, but with gradient_accumulation_steps="
                    f"{batches} Keras counts batches; legal: an optimizer without accumulation"
                )
            changed += [symbol] if schedule != _named(own) else []
        elif callable(own):
            planned = _number(own, optimizer, step)
            if not alike(planned, number, dtypes):
                raise ValueError(
                    f"{name} is {type(own).__name__} here and gives {planned!r} for the step after "
                    f"{step}, but {symbol} is {number!r} in the file; legal: a number, or what "
                    "goes on with the file's"
                )
        elif not isinstance(own, keras.Variable) and (own or 0.0) != number:
            changed.append(symbol)
    if optimizer._traced and changed:
        raise ValueError(
            f"{', '.join(changed)} would change, but TensorFlow has traced a step with what was; "
            "legal: an optimizer that has done no step yet"
        )
    return step * batches


def change(optimizer: Lion, numbers: Group) -> None:
    """Give the optimizer the numbers that were checked; a schedule that goes on with them stays."""
    optimizer.beta_1, optimizer.beta_2 = numbers.beta1, numbers.beta2
    for _, name, number, schedule, own in _scheduled(optimizer, numbers):
        if schedule is not None:
            setattr(optimizer, name, schedule)
        elif not callable(own) or isinstance(own, keras.Variable):
            setattr(optimizer, name, number)


def _scheduled(
    optimizer: Lion, numbers: Group
) -> tuple[tuple[str, str, float, Schedule | None, Any], ...]:
    """Symbol, Keras's name, the run's number and schedule, and what the optimizer has."""
    return (
        ("η", "learning_rate", numbers.lr, numbers.lr_schedule, optimizer._learning_rate),
        (
            "λ",
            "weight_decay",
            numbers.weight_decay,
            numbers.weight_decay_schedule,
            optimizer.weight_decay,
        ),
    )


def _batches(optimizer: Lion) -> int:
    """For each step, whose last one makes it."""
    return optimizer.gradient_accumulation_steps or 1


def _named(value: Any) -> Schedule | None:
    return value.schedule if isinstance(value, TableSchedule) else None


def _number(value: Any, optimizer: Lion, step: int) -> float:
    """What a number, schedule or callable is in the step after `step` of them."""
    batches = _batches(optimizer)
    count = step * batches + batches - 1
    if isinstance(value, TableSchedule):
        return value.schedule(count)
    if isinstance(value, scalars.Schedule):
        value = value(tf.constant(count, tf.int64))
    elif callable(value):
        value = value()
    return 0.0 if value is None else float(value)
