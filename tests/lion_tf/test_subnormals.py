"""The choice of a rule for subnormals (SPEC C33): what it gives, costs and refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lion_ref import CANONICAL, Semantics, legal_triples, step
from lion_ref.arithmetic import Array
from lion_tf import Lion, declared_semantics, kernel, operations, optimizer
from lion_tf import declared as probing
from tests.adversarial import around_underflow, hyperparameters
from tests.lion_tf.doors import DOORS, difference, keras_names, run
from tests.lion_tf.keeping import run_by_numpy

pytestmark = pytest.mark.clause("C18", "C33")

FLUSH = Semantics(subnormals="flush")
PAIRS = [(theta, g) for theta, m, g in legal_triples() if theta == m]
JUST_BELOW = 2.0**-126 - 2.0**-150
"""Tiny in float32, though gradual underflow rounds it up to the smallest normal number."""
SCALARS: dict[str, dict[str, float]] = {
    "drawn": hyperparameters(np.random.default_rng(2)),
    "eta small": {"lr": 1.25 * 2.0**-126, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.0},
    "eta tiny": {"lr": JUST_BELOW, "beta1": 0.9, "beta2": 0.99, "weight_decay": 2.0**-130},
    "betas tiny": {"lr": 2.0**-3, "beta1": JUST_BELOW, "beta2": 1e-40, "weight_decay": 0.5},
    "large": {"lr": 2.0**100, "beta1": 0.5, "beta2": 1 - 2.0**-24, "weight_decay": 1e38},
}
OF_SCALARS = pytest.mark.parametrize("values", SCALARS.values(), ids=SCALARS)


def drawn(pair: tuple[str, str], values: dict[str, float]) -> tuple[Array, Array, Array]:
    theta, g = pair
    factors = [*values.values(), 1 - values["beta1"], 1 - values["beta2"]]
    rng = np.random.default_rng(len(theta))
    return around_underflow(rng, (theta, theta, g), 2003, *factors)


def expected(arrays: tuple[Array, Array, Array], values: dict[str, float]) -> Any:
    return step(*arrays, **values, semantics=FLUSH)


def through(door: str, pair: tuple[str, str], values: dict[str, float]) -> str:
    theta, m, g = arrays = drawn(pair, values)
    ours = run(Lion(**keras_names(values), subnormals="flush"), door, theta, m, [g])
    return difference(ours, [expected(arrays, values)])


def unlike_the_reference(values: dict[str, float], *, flushed: bool = True) -> list[str]:
    """What the graph for a device that keeps subnormals gives, where it is wrong."""
    found = []
    for pair in PAIRS:
        arrays = drawn(pair, values)
        ours = run_by_numpy(*arrays, values, flushed=flushed)
        found.append(difference([ours], [expected(arrays, values)]))
    return [words for words in found if words]


@OF_SCALARS
def test_flushed_as_the_reference_does_on_a_cpu(values: dict[str, float]) -> None:
    for pair in PAIRS:
        assert not through("eager", pair, values)


@DOORS
def test_by_every_door(door: str) -> None:
    assert not through(door, ("bfloat16", "float32"), SCALARS["eta tiny"])


@OF_SCALARS
def test_flushed_where_the_device_keeps_them(values: dict[str, float]) -> None:
    assert not unlike_the_reference(values)


def test_a_graph_that_ignores_the_switch_is_caught() -> None:
    assert unlike_the_reference(SCALARS["drawn"], flushed=False)


@pytest.fixture
def retraced() -> Iterator[None]:
    """What is traced in the test is traced there, and not kept."""
    kernel.compiled.cache_clear()
    yield
    kernel.compiled.cache_clear()


KEPT, FLUSHED = operations.Operations, operations.FlushedOperations
WRONG: dict[str, tuple[str, Any]] = {
    "operands are kept": ("load", KEPT.load),
    "scalars are kept": ("scalar", KEPT.scalar),
    "products are kept": ("product", KEPT.product),
    "a product counts as gradual underflow rounds it": (
        "product",
        lambda self, scalar, x: self.add(scalar * x, tf.zeros_like(x)),
    ),
    "sums are kept": ("add", KEPT.add),
    "differences are kept": ("subtract", KEPT.subtract),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.usefixtures("retraced")
def test_a_wrong_flush_is_caught(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FLUSHED, *WRONG[wrong])
    assert any(map(unlike_the_reference, SCALARS.values()))


@DOORS
def test_the_flush_of_a_device_that_keeps_changes_nothing_on_a_cpu(
    door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def keeps(device: str) -> bool:
        asked.append(device)
        return True

    monkeypatch.setattr(optimizer, "keeps", keeps)
    for pair in PAIRS if door == "eager" else PAIRS[::5]:
        assert not through(door, pair, SCALARS["drawn"])
    assert asked
    assert all(device.endswith("CPU:0") for device in asked)


@pytest.mark.usefixtures("retraced")
def test_a_cpu_has_the_graph_that_it_has_anyway() -> None:
    """The very same one, traced and compiled once: it costs nothing."""
    theta, m, g = drawn(("float32", "float32"), SCALARS["drawn"])
    run(Lion(0.1), "eager", theta, m, [g])
    run(Lion(0.1, subnormals="flush"), "eager", theta, m, [g])
    assert kernel.compiled.cache_info().currsize == 1


def test_in_a_strategy_of_several_devices() -> None:
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    values = SCALARS["eta tiny"]
    theta, m, g = arrays = drawn(("float32", "float32"), values)
    probing._probed.cache_clear()  # it is asked inside
    with strategy.scope():
        target = keras.Variable(np.zeros(theta.shape), dtype="float32")
        opt = Lion(**keras_names(values), subnormals="flush")
        opt.build([target])
    target.value.assign(tf.constant(theta))
    opt.variables[-1].value.assign(tf.constant(m))
    strategy.run(lambda: opt.apply([tf.constant(g)], [target]))
    ours = target.value.numpy(), opt.variables[-1].value.numpy()
    assert not difference([ours], [expected(arrays, values)])


def test_what_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    assert declared_semantics("CPU:0") == declared_semantics("CPU:0", subnormals="flush") == FLUSH
    monkeypatch.setattr(probing, "_probed", lambda _: CANONICAL)  # a GPU
    assert declared_semantics(subnormals="keep") == declared_semantics() == CANONICAL
    assert declared_semantics(subnormals="flush") == FLUSH


def test_the_config_has_it_and_an_older_one_need_not() -> None:
    config = json.loads(json.dumps(Lion(0.1, subnormals="flush").get_config()))
    assert Lion.from_config(config).subnormals == "flush"
    del config["subnormals"]
    assert Lion.from_config(config).subnormals == "native"
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer=Lion(0.1, subnormals="flush"), loss="mse")
    assert keras.models.clone_model(model).count_params() == 3
    loaded = keras.optimizers.deserialize(keras.optimizers.serialize(model.optimizer))
    assert loaded.subnormals == "flush"


def test_a_rate_that_is_set_later_is_flushed_and_remembered() -> None:
    opt = Lion(JUST_BELOW, subnormals="flush")
    assert float(opt.learning_rate) == 0.0
    opt.learning_rate = 0.1
    opt.learning_rate = JUST_BELOW
    assert float(opt.learning_rate) == 0.0
    assert opt.get_config()["learning_rate"] == JUST_BELOW
    opt.build([keras.Variable(1.0, dtype="float64")])
    assert float(opt.learning_rate) == JUST_BELOW  # a normal number there
    assert float(Lion(JUST_BELOW).learning_rate) == 2.0**-126


@pytest.mark.parametrize("wrong", ["flushed", None, True, "flush-before-rounding"])
def test_an_illegal_choice_is_refused(wrong: Any) -> None:
    for refusing in (Lion, declared_semantics):
        with pytest.raises(ValueError, match="legal: 'native', 'flush', 'keep'") as said:
            refusing(subnormals=wrong)
        assert str(said.value).startswith(f"subnormals={wrong!r} is not legal; ")


def test_keep_is_refused_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="subnormals='keep'") as said:
        Lion(0.1, subnormals="keep")
    assert str(said.value) == (
        "subnormals='keep' is not legal for lion_tf on the default device: XLA flushes them "
        "there, and has no option not to; legal: 'native', 'flush'"
    )
    probed = probing._probed
    monkeypatch.setattr(probing, "_probed", lambda x: CANONICAL if x is None else probed(x))
    opt, theta = Lion(0.1, subnormals="keep"), keras.Variable([1.0, 2.0])
    with pytest.raises(ValueError, match=r"'keep' is not legal for lion_tf on device .*CPU:0"):
        opt.apply([tf.constant([1.0, 1.0])], [theta])
    assert theta.numpy().tolist() == [1.0, 2.0]
    assert not opt.built
    assert int(opt.iterations) == 0
