"""What a Keras user expects of an optimizer: fit, schedules, clipping, policies, embeddings."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lion_ref.arithmetic import Array, same_bits
from lion_tf import Lion, kernel
from tests.lion_tf.doors import (
    DOORS,
    Pair,
    difference,
    doors,
    normal,
    reference,
    replace_in_kernel,
    run,
    variable,
)

Piecewise = keras.optimizers.schedules.PiecewiseConstantDecay

SIZE = 64
RATES = {"lr": 1e-3, "weight_decay": 0.1}
FIT_MODES = pytest.mark.parametrize(
    "mode",
    [
        {"jit_compile": True},
        {"jit_compile": False},
        pytest.param({"jit_compile": "auto"}, marks=pytest.mark.slow),  # one of those two
        {"run_eagerly": True},
    ],
    ids=["jit", "no jit", "auto", "eagerly"],
)


def linear(optimizer: Any, dtype: str = "float32", **arguments: Any) -> Any:
    """A model whose gradient is its input, exactly: the loss is the output, for a batch of one."""
    model = keras.Sequential([keras.Input((SIZE,)), keras.layers.Dense(1, use_bias=False)])
    if dtype != "float32":
        model = keras.Sequential(
            [keras.Input((SIZE,), dtype=dtype), keras.layers.Dense(1, use_bias=False, dtype=dtype)]
        )
    model.compile(optimizer, loss=lambda _, output: keras.ops.sum(output), **arguments)
    return model


def state(model: Any) -> Pair:
    """θ and m of the only variable."""
    return model.trainable_variables[0].numpy()[:, 0], model.optimizer.variables[-1].numpy()[:, 0]


def fit(model: Any, inputs: Array) -> list[Pair]:
    """Train on one row a step; the state after each."""
    states: list[Pair] = []
    after = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: states.append(state(model))
    )
    model.fit(
        inputs, np.zeros(len(inputs)), batch_size=1, shuffle=False, verbose=0, callbacks=[after]
    )
    return states


@FIT_MODES
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.clause("C5", "C9", "C12")
def test_fit(mode: dict[str, Any], dtype: str) -> None:
    model = linear(Lion(1e-3, weight_decay=0.1), dtype, **mode)
    theta = state_before(model)
    # Keras rounds float64 inputs to its default dtype, float32.
    (inputs,) = normal(1, (5, SIZE), "float32" if dtype == "float64" else dtype)
    assert not difference(fit(model, inputs), reference(theta, 0 * theta, inputs, **RATES))
    assert int(model.optimizer.iterations) == 5


def state_before(model: Any) -> Array:
    theta: Array = model.trainable_variables[0].numpy()[:, 0]
    return theta


@FIT_MODES
def test_keras_own_lion_fails_the_test_of_fit(mode: dict[str, Any]) -> None:
    model = linear(keras.optimizers.Lion(1e-3, weight_decay=0.1), **mode)
    theta = state_before(model)
    (inputs,) = normal(1, (5, SIZE), "float32")
    assert difference(fit(model, inputs), reference(theta, 0 * theta, inputs, **RATES))


def test_train_on_batch() -> None:
    model = linear(Lion(1e-3, weight_decay=0.1))
    theta = state_before(model)
    (inputs,) = normal(2, (3, SIZE), "float32")
    states = []
    for row in inputs:
        model.train_on_batch(row[None], np.zeros(1))
        states.append(state(model))
    assert not difference(states, reference(theta, 0 * theta, inputs, **RATES))


def traces() -> int:
    """How many updates were traced; one that is traced is never traced again."""
    return kernel.compiled.cache_info().currsize


@DOORS
def test_one_trace_serves_every_step_and_every_variable(
    door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_in_kernel(monkeypatch)  # by itself, which has no trace yet

    def steps(rate: float, *shape: int) -> int:
        theta, m, *gradients = normal(3, shape, *("float32",) * 6)
        opt = Lion(Piecewise([1, 3], [rate, 1e-4, 1e-5]), weight_decay=0.1)
        run(opt, door, theta, m, gradients)
        return traces()

    assert [steps(1e-2, 17, 3), steps(1e-3, 17, 3), steps(1e-4, 5)] == [1, 1, 1]


# η and λ at every step.


@DOORS
@pytest.mark.clause("C1", "C4")
def test_schedules_of_both_rates(door: str) -> None:
    theta, m, *gradients = normal(4, (50,), *("float32",) * 6)
    etas, lambdas = [0.1, 0.01, 0.001], [0.3, 0.0, 0.5]
    opt = Lion(Piecewise([0, 1], etas), weight_decay=Piecewise([0, 1], lambdas))
    ours = run(opt, door, theta, m, gradients[:3])
    expected = []
    for lr, decay, g in zip(etas, lambdas, gradients, strict=False):
        [(theta, m)] = reference(
            theta, m, [g], lr=float(np.float32(lr)), weight_decay=float(np.float32(decay))
        )
        expected.append((theta, m))
    assert not difference(ours, expected)


@DOORS
def test_callables_of_both_rates(door: str) -> None:
    theta, m, g = normal(5, (50,), *("float32",) * 3)
    ours = run(Lion(lambda: 0.1, weight_decay=lambda: 0.3), door, theta, m, [g])
    assert not difference(ours, reference(theta, m, [g], lr=0.1, weight_decay=0.3))


@DOORS
@pytest.mark.clause("C1")
def test_a_learning_rate_that_is_set_takes_effect_without_a_new_trace(door: str) -> None:
    theta, m, first, second = normal(6, (50,), *("float32",) * 4)
    apply, target = doors()[door], variable(theta)
    opt = Lion(0.1)
    opt.build([target])
    opt.variables[-1].assign(m)
    apply(opt, [tf.constant(first)], [target])
    opt.learning_rate = 0.01
    before = traces()
    apply(opt, [tf.constant(second)], [target])
    assert traces() == before > 0
    [state] = reference(theta, m, [first], lr=0.1)
    expected = reference(*state, [second], lr=0.01)
    assert not difference([(target.numpy(), opt.variables[-1].numpy())], expected)


def test_a_callback_sets_the_learning_rate_during_fit() -> None:
    model = linear(Lion(1e-3))
    theta = state_before(model)
    (inputs,) = normal(7, (1, SIZE), "float32")
    rates = [0.5, 0.25]
    model.fit(
        inputs,
        np.zeros(1),
        epochs=2,
        verbose=0,
        callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch: rates[epoch])],
    )
    momentum = 0 * theta
    for rate in rates:
        [(theta, momentum)] = reference(theta, momentum, inputs, lr=rate)
    assert not difference([state(model)], [(theta, momentum)])


@pytest.mark.parametrize("how", [{"var_names": ["bias"]}, {"var_list": True}], ids=str)
@DOORS
@pytest.mark.clause("C10")
def test_exclude_from_weight_decay(how: dict[str, Any], door: str) -> None:
    thetas = normal(8, (20,), "float32", "float32")
    variables = [keras.Variable(value, name=name) for value, name in zip(thetas, "ab", strict=True)]
    variables[1] = keras.Variable(thetas[1], name="bias")
    gradients = normal(9, (20,), "float32", "float32")
    opt = Lion(0.01, weight_decay=0.5)
    opt.exclude_from_weight_decay(**({"var_list": variables[1:]} if "var_list" in how else how))
    doors()[door](opt, [tf.constant(g) for g in gradients], variables)
    for index, decay in enumerate([0.5, 0.0]):
        zeros = np.zeros(20, np.float32)
        [(theta, _)] = reference(
            thetas[index], zeros, [gradients[index]], lr=0.01, weight_decay=decay
        )
        assert same_bits(variables[index].numpy(), theta).all()


@pytest.mark.clause("C10")
@DOORS
def test_no_weight_decay_is_a_weight_decay_of_zero(door: str) -> None:
    theta = np.array([np.inf, 1.0, -0.0], np.float32)
    zeros = np.zeros(3, np.float32)
    ours = run(Lion(0.5), door, theta, zeros, [zeros])
    assert not difference(ours, reference(theta, zeros, [zeros], lr=0.5, weight_decay=0.0))
    assert np.isnan(ours[0][0][0])


# What Keras does to gradients before the step, with numbers on which it is exact.


@pytest.mark.parametrize(
    ("clipping", "given", "clipped"),
    [
        ({"clipnorm": 5.0}, [[6.0, 8.0], [0.0, 1.0]], [[3.0, 4.0], [0.0, 1.0]]),
        ({"clipvalue": 2.0}, [[6.0, -8.0], [0.0, 1.0]], [[2.0, -2.0], [0.0, 1.0]]),
        ({"global_clipnorm": 1.0}, [[2.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]),
        (
            {"loss_scale_factor": 1024.0},
            [[2.0, 3.0], [0.0, 1.0]],
            [[2**-9, 3 * 2**-10], [0, 2**-10]],
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
@DOORS
def test_clipping_and_scaling_come_first(
    clipping: dict[str, float], given: Any, clipped: Any, door: str
) -> None:
    variables = [keras.Variable(np.ones(2, np.float32)) for _ in given]
    opt = Lion(0.5, **clipping)  # type: ignore[arg-type]  # mypy knows no single keyword's type
    doors()[door](opt, [tf.constant(g) for g in given], variables)
    for index, gradient in enumerate(clipped):
        [(theta, m)] = reference(
            np.ones(2, np.float32),
            np.zeros(2, np.float32),
            [np.array(gradient, np.float32)],
            lr=0.5,
        )
        ours = [(variables[index].numpy(), opt.variables[2 + index].numpy())]
        assert not difference(ours, [(theta, m)])


@DOORS
def test_gradient_accumulation_steps_with_the_mean(door: str) -> None:
    theta, m = normal(10, (30,), "float32", "float32")
    gradients = np.random.default_rng(11).integers(-8, 8, (4, 30)).astype(np.float32)
    opt = Lion(0.01, weight_decay=0.1, gradient_accumulation_steps=2)
    ours = run(opt, door, theta, m, gradients)
    means = (gradients[0::2] + gradients[1::2]) / 2
    expected = reference(theta, m, means, lr=0.01, weight_decay=0.1)
    assert not difference(ours[1::2], expected)
    assert not difference(ours[:1], [(theta, m)])


@DOORS
def test_moving_average_of_the_variables(door: str) -> None:
    theta, m, *gradients = normal(12, (30,), *("float32",) * 5)
    opt = Lion(0.01, use_ema=True, ema_momentum=0.5)
    ours = run(opt, door, theta, m, gradients)
    expected = reference(theta, m, gradients, lr=0.01)
    assert not difference(ours, expected)
    average = expected[0][0]  # Keras begins with the first step's result
    for after, _ in expected[1:]:
        average = np.float32(0.5) * average + np.float32(0.5) * after
    assert same_bits(opt.variables[2].numpy(), average).all()


@DOORS
def test_the_average_overwrites_the_variables_as_often_as_asked(door: str) -> None:
    theta, m, *gradients = normal(13, (30,), *("float32",) * 4)
    opt = Lion(0.01, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2)
    ours = run(opt, door, theta, m, gradients)
    first, (second, momentum) = reference(theta, m, gradients, lr=0.01)
    average = np.float32(0.5) * first[0] + np.float32(0.5) * second
    assert not difference(ours, [first, (average, momentum)])


# Precision.


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16", "float16"])
@FIT_MODES
def test_dtype_policies(policy: str, mode: dict[str, Any]) -> None:
    """Keras wraps the optimizer in a LossScaleOptimizer under mixed_float16 when jit is off."""
    opt = Lion(0.5, weight_decay=0.25)
    layer = keras.layers.Dense(1, use_bias=False, dtype=policy)
    model = keras.Sequential([keras.Input((SIZE,)), layer])
    model.compile(opt, loss=lambda _, output: keras.ops.sum(output), **mode)
    # Integers: exact in every dtype, and under every loss scale.
    inputs = np.random.default_rng(14).integers(-8, 9, (4, SIZE)).astype(np.float32)
    kernel = layer.kernel
    assert kernel.dtype == {"bfloat16": "bfloat16", "float16": "float16"}.get(policy, "float32")
    theta = kernel.numpy()[:, 0]
    model.fit(inputs, np.zeros(4), batch_size=1, shuffle=False, verbose=0)
    gradients = inputs.astype(theta.dtype)
    expected = reference(theta, 0 * theta, gradients, lr=0.5, weight_decay=0.25)[-1:]
    assert not difference([(kernel.numpy()[:, 0], opt.variables[-1].numpy()[:, 0])], expected)


@DOORS
@pytest.mark.clause("C14")
def test_loss_scaling_skips_a_step_that_overflowed(door: str) -> None:
    theta, m, g = normal(15, (10,), *("float32",) * 3)
    target, inner = variable(theta), Lion(0.01, weight_decay=0.1)
    opt = keras.optimizers.LossScaleOptimizer(inner, initial_scale=4.0)
    opt.build([target])
    inner.variables[-1].assign(m)
    apply = doors()[door]
    apply(opt, [tf.constant(4 * g)], [target])
    expected = reference(theta, m, [g], lr=0.01, weight_decay=0.1)
    assert not difference([(target.numpy(), inner.variables[-1].numpy())], expected)
    apply(opt, [tf.constant(np.float32(np.inf) * g)], [target])
    assert not difference([(target.numpy(), inner.variables[-1].numpy())], expected)
    assert int(inner.iterations) == 1


@DOORS
@pytest.mark.clause("C3")
def test_a_narrow_variable_takes_a_wide_gradient_unrounded(door: str) -> None:
    theta, m, g = normal(16, (500,), "bfloat16", "bfloat16", "float32")
    ours = run(Lion(0.01), door, theta, m, [g])
    assert not difference(ours, reference(theta, m, [g], lr=0.01))
    assert difference(ours, reference(theta, m, [g.astype(theta.dtype)], lr=0.01))


# Embeddings and frozen layers.


@FIT_MODES
def test_an_embedding_in_fit(mode: dict[str, Any]) -> None:
    embedding = keras.layers.Embedding(7, 4)
    model = keras.Sequential([keras.Input((2,), dtype="int32"), embedding])
    opt = Lion(0.01, weight_decay=0.1)
    model.compile(opt, loss=lambda _, output: keras.ops.sum(output), **mode)
    theta = embedding.embeddings.numpy()
    tokens = np.array([[1, 1], [5, 2]])
    model.fit(tokens, np.zeros((2, 1)), batch_size=1, shuffle=False, verbose=0)
    gradients = np.zeros((2, 7, 4), np.float32)
    gradients[0, 1], gradients[1, [5, 2]] = 2, 1
    expected = reference(theta, 0 * theta, gradients, lr=0.01, weight_decay=0.1)[-1:]
    assert not difference([(embedding.embeddings.numpy(), opt.variables[-1].numpy())], expected)


def test_a_layer_that_is_not_trainable_keeps_its_bits() -> None:
    frozen, trained = keras.layers.Dense(3), keras.layers.Dense(1)
    model = keras.Sequential([keras.Input((4,)), frozen, trained])
    frozen.trainable = False
    model.compile(Lion(0.1, weight_decay=0.5), loss="mse")
    before = [w.copy() for w in frozen.get_weights()]
    (inputs,) = normal(19, (8, 4), "float32")
    model.fit(inputs, np.ones(8), verbose=0)
    assert all(same_bits(a, b).all() for a, b in zip(before, frozen.get_weights(), strict=True))
    assert len(model.optimizer.variables) == 2 + len(trained.get_weights())


def test_a_variable_without_a_gradient_is_left_alone() -> None:
    (theta,) = normal(20, (4,), "float32")
    used, unused = keras.Variable(theta), keras.Variable(theta)
    opt = Lion(0.1, weight_decay=0.5)
    with pytest.warns(UserWarning, match="Gradients do not exist for variables"):
        opt.apply([tf.constant(theta), None], [used, unused])
    assert same_bits(unused.numpy(), theta).all()
    assert not same_bits(used.numpy(), theta).any()


def test_constraints_are_applied_after_the_step() -> None:
    target = keras.Variable([1.0, -1.0])
    target.constraint = keras.constraints.NonNeg()
    Lion(0.5).apply([tf.constant([1.0, 1.0])], [target])
    assert target.numpy().tolist() == [0.5, 0.0]


def test_plain_tensorflow_variables() -> None:
    theta, g = normal(21, (5,), "float32", "float32")
    target, opt = tf.Variable(theta), Lion(0.1)
    opt.apply_gradients([(tf.constant(g), target)])
    expected = reference(theta, 0 * theta, [g], lr=0.1)
    assert not difference([(target.numpy(), opt.variables[-1].numpy())], expected)
