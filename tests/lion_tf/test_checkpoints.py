"""Keras's own files: what of a run is read there, and what is written into a copy (C34)."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from lion_ref.arithmetic import all_same_bits
from lion_ref.run_state import Checkpoint, Group
from lion_ref.schedules import Schedule
from lion_tf import Lion, checkpoints, paired, stored

LR = Schedule("linear", first=0.5, last=0.25, steps=8)
RATES: dict[str, Any] = {
    "learning_rate": 0.1,
    "beta_1": 0.8,
    "beta_2": 0.95,
    "weight_decay": 0.3,
}
NUMBERS = Group(lr=0.1, beta1=0.8, beta2=0.95, weight_decay=0.3)


def sequential(**kind: Any) -> Any:
    return keras.Sequential(
        [keras.Input((4,), **kind), *(layers.Dense(4, **kind) for _ in range(3))]
    )


def functional() -> Any:
    """Layers in an order that is not the alphabet's, and some of whose momenta look alike."""
    x = inputs = keras.Input((4,))
    x = layers.Dense(8, name="z")(x)
    x = layers.BatchNormalization(name="b")(x)
    x = layers.Dense(8, name="a")(x)
    x = layers.BatchNormalization(center=False)(x)
    x = layers.Dropout(0.1, seed=0)(x)
    x = layers.Reshape((2, 4))(x)
    x = layers.MultiHeadAttention(2, 2)(x, x)
    x = layers.LayerNormalization()(x)
    x = layers.Bidirectional(layers.LSTM(2))(x)
    x = keras.Sequential([layers.Dense(4), layers.LayerNormalization(), layers.Dense(4)])(x)
    frozen = layers.Dense(4, trainable=False)
    return keras.Model(inputs, layers.Dense(1)(frozen(x)))


class Subclassed(keras.Model):
    """Each of its layers has other shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.zed = layers.Dense(3)
        self.blocks = [layers.Dense(5), layers.LayerNormalization(), layers.Dense(2)]
        self.a = layers.Dense(1)

    def call(self, inputs: Any) -> Any:
        x = self.zed(inputs)
        for block in self.blocks:
            x = block(x)
        return self.a(x)


class Alike(Subclassed):
    """Two of its layers have the same shapes, and nothing says which is first."""

    def __init__(self) -> None:
        keras.Model.__init__(self)
        self.zed, self.blocks, self.a = layers.Dense(4), [layers.Dense(4)], layers.Dense(1)


def trained(model: Any, optimizer: Any = None, **options: Any) -> Any:
    """The model after two steps, with numbers that tell every variable and momentum."""
    model.compile(optimizer or Lion(**RATES), loss="mse", run_eagerly=True, **options)
    inputs = np.ones((4, 4), np.float32)
    model.fit(inputs, np.ones((4, 1), np.float32), batch_size=2, verbose=0)
    rng = np.random.default_rng(0)
    for v in (*model.trainable_variables, *momenta(model)):
        v.value.assign(tf.cast(rng.standard_normal(v.shape), v.dtype))
    return model


def momenta(model: Any) -> list[Any]:
    return list(model.optimizer._momentums)


def same(checkpoint: Checkpoint, model: Any) -> bool:
    """Whether the tensors are the model's, each with its momentum."""
    pairs = zip(model.trainable_variables, momenta(model), strict=True)
    return len(checkpoint.tensors) == len(momenta(model)) and all(
        all_same_bits(a, b.numpy())
        for ours, theirs in zip(checkpoint.tensors.values(), pairs, strict=True)
        for a, b in zip(ours, theirs, strict=True)
    )


MODELS: dict[str, Callable[[], Any]] = {
    "sequential": sequential,
    "functional": functional,
    "subclassed": Subclassed,
    "float64": lambda: sequential(dtype="float64"),
    "bfloat16": lambda: sequential(dtype="bfloat16"),
    "float16": lambda: sequential(dtype="float16"),
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.clause("C34")
def test_a_saved_model_is_read(kind: str, tmp_path: Path) -> None:
    model = trained(MODELS[kind](), metrics=["mae"])
    model.save(tmp_path / "model.keras")
    found = checkpoints.read(tmp_path / "model.keras")
    assert same(found, model)
    assert (found.step, len(found.groups)) == (2, 1)
    group = found.groups[0]
    assert (group.lr, group.beta1, group.beta2, group.weight_decay) == (0.1, 0.8, 0.95, 0.3)
    assert group.names == tuple(found.tensors)


@pytest.mark.parametrize("kind", ["sequential", "subclassed", "bfloat16"])
@pytest.mark.clause("C34")
def test_saved_weights_are_read_with_numbers_beside_them(kind: str, tmp_path: Path) -> None:
    model = trained(MODELS[kind]())
    model.save_weights(tmp_path / "model.weights.h5")
    found = checkpoints.read(tmp_path / "model.weights.h5", numbers=NUMBERS)
    assert same(found, model)
    assert (found.step, found.groups[0].beta2) == (2, 0.95)
    assert checkpoints.read(tmp_path / "model.weights.h5", step=7, numbers=NUMBERS).step == 7


@pytest.mark.clause("C34")
def test_keras_own_lion_is_read(tmp_path: Path) -> None:
    model = trained(sequential(), keras.optimizers.Lion(**RATES))
    model.optimizer.learning_rate = 0.05
    model.save(tmp_path / "model.keras")
    found = checkpoints.read(tmp_path / "model.keras")
    assert same(found, model)
    assert found.groups[0].lr == float(np.float32(0.05))  # the config has what was set at first
    assert list(found.tensors)[:3] == [
        "layers/dense/vars/0",
        "layers/dense/vars/1",
        "layers/dense_1/vars/0",
    ]


@pytest.mark.clause("C30", "C34", "C35")
def test_schedules_and_variables_without_a_decay_are_read(tmp_path: Path) -> None:
    decay = Schedule("constant", first=0.25)
    optimizer = Lion(LR, weight_decay=decay)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model = trained(sequential(), optimizer)
    model.save(tmp_path / "model.keras")
    found = checkpoints.read(tmp_path / "model.keras")
    assert same(found, model)
    decays, bare = found.groups
    assert all(name.endswith("/0") for name in decays.names or ())
    assert all(name.endswith("/1") for name in bare.names or ())
    assert (decays.lr, decays.lr_schedule, decays.weight_decay) == (LR(2), LR, 0.25)
    assert (decays.weight_decay_schedule, bare.weight_decay_schedule) == (decay, None)
    assert (bare.lr_schedule, bare.weight_decay) == (LR, 0.0)


# What is written.


@pytest.mark.parametrize(
    ("kind", "form"),
    [("functional", "model.keras"), ("bfloat16", "model.keras"), ("bfloat16", "model.weights.h5")],
)
@pytest.mark.clause("C34")
def test_a_run_is_written_into_a_copy(kind: str, form: str, tmp_path: Path) -> None:
    keras.utils.clear_session()
    source, target = trained(MODELS[kind]()), trained(MODELS[kind](), Lion(0.5))
    for v in (*target.trainable_variables, *momenta(target)):
        v.value.assign(tf.zeros(v.shape, v.dtype))
    source.save(tmp_path / "source.keras")
    like, new = tmp_path / f"like.{form}", tmp_path / form
    (target.save if form == "model.keras" else target.save_weights)(like)
    before = like.read_bytes()
    run = checkpoints.read(tmp_path / "source.keras")
    checkpoints.write(run._replace(step=9), new, like=like)
    assert like.read_bytes() == before
    if form == "model.keras":
        loaded = keras.models.load_model(new)
        config = loaded.optimizer.get_config()
        assert {name: config[name] for name in RATES} == RATES
        again = checkpoints.read(new)
        assert again.groups == run.groups
        members = [sorted(zipfile.ZipFile(path).namelist()) for path in (new, like)]
        assert members[0] == members[1]
    else:
        loaded = target
        loaded.load_weights(new)
        assert float(loaded.optimizer.learning_rate) == float(np.float32(0.1))
    assert int(loaded.optimizer.iterations) == 9
    assert same(run, loaded)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        {"source.keras", like.name, form}
    )


@pytest.mark.clause("C34", "C35")
def test_a_schedule_is_written_where_there_is_one(tmp_path: Path) -> None:
    other = Schedule("constant", first=0.125)
    for name, schedule in (("source", LR), ("like", other)):
        trained(sequential(), Lion(schedule, weight_decay=schedule)).save(
            tmp_path / f"{name}.keras"
        )
    run = checkpoints.read(tmp_path / "source.keras")
    checkpoints.write(run, tmp_path / "new.keras", like=tmp_path / "like.keras")
    assert checkpoints.read(tmp_path / "new.keras").groups == run.groups
    loaded = keras.models.load_model(tmp_path / "new.keras")
    assert loaded.optimizer._learning_rate.schedule == loaded.optimizer.weight_decay.schedule == LR


@pytest.mark.clause("C13", "C34")
def test_a_file_that_is_not_like_the_run_is_refused(tmp_path: Path) -> None:
    names = ("plain", "scheduled", "half")
    plain, scheduled, half = (tmp_path / f"{name}.keras" for name in names)
    trained(sequential()).save(plain)
    trained(sequential(), Lion(LR)).save(scheduled)
    trained(sequential(dtype="bfloat16")).save(half)
    run = checkpoints.read(plain)
    new = tmp_path / "new.keras"

    def refused(run: Checkpoint, like: Path | None, *words: str) -> None:
        with pytest.raises(ValueError, match="legal: ") as raised:
            checkpoints.write(run, new, like=like)
        assert all(word in str(raised.value) for word in words), raised.value
        assert "\n" not in str(raised.value)
        assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(names)

    refused(run, None, "Keras alone can make such a file", "lion_tf.import_state")
    refused(run, scheduled, "η is a schedule in it, and a number in the run")
    refused(
        run,
        half,
        "θ of 'layers/dense/vars/0' is bfloat16 of shape (4, 4) in it, float32 of shape (4, 4) in",
    )
    first, *others = run.tensors
    less = {name: run.tensors[name] for name in others}
    groups = (Group(lr=0.1, names=tuple(less)),)
    refused(Checkpoint(less, 1, groups), plain, f"{first!r} is not in the run")
    more = {**run.tensors, "x": run.tensors[first]}
    groups = (Group(lr=0.1, names=tuple(more)),)
    refused(Checkpoint(more, 1, groups), plain, "'x' of the run is not in it")
    two = (Group(lr=0.1, names=(first,)), Group(lr=0.2, names=tuple(others)))
    refused(run._replace(groups=two), plain, "lr is 0.1 of 'layers/dense/vars/0' and 0.2 of ")


# What is not read.


@pytest.mark.clause("C13", "C34")
def test_what_has_no_lion_is_refused_by_name(tmp_path: Path) -> None:
    def refused(save: Callable[[Path], Any], name: str, message: str, **given: Any) -> None:
        path = tmp_path / name
        save(path)
        with pytest.raises(
            ValueError, match="^" + re.escape(f"{str(path)!r}: {message}")
        ) as raised:
            checkpoints.read(path, **given)
        assert "\n" not in str(raised.value)

    legal = "legal: Lion, Keras's or lion_tf's"
    adam = trained_by("adam")
    refused(adam.save, "adam.keras", f"its optimizer is 'Adam'; {legal}")
    refused(
        adam.save_weights,
        "adam.weights.h5",
        f"its optimizer is called 'adam', and may be any; {legal}, which Keras calls 'lion'",
        numbers=NUMBERS,
    )
    sgd = trained_by(keras.optimizers.SGD(0.1, momentum=0.5))
    refused(sgd.save_weights, "sgd.weights.h5", "its optimizer is called 'sgd'", numbers=NUMBERS)
    scaled = trained_by(keras.optimizers.LossScaleOptimizer(Lion(0.1)))
    refused(scaled.save, "scaled.keras", "its optimizer is 'LossScaleOptimizer'")
    refused(scaled.save_weights, "scaled.weights.h5", "its optimizer is called ", numbers=NUMBERS)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        mixed = trained_by(Lion(0.1))
    finally:
        keras.config.set_dtype_policy("float32")
    refused(mixed.save, "mixed.keras", "its optimizer is in a 'loss_scale_optimizer'; " + legal)
    averaged = trained_by(Lion(0.1, use_ema=True))
    refused(averaged.save, "ema.keras", "its optimizer has use_ema=True, whose state no run has")
    accumulated = trained_by(Lion(0.1, gradient_accumulation_steps=2))
    refused(accumulated.save, "acc.keras", "its optimizer has gradient_accumulation_steps=2")
    fresh = sequential()
    refused(fresh.save, "bare.keras", "it says nothing of an optimizer")
    refused(
        fresh.save_weights, "bare.weights.h5", "it has no optimizer's variables", numbers=NUMBERS
    )
    fresh.compile(Lion(0.1), loss="mse")
    refused(fresh.save, "fresh.keras", "it has no ")
    ours = trained(sequential())
    refused(ours.save_weights, "ours.weights.h5", "a .weights.h5 file has no β1, β2 and λ; legal: ")
    theirs = trained_by(Lion(keras.optimizers.schedules.CosineDecay(0.1, 9)))
    refused(theirs.save, "cosine.keras", "its η is of 'CosineDecay', which is not evaluated; legal")
    assert checkpoints.read(tmp_path / "cosine.keras", numbers=NUMBERS).groups[0].lr == 0.1
    alike = trained(Alike())
    refused(alike.save, "alike.keras", "which momentum is whose cannot be told: it does not say")
    refused(
        lambda path: path.write_bytes(b"\x80\x04cos\nsystem\n"), "x.keras", "it is no file of Keras"
    )


def trained_by(optimizer: Any) -> Any:
    model = sequential()
    model.compile(optimizer, loss="mse", run_eagerly=True)
    model.fit(np.ones((4, 4)), np.ones((4, 4)), batch_size=2, verbose=0)
    return model


@pytest.mark.parametrize("wrong", ["by the alphabet", "statistics as trained", "η as a momentum"])
def test_a_wrong_reading_is_rejected(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if wrong == "by the alphabet":
        monkeypatch.setattr(paired, "_ORDER", {})
        monkeypatch.setattr(stored, "layers_of", lambda _: {})
    elif wrong == "statistics as trained":
        monkeypatch.setattr(paired, "_UNTRAINED", {})
    else:
        monkeypatch.setattr(checkpoints, "paired", lambda model, left: dict(enumerate(left)))
    with pytest.raises((ValueError, AssertionError, TypeError, AttributeError)):
        test_a_saved_model_is_read("functional", tmp_path)
