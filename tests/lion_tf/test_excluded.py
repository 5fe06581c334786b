"""What exclude_from_weight_decay named is kept by every way to save, and found again."""

from __future__ import annotations

import copy
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lion_tf import Lion, excluded
from lion_tf.excluded import Excluded
from tests.lion_tf.doors import normal
from tests.lion_tf.test_saving import same_state

HOWS = ("var_list", "var_names", "whole name", "both")
HOW = pytest.mark.parametrize("how", HOWS)
QUICK = {("whole name", False), ("both", True)}
BUILT = pytest.mark.parametrize("built", [False, True], ids=["unbuilt", "built"])
FOUND = Excluded.found


def network() -> Any:
    """Of layers whose names Keras makes up, other ones each time."""
    layers = [keras.layers.Dense(4, bias_initializer="ones"), keras.layers.Dense(1)]
    return keras.Sequential([keras.Input((4,)), *layers])


def lion() -> Lion:
    return Lion(0.5, weight_decay=0.5)


def exclude(opt: Any, model: Any, how: str) -> Any:
    """Exclude the first layer's bias; "both": and by its name the second's."""
    first, second = model.layers
    arguments = {
        "var_list": {"var_list": [first.bias]},
        "var_names": {"var_names": [f"{first.name}/bias"]},
        "whole name": {"var_names": [f"^{first.bias.path}"]},
        "both": {"var_list": [first.bias], "var_names": [f"{second.name}/b.as"]},
    }
    opt.exclude_from_weight_decay(**arguments[how])
    return opt


def decaying(opt: Any, variables: Any) -> list[bool]:
    """Which variables of 3.0 become 2.25 at a step of zeros, with η = λ = 0.5."""
    for variable in variables:
        variable.assign(3.0 * np.ones(variable.shape))
    for momentum in opt._momentums if opt.built else []:
        momentum.assign(np.zeros(momentum.shape))
    opt.apply([tf.zeros(v.shape) for v in variables], variables)
    values = [set(v.numpy().ravel().tolist()) for v in variables]
    assert all(value in ({3.0}, {2.25}) for value in values)
    return [value == {2.25} for value in values]


def expected(how: str) -> list[bool]:
    return [True, False, True, how != "both"]


def train(model: Any) -> None:
    inputs, targets = normal(1, (8, 4), "float32", "float32")
    model.fit(inputs, targets[:, :1], batch_size=4, epochs=2, shuffle=False, verbose=0)


@pytest.mark.parametrize(
    ("how", "jit_compile"),
    [
        pytest.param(*pair, marks=[] if pair in QUICK else pytest.mark.slow)
        for pair in itertools.product(HOWS, (False, True))
    ],
)
@pytest.mark.clause("C10", "C30")
def test_a_saved_model_continues_as_one_that_never_stopped(
    how: str, jit_compile: bool, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(0)
    whole = network()
    part = keras.models.clone_model(whole)
    part.set_weights(whole.get_weights())
    for model in (whole, part):
        model.compile(exclude(lion(), model, how), loss="mse", jit_compile=jit_compile)
        train(model)
    part.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for model in (whole, loaded):
        train(model)
    assert same_state(whole, loaded)
    assert decaying(loaded.optimizer, loaded.trainable_variables) == expected(how)


@HOW
@BUILT
@pytest.mark.clause("C10", "C30")
def test_a_loaded_model_excludes_the_same_variables(how: str, built: bool, tmp_path: Path) -> None:
    if how == "whole name" and not built:
        pytest.skip("a loaded Sequential does not call its variables by its own name")
    model = network()
    model.compile(exclude(lion(), model, how), loss="mse", run_eagerly=True)
    if built:
        train(model)
        assert decaying(model.optimizer, model.trainable_variables) == expected(how)
    for generation in range(2):
        path = tmp_path / f"{generation}.keras"
        model.save(path)
        if not built:
            with pytest.warns(UserWarning, match="Skipping variable loading"):  # Keras' own words
                model = keras.models.load_model(path)
            built = True
        else:
            model = keras.models.load_model(path)
    assert decaying(model.optimizer, model.trainable_variables) == expected(how)


def test_keras_own_lion_forgets(tmp_path: Path) -> None:
    model = network()
    opt = exclude(keras.optimizers.Lion(0.5, weight_decay=0.5), model, "var_list")
    model.compile(opt, loss="mse", run_eagerly=True)
    train(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert decaying(opt, model.trainable_variables) == expected("var_list")
    assert decaying(loaded.optimizer, loaded.trainable_variables) == [True] * 4


@HOW
@pytest.mark.clause("C30")
def test_a_config_for_a_model_that_is_made_anew(how: str) -> None:
    """Its layers have other names, as they would have in a notebook where a cell is run again."""
    model, again = network(), network()
    opt = exclude(lion(), model, how)
    opt.build(model.trainable_variables)
    config = json.loads(json.dumps(opt.get_config()))
    assert config == opt.get_config()
    new = Lion.from_config(config)
    assert new.get_config() == config
    bias = re.escape(f"{again.layers[0].bias.path!r} as {model.layers[0].bias.path!r}")
    with pytest.warns(UserWarning, match=f"^exclude_from_weight_decay: .*; excluded: {bias}"):
        new.build(again.trainable_variables)
    assert decaying(new, again.trainable_variables) == expected(how)


@pytest.mark.parametrize("how", ["var_list", "var_names", "both"])
@BUILT
@pytest.mark.parametrize("duplicate", [keras.models.clone_model, copy.deepcopy])
@pytest.mark.clause("C30")
def test_a_clone(duplicate: Any, how: str, built: bool) -> None:
    model = network()
    opt = exclude(lion(), model, how)
    if built:
        opt.build(model.trainable_variables)
    clone, new = duplicate(model), Lion.from_config(opt.get_config())
    new.build(clone.trainable_variables)
    assert decaying(new, clone.trainable_variables) == expected(how)


@pytest.mark.clause("C30")
def test_a_copy_of_an_optimizer() -> None:
    model = network()
    new = copy.deepcopy(exclude(lion(), model, "both"))
    new.build(model.trainable_variables)
    assert decaying(new, model.trainable_variables) == expected("both")


@pytest.mark.clause("C30")
def test_weights_are_loaded_beside_what_is_excluded(tmp_path: Path) -> None:
    models = [network(), network()]
    for model in models:
        model.compile(exclude(lion(), model, "both"), loss="mse", run_eagerly=True)
    train(models[0])
    models[0].save_weights(tmp_path / "model.weights.h5")
    models[1].optimizer.build(models[1].trainable_variables)
    models[1].load_weights(tmp_path / "model.weights.h5")
    for model in models:
        train(model)
    assert same_state(*models)
    assert decaying(models[1].optimizer, models[1].trainable_variables) == expected("both")


@pytest.mark.clause("C30")
def test_within_a_loss_scale_optimizer(tmp_path: Path) -> None:
    model = network()
    inner = exclude(lion(), model, "both")
    model.compile(
        keras.optimizers.LossScaleOptimizer(inner, initial_scale=4.0), loss="mse", run_eagerly=True
    )
    train(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inner = loaded.optimizer.inner_optimizer
    assert decaying(inner, loaded.trainable_variables) == expected("both")


@pytest.mark.clause("C30")
def test_an_h5_file_loads_though_keras_builds_its_optimizer_for_no_variables(
    tmp_path: Path,
) -> None:
    model = network()
    model.compile(exclude(lion(), model, "both"), loss=keras.losses.MeanSquaredError())
    train(model)
    model.save(tmp_path / "model.h5")
    loaded = keras.models.load_model(tmp_path / "model.h5")
    assert isinstance(loaded.optimizer, Lion)
    assert (
        loaded.optimizer.get_config()["exclude_from_weight_decay"]
        == (model.optimizer.get_config()["exclude_from_weight_decay"])
    )


# What the config says.


def test_the_config_in_words() -> None:
    kernel, bias = (keras.Variable([3.0], name=name) for name in ("kernel", "bias"))
    assert "exclude_from_weight_decay" not in lion().get_config()
    opt = lion()
    opt.exclude_from_weight_decay([bias], ["k.*l", "x"])
    assert opt.get_config()["exclude_from_weight_decay"] == {
        "var_list": ["bias"],
        "var_names": ["k.*l", "x"],
        "absent": [],
        "variables": None,
    }
    opt.build([kernel, bias])
    assert opt.get_config()["exclude_from_weight_decay"] == {
        "var_list": [],
        "var_names": ["k.*l", "x"],
        "absent": [],
        "variables": [["kernel", "var_names"], ["bias", "var_list"]],
    }
    bias.trainable = False
    assert opt.get_config()["exclude_from_weight_decay"] == {
        "var_list": [],
        "var_names": ["k.*l", "x"],
        "absent": ["bias"],
        "variables": [["kernel", "var_names"]],
    }


DAMAGED: dict[str, Any] = {
    "nothing": None,
    "a list": ["bias"],
    "a key less": {"var_list": [], "var_names": [], "absent": []},
    "a word": {"var_list": "bias"},
    "numbers": {"absent": [1]},
    "no patterns": {"var_names": None},
    "paths alone": {"variables": ["bias"]},
    "a path that is none": {"variables": [[1, None]]},
    "another mark": {"variables": [["bias", "x"]]},
    "a mark that is a list": {"variables": [["bias", []]]},
    "a number of variables": {"variables": 0},
}


@pytest.mark.parametrize("case", DAMAGED)
@pytest.mark.clause("C13")
def test_a_damaged_config_is_named(case: str) -> None:
    legal: dict[str, Any] = {"var_list": [], "var_names": [], "absent": [], "variables": None}
    damaged = DAMAGED[case]
    if isinstance(damaged, dict) and case != "a key less":
        damaged = legal | damaged
    message = (
        f"exclude_from_weight_decay={damaged!r} is not legal in a config; legal: what get_config "
        "gives"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Lion.from_config(lion().get_config() | {"exclude_from_weight_decay": damaged})
    Lion.from_config(lion().get_config() | {"exclude_from_weight_decay": legal})


@BUILT
@pytest.mark.parametrize("kind", ["tf.Variable", "of Keras'", "several of one name"])
@pytest.mark.clause("C30")
def test_variables_of_tensorflow_s_own(kind: str, built: bool) -> None:
    names = ["a", "b"] if kind != "several of one name" else ["a", "a", "b"]
    make = keras.Variable if kind == "of Keras'" else tf.Variable
    variables = [make([3.0], name=name) for name in names]
    listed = [v.value if kind == "of Keras'" else v for v in variables[:-1]]
    opt = lion()
    opt.exclude_from_weight_decay(var_list=listed)
    if built:
        opt.build(variables)
    new = Lion.from_config(opt.get_config())
    again = [tf.Variable([3.0], name=name) for name in names]
    new.apply_gradients([(tf.zeros(1), v) for v in again])
    assert [v.numpy().tolist() for v in again] == [[3.0]] * len(listed) + [[2.25]]


@pytest.mark.clause("C30")
def test_a_later_call_replaces_what_the_config_says() -> None:
    model = network()
    new = Lion.from_config(exclude(lion(), model, "both").get_config())
    new.exclude_from_weight_decay(var_names=["kernel"])
    new.build(model.trainable_variables)
    assert decaying(new, model.trainable_variables) == [False, True, False, True]
    assert new.get_config()["exclude_from_weight_decay"]["var_names"] == ["kernel"]


@pytest.mark.clause("C30")
def test_names_are_looked_for_in_another_model() -> None:
    """Of as many variables: places alone would exclude others than the names say."""
    first, other = ([keras.Variable([3.0], name=n) for n in names] for names in ("abcd", "dcba"))
    opt = lion()
    opt.exclude_from_weight_decay(var_list=[first[1]], var_names=["a"])
    opt.build(first)
    new = Lion.from_config(opt.get_config())
    new.build(other)
    assert decaying(new, other) == [True, True, False, False]


@pytest.mark.clause("C30")
def test_a_variable_that_is_not_trained_is_not_missed(tmp_path: Path) -> None:
    model = network()
    opt = exclude(lion(), model, "both")
    model.layers[0].trainable = False
    model.compile(opt, loss="mse", run_eagerly=True)
    model.save(tmp_path / "model.keras")
    with pytest.warns(UserWarning, match="Skipping variable loading"):
        loaded = keras.models.load_model(tmp_path / "model.keras")
    assert decaying(loaded.optimizer, loaded.trainable_variables) == [True, False]


@pytest.mark.parametrize(
    ("listed", "names", "count"),
    [("b", ["a", "c"], 0), ("b", ["x/b", "y/b"], 2), ("b", ["b", "b"], 2), ("x/b", ["a", "xb"], 0)],
    ids=str,
)
@pytest.mark.clause("C13", "C14", "C30")
@BUILT
def test_a_variable_that_cannot_be_told_is_refused_at_the_first_step(
    built: bool, listed: str, names: list[str], count: int
) -> None:
    opt = lion()
    opt.exclude_from_weight_decay(var_list=[tf.Variable([3.0], name=listed)])
    new = Lion.from_config(opt.get_config())
    variables = [tf.Variable([3.0], name=name) for name in names]
    message = (
        f"exclude_from_weight_decay: the config names the variable {listed!r}, but {count} of the "
        "2 variables are called so; legal: a path that only it has, or a call of the optimizer's "
        "exclude_from_weight_decay, which replaces what the config says, and then of model.compile"
    )
    if built:  # as a model that is loaded is
        new.build(variables)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        new.apply_gradients([(tf.zeros(1), v) for v in variables])
    assert [v.numpy().tolist() for v in variables] == [[3.0], [3.0]]
    assert new.built == built
    assert len(new.variables) == (4 if built else 2)  # the iterations, η and any momenta
    assert int(new.iterations) == 0
    assert new.get_config() == opt.get_config()  # it is not forgotten
    new.exclude_from_weight_decay(var_list=variables[:1])
    new.apply_gradients([(tf.zeros(1), v) for v in variables])
    assert [v.numpy().tolist() for v in variables] == [[3.0], [2.25]]


# Wrong ways to find variables again, each of which a test above must reject.


def names_anew(config: Any, variables: Any) -> Excluded:
    return replace(FOUND(config, variables), named=None)


@pytest.mark.parametrize(
    ("holder", "name", "wrong"),
    [(Excluded, "found", names_anew), (excluded, "_numbered", lambda old, new: False)],
    ids=["names anew", "paths alone"],
)
def test_paths_and_names_alone_do_not_find_a_variable_of_another_name(
    holder: Any, name: str, wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holder, name, wrong)
    with pytest.raises((ValueError, AssertionError, pytest.fail.Exception)):
        test_a_config_for_a_model_that_is_made_anew("both")


def test_places_alone_find_others_in_another_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excluded, "_places", lambda old, new: dict(enumerate(range(len(new)))))
    monkeypatch.setattr(excluded, "_warn_of_numbers", lambda *_: None)
    with pytest.raises(AssertionError):
        test_names_are_looked_for_in_another_model()
