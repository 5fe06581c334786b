"""What has no decay where other layers are trained, or the layers have other names."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import keras
import pytest

from lion_tf import Lion, excluded
from tests.lion_tf.doors import normal

WORDS = pytest.mark.parametrize("word", ["var_list", "var_names"])
QUICK = {("var_list", "config"), ("var_list", "config from before"), ("var_names", "file")}
WORDS_THROUGH = pytest.mark.parametrize(
    ("word", "through"),
    [
        pytest.param(*pair, marks=[] if pair in QUICK else pytest.mark.slow)
        for pair in itertools.product(
            ("var_list", "var_names"), ("config", "config from before", "file")
        )
    ],
)
REFUSED = "^exclude_from_weight_decay: the config names the variable "


def chain(*names: str | None) -> Any:
    layers = [keras.layers.Dense(3, name=name) for name in names]
    return keras.Sequential([keras.Input((3,)), *layers])


def compiled(model: Any, opt: Any) -> Any:
    model.compile(opt, loss="mse", run_eagerly=True)
    return model


def lion(**arguments: Any) -> Lion:
    opt = Lion(0.01, weight_decay=0.5)
    opt.exclude_from_weight_decay(**arguments)
    return opt


def train(model: Any) -> Any:
    inputs, targets = normal(1, (4, 3), "float32", "float32")
    model.fit(inputs, targets, verbose=0)
    return model


def freeze(model: Any, *frozen: int) -> None:
    for place, layer in enumerate(model.layers):
        layer.trainable = place not in frozen


def without_decay(model: Any) -> list[str]:
    """By the last two parts of their paths: a loaded model's have no more."""
    opt = model.optimizer
    return [
        "/".join(x.path.split("/")[-2:])
        for x in model.trainable_variables
        if not opt._use_weight_decay(x.value)
    ]


def again(model: Any, frozen: tuple[int, ...], through: str, folder: Path) -> Any:
    """The model with other layers frozen and its optimizer made anew."""
    config = model.optimizer.get_config()
    freeze(model, *frozen)
    if through == "config":
        config = model.optimizer.get_config()
    if through != "file":
        return train(compiled(model, Lion.from_config(config)))
    model.save(folder / "model.keras")
    return train(keras.models.load_model(folder / "model.keras"))


@WORDS_THROUGH
@pytest.mark.filterwarnings("ignore:Skipping variable loading")
@pytest.mark.clause("C10", "C30")
def test_other_layers_are_trained(word: str, through: str, tmp_path: Path) -> None:
    """As many variables whose paths end alike: the place is another one's."""
    model = chain("a", "b", "c")
    freeze(model, 2)
    what = {"var_list": [model.layers[1].bias]} if word == "var_list" else {word: ["b/bias"]}
    train(compiled(model, lion(**what)))
    assert without_decay(model) == ["b/bias"]
    assert without_decay(again(model, (0,), through, tmp_path)) == ["b/bias"]


@WORDS
@pytest.mark.clause("C10", "C30")
def test_other_layers_are_trained_of_a_model_made_anew(word: str) -> None:
    model, new = chain("a", "b", "c"), chain("a", "b", "c")
    freeze(model, 2)
    what = {"var_list": [model.layers[1].bias]} if word == "var_list" else {word: ["b/bias"]}
    train(compiled(model, lion(**what)))
    freeze(new, 0)
    compiled(new, Lion.from_config(model.optimizer.get_config()))
    with pytest.warns(
        UserWarning, match="excluded: 'sequential.*/b/bias' as 'sequential.*/b/bias'"
    ):
        train(new)
    assert without_decay(new) == ["b/bias"]


@pytest.mark.clause("C10", "C30")
def test_a_path_that_is_there_beats_a_place_though_numbers_may_have_moved() -> None:
    model = chain(None, None, None)
    names = [layer.name for layer in model.layers]
    freeze(model, 2)
    train(compiled(model, lion(var_list=[model.layers[1].bias])))
    compiled(model, Lion.from_config(model.optimizer.get_config()))
    freeze(model, 0)
    with pytest.warns(UserWarning, match=f"/{names[1]}/bias' as '.*/{names[1]}/bias'"):
        train(model)
    assert without_decay(model) == [f"{names[1]}/bias"]


@WORDS_THROUGH
@pytest.mark.filterwarnings("ignore:Skipping variable loading")
@pytest.mark.clause("C10", "C30")
def test_an_excluded_variable_that_is_no_longer_trained(
    word: str, through: str, tmp_path: Path
) -> None:
    """It needs no place, and has no decay once it is trained again."""
    model = chain("a", "b")
    what = {"var_list": [model.layers[0].bias]} if word == "var_list" else {word: ["a/bias"]}
    train(compiled(model, lion(**what)))
    for frozen, expected in [((0,), []), ((0,), []), ((), ["a/bias"])]:
        model = again(model, frozen, through, tmp_path)
        assert without_decay(model) == expected


# Where paths do not tell: files load, and the first step refuses.


def two_of_one_name(opt: Any) -> Any:
    """Of two submodels, whose names the variables lose as the model is loaded."""
    inputs = keras.Input((3,))
    first, second = (
        keras.Sequential([keras.layers.Dense(3, name="d")], name=name) for name in "AB"
    )
    model = compiled(keras.Model(inputs, second(first(inputs))), opt)
    opt.exclude_from_weight_decay(var_list=[second.layers[0].bias])
    return model


@pytest.mark.clause("C30")
def test_submodels_with_a_layer_of_one_name(tmp_path: Path) -> None:
    model = train(two_of_one_name(lion()))
    assert without_decay(model) == ["d/bias"]
    loaded = again(model, (), "file", tmp_path)
    decays = [loaded.optimizer._use_weight_decay(x.value) for x in loaded.trainable_variables]
    assert decays == [True, True, True, False]


@pytest.mark.filterwarnings("ignore:Skipping variable loading")
@pytest.mark.clause("C13", "C14", "C30")
def test_a_file_that_does_not_tell_loads_and_its_first_step_is_refused(tmp_path: Path) -> None:
    model = two_of_one_name(lion())
    for _ in range(2):
        model.save(tmp_path / "model.keras")
        model = keras.models.load_model(tmp_path / "model.keras")
    before = model.get_weights()
    with pytest.raises(ValueError, match=REFUSED + "'B/d/bias', but 2 of the 4 variables"):
        train(model)
    assert all((new == old).all() for new, old in zip(model.get_weights(), before, strict=True))
    model.optimizer.exclude_from_weight_decay(var_list=[model.trainable_variables[3]])
    train(compiled(model, model.optimizer))
    decays = [model.optimizer._use_weight_decay(x.value) for x in model.trainable_variables]
    assert decays == [True, True, True, False]
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    train(compiled(loaded, lion()))


@pytest.mark.clause("C13", "C14", "C30")
def test_a_config_of_no_built_optimizer_for_a_model_made_anew() -> None:
    first, second = chain(None), chain(None)
    opt = Lion.from_config(lion(var_list=[first.layers[0].bias]).get_config())
    compiled(second, opt)
    with pytest.raises(ValueError, match=REFUSED + f"'.*{first.layers[0].name}/bias', but 0 of"):
        train(second)
    opt.exclude_from_weight_decay(var_list=[second.layers[0].bias])
    assert without_decay(train(compiled(second, opt))) == [f"{second.layers[0].name}/bias"]


@pytest.mark.clause("C13", "C30")
def test_a_layer_in_the_place_of_an_excluded_one_is_not_taken_for_it() -> None:
    """Of a model that is the same else: it may be another layer, or the same with a new number."""
    variables = [keras.Variable([1.0], name=name) for name in ("a", "b_1", "b_2")]
    opt = lion(var_list=variables[1:2])
    opt.build(variables[:2])
    for left, told in [(variables[::2], False), (variables[:1], True)]:
        new = Lion.from_config(opt.get_config())
        gradients = [keras.ops.zeros(1) for _ in left]
        if told:
            new.apply(gradients, left)
            assert new.get_config()["exclude_from_weight_decay"]["absent"] == ["b_1"]
        else:
            with pytest.raises(ValueError, match=REFUSED + "'b_1', but 0 of the 2 variables"):
                new.apply(gradients, left)


@pytest.mark.parametrize("names", [["x/b", "a"], ["b", "b"]], ids=str)
@pytest.mark.clause("C13", "C30")
def test_a_variable_that_was_not_trained_is_not_guessed(names: list[str]) -> None:
    frozen = keras.Variable([1.0], name="b", trainable=False)
    opt = lion(var_list=[frozen])
    opt.build([keras.Variable([1.0], name="c")])
    new = Lion.from_config(opt.get_config())
    variables = [keras.Variable([1.0], name=name.rpartition("/")[2]) for name in names]
    variables[0]._path = names[0]
    with pytest.raises(ValueError, match=REFUSED + "'b', but"):
        new.apply([keras.ops.zeros(1)] * 2, variables)


# Wrong ways, each of which a test above must reject.


def test_places_move_the_exclusion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excluded, "_places", lambda old, new: dict(enumerate(range(len(new)))))
    monkeypatch.setattr(excluded, "_warn_of_numbers", lambda *_: None)
    with pytest.raises(AssertionError):
        test_other_layers_are_trained("var_list", "config from before", tmp_path)


def test_a_path_with_the_model_s_own_name_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excluded, "_without_model", list)
    with pytest.raises((ValueError, pytest.fail.Exception)):
        test_other_layers_are_trained_of_a_model_made_anew("var_list")


def test_what_is_not_trained_would_be_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = excluded.Excluded.found
    monkeypatch.setattr(
        excluded.Excluded, "found", lambda config, new: found(config | {"absent": []}, new)
    )
    with pytest.raises(AssertionError):
        test_an_excluded_variable_that_is_no_longer_trained("var_list", "config", tmp_path)
