"""A run that is saved, loaded and continued has the bits of one that never stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lion_ref.arithmetic import same_bits
from lion_tf import Lion
from tests.lion_tf.doors import difference, normal, reference

Piecewise = keras.optimizers.schedules.PiecewiseConstantDecay
ARGUMENTS: dict[str, Any] = {
    "learning_rate": 3e-4,
    "beta_1": 0.95,
    "beta_2": 0.98,
    "weight_decay": 0.3,
    "clipnorm": 2.0,
    "use_ema": True,
    "ema_momentum": 0.9,
    "ema_overwrite_frequency": 5,
    "loss_scale_factor": 8.0,
    "gradient_accumulation_steps": 3,
    "name": "mine",
}


def model(optimizer: Any, **mode: bool) -> Any:
    keras.utils.set_random_seed(0)
    result = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(1)])
    result.compile(optimizer, loss="mse", **mode)
    return result


def train(trained: Any, epochs: int) -> None:
    inputs, targets = normal(1, (16, 4), "float32", "float32")
    trained.fit(inputs, targets[:, :1], batch_size=4, epochs=epochs, shuffle=False, verbose=0)


def same_state(first: Any, second: Any) -> bool:
    """Whether models and optimizers agree in every bit of every variable."""
    pairs = [
        *zip(first.variables, second.variables, strict=True),
        *zip(first.optimizer.variables, second.optimizer.variables, strict=True),
    ]
    return all(
        a.dtype == b.dtype
        and (
            bool(same_bits(a.numpy(), b.numpy()).all()) if "float" in a.dtype else int(a) == int(b)
        )
        for a, b in pairs
    )


def lion(**changes: Any) -> Any:
    return Lion(**({"learning_rate": 1e-3, "weight_decay": 0.1} | changes))


def test_config_makes_the_same_optimizer() -> None:
    config = Lion(**ARGUMENTS).get_config()
    assert {name: config[name] for name in ARGUMENTS} == ARGUMENTS
    assert Lion.from_config(config).get_config() == config


def test_the_learning_rate_in_the_config_is_the_one_that_was_set() -> None:
    opt = Lion(1e-4)
    assert opt.get_config()["learning_rate"] == 1e-4  # not float32's 9.999999747378752e-05
    opt.learning_rate = 3e-4
    assert opt.get_config()["learning_rate"] == 3e-4
    opt._learning_rate.assign(0.7)  # as loading does
    assert opt.get_config()["learning_rate"] == float(np.float32(0.7))


def test_schedules_survive_the_config() -> None:
    opt = Lion(Piecewise([1], [0.5, 0.25]), weight_decay=Piecewise([2], [0.125, 0.0]))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(opt))
    assert isinstance(again, Lion)
    assert again.get_config() == opt.get_config()
    assert float(again.weight_decay(3)) == 0.0


def test_registered_for_serialization() -> None:
    assert keras.saving.get_registered_name(Lion) == "lion_tf>Lion"
    assert keras.saving.get_registered_object("lion_tf>Lion") is Lion


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, marks=pytest.mark.slow),
        {"learning_rate": Piecewise([6], [1e-2, 1e-3]), "weight_decay": Piecewise([6], [0.5, 0.1])},
        {"use_ema": True, "gradient_accumulation_steps": 3},
    ],
    ids=["plain", "schedules", "accumulated"],
)
def test_a_saved_model_continues_bit_for_bit(changes: dict[str, Any], tmp_path: Path) -> None:
    whole, part = (model(lion(**changes), jit_compile=True) for _ in range(2))
    train(whole, 2)
    train(whole, 1)
    train(part, 2)
    part.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, Lion)
    assert same_state(part, loaded)
    assert not same_state(whole, loaded)
    train(loaded, 1)
    assert same_state(whole, loaded)


def test_a_checkpoint_continues_bit_for_bit(tmp_path: Path) -> None:
    whole, part, other = (model(lion(), jit_compile=False) for _ in range(3))
    train(whole, 3)
    train(part, 2)
    path = tf.train.Checkpoint(model=part, optimizer=part.optimizer).save(tmp_path / "checkpoint")
    restored = tf.train.Checkpoint(model=other, optimizer=other.optimizer).restore(path)
    train(other, 1)
    restored.assert_existing_objects_matched()
    assert same_state(whole, other)


@pytest.mark.parametrize("how", ["weights", "checkpoint", "set_weights"])
def test_keras_own_lion_is_taken_over(how: str, tmp_path: Path) -> None:
    theirs, ours = (model(opt, run_eagerly=True) for opt in (keras.optimizers.Lion(2e-3), lion()))
    train(theirs, 2)
    ours.optimizer.build(ours.trainable_variables)
    if how == "weights":
        theirs.save_weights(tmp_path / "model.weights.h5")
        ours.load_weights(tmp_path / "model.weights.h5")
    elif how == "checkpoint":
        path = tf.train.Checkpoint(model=theirs, optimizer=theirs.optimizer).save(tmp_path / "c")
        checkpoint = tf.train.Checkpoint(model=ours, optimizer=ours.optimizer)
        checkpoint.restore(path).assert_existing_objects_matched()
    else:
        ours.set_weights(theirs.get_weights())
        ours.optimizer.set_weights([w.numpy() for w in theirs.optimizer.variables])
    assert same_state(theirs, ours)  # the learning rate, the iterations, the momenta
    kernel, momentum = (
        x.numpy() for x in (ours.trainable_variables[0], ours.optimizer.variables[2])
    )
    gradients = [np.ones(v.shape, np.float32) for v in ours.trainable_variables]
    ours.optimizer.apply([tf.constant(g) for g in gradients])
    after = ours.trainable_variables[0].numpy(), ours.optimizer.variables[2].numpy()
    rate = float(np.float32(2e-3))
    expected = reference(kernel, momentum, gradients[:1], lr=rate, weight_decay=0.1)
    assert not difference([after], expected)


def test_a_model_of_keras_own_lion_loads_with_ours_in_a_float64_model(tmp_path: Path) -> None:
    """The learning rate is float64 here and float32 there; loading widens it."""

    def build(optimizer: Any) -> Any:
        layer = keras.layers.Dense(1, dtype="float64")
        result = keras.Sequential([keras.Input((4,), dtype="float64"), layer])
        result.compile(optimizer, loss="mse")
        return result

    theirs, ours = build(keras.optimizers.Lion(2e-3)), build(lion())
    train(theirs, 1)
    ours.optimizer.build(ours.trainable_variables)
    theirs.save_weights(tmp_path / "model.weights.h5")
    ours.load_weights(tmp_path / "model.weights.h5")
    assert ours.optimizer.learning_rate.dtype == "float64"
    assert float(ours.optimizer.learning_rate) == float(np.float32(2e-3))


def test_a_float64_model_keeps_its_learning_rate_through_saving(tmp_path: Path) -> None:
    saved = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, dtype="float64")])
    saved.compile(lion(learning_rate=0.1), loss="mse")
    train(saved, 1)
    saved.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert same_state(saved, loaded)
    assert float(loaded.optimizer.learning_rate) == 0.1
    assert [v.name for v in loaded.optimizer.variables[:2]] == ["iteration", "learning_rate"]
