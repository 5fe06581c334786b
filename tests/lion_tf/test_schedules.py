"""lion_ref's schedules in a Keras optimizer: each number is rounded once, in every mode (C35)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import lion_ref
from lion_ref.schedules import Schedule
from lion_tf import Lion
from lion_tf.schedules import TableSchedule
from tests.lion_tf.doors import DOORS, SEMANTICS, difference, normal, run
from tests.lion_tf.test_saving import model, same_state, train

LR = Schedule("cosine", first=1e-2, last=1e-4, steps=3, warmup=2)
DECAY = Schedule("exponential", first=0.3, last=0.1, steps=4)
STEPS = 8


def expected(theta: Any, momentum: Any, gradients: Any) -> list[Any]:
    states = []
    for step, gradient in enumerate(gradients):
        theta, momentum = lion_ref.step(
            theta,
            momentum,
            gradient,
            lr=LR(step),
            weight_decay=DECAY(step),
            semantics=SEMANTICS,
        )
        states.append((theta, momentum))
    return states


def differs(door: str, dtype: str, opt: Any) -> str:
    theta, momentum = normal(0, (5,), dtype, dtype)
    gradients = normal(1, (STEPS, 5), dtype)[0]
    return difference(
        run(opt, door, theta, momentum, gradients), expected(theta, momentum, gradients)
    )


@DOORS
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
@pytest.mark.clause("C35")
def test_every_step_has_the_schedules_numbers(door: str, dtype: str) -> None:
    assert not differs(door, dtype, Lion(LR, weight_decay=DECAY))


@pytest.mark.parametrize("door", ["eager", "xla"])
def test_a_schedule_in_float32_is_rejected(door: str) -> None:
    """Keras's own cosine has other bits in float64, and rounds twice for float32."""
    theirs = keras.optimizers.schedules.CosineDecay(
        0.0, 3, 0.01, warmup_target=1e-2, warmup_steps=2
    )
    assert differs(door, "float64", Lion(theirs, weight_decay=DECAY))


@pytest.mark.parametrize("wrong", ["a step late", "not clamped"])
def test_another_place_in_the_table_is_rejected(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(self: Any, step: Any) -> Any:
        table = self.schedule.table()
        late = wrong == "a step late"
        place = tf.cast(tf.convert_to_tensor(step), tf.int64) + int(late)
        size = len(table)
        return tf.gather(tf.constant(table), tf.minimum(place, size - 1) if late else place % size)

    monkeypatch.setattr(TableSchedule, "__call__", call)
    assert differs("eager", "float32", Lion(LR, weight_decay=DECAY))


@pytest.mark.clause("C35")
def test_the_table_stays_at_its_ends() -> None:
    schedule = TableSchedule("linear", first=1.0, last=0.5, steps=2)
    assert [float(schedule(step)) for step in (-1, 0, 1, 2, 3, 2**62)] == [
        1,
        1,
        0.75,
        0.5,
        0.5,
        0.5,
    ]
    assert schedule(np.int32(0)).dtype == tf.float64


@pytest.mark.clause("C35")
def test_a_saved_model_goes_on_with_its_schedule(tmp_path: Path) -> None:
    whole, part = (model(Lion(LR, weight_decay=DECAY), jit_compile=True) for _ in range(2))
    train(whole, 2)
    train(part, 1)
    part.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.get_config() == part.optimizer.get_config()
    assert loaded.optimizer._learning_rate.schedule == LR
    assert loaded.optimizer.weight_decay.schedule == DECAY
    train(loaded, 1)
    assert same_state(whole, loaded)


@pytest.mark.clause("C13", "C35")
def test_a_schedule_beyond_the_compute_dtype_is_refused_before_the_first_step() -> None:
    variables = [keras.Variable([1.0])]
    with pytest.raises(ValueError, match=r"^learning_rate=1e\+300 is not legal; legal: .*float32$"):
        Lion(Schedule("linear", first=0.1, last=1e300)).build(variables)
    Lion(Schedule("linear", first=0.1, last=1e300)).build([keras.Variable([1.0], dtype="float64")])


@pytest.mark.clause("C35")
def test_a_schedule_can_be_set_later() -> None:
    opt = Lion(0.5)
    opt.learning_rate = LR
    opt.weight_decay = DECAY
    assert float(opt.learning_rate) == LR(0)
    assert float(opt.weight_decay(3)) == DECAY(3)
