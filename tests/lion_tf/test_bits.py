"""Steps through the public doors, bit for bit as lion_ref with the declared semantics."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lion_ref import CANONICAL, Semantics, legal_triples
from lion_ref import step as reference_step
from lion_ref.arithmetic import bits, same_bits
from lion_ref.dtypes import STORAGE_DTYPES
from lion_tf import Lion, declared_semantics
from tests.adversarial import elements, hyperparameters
from tests.lion_tf.doors import (
    DOORS,
    SEMANTICS,
    difference,
    keras_names,
    normal,
    reference,
    replace_in_kernel,
    run,
)

DTYPES = pytest.mark.parametrize("dtype", list(STORAGE_DTYPES))
# A momentum has its variable's dtype in Keras.
PAIRS = [(theta, g) for theta, m, g in legal_triples() if theta == m]


def compare(door: str, theta: str, g: str, seed: int, size: int, steps: int = 2) -> str:
    rng = np.random.default_rng(seed)
    scalars = hyperparameters(rng)
    betas = {name: scalars[name] for name in ("beta1", "beta2")}
    drawn = [elements(rng, (theta, theta, g), size, **betas) for _ in range(steps)]
    (param, momentum, _), gradients = drawn[0], [gradient for _, _, gradient in drawn]
    ours = run(Lion(**keras_names(scalars)), door, param, momentum, gradients)
    return difference(ours, reference(param, momentum, gradients, **scalars))


@pytest.mark.parametrize(("theta", "g"), PAIRS)
@DOORS
@pytest.mark.clause("C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11", "C18")
def test_adversarial_inputs_in_every_pair_of_dtypes(theta: str, g: str, door: str) -> None:
    # What is inlined is compiled anew for each optimizer.
    for seed in (1,) if door == "xla" else range(3):
        assert not compare(door, theta, g, seed, 4099)


@pytest.mark.slow
@pytest.mark.parametrize(("theta", "g"), PAIRS)
@DOORS
@pytest.mark.clause("C5", "C9", "C18")
def test_many_hyperparameters(theta: str, g: str, door: str) -> None:
    for seed in range(100, 130):
        assert not compare(door, theta, g, seed, 20011)


@DTYPES
@DOORS
@pytest.mark.clause("C5", "C29")
def test_canonical_where_every_operation_is_normal(dtype: str, door: str) -> None:
    theta, m, *gradients = normal(1, (1000,), *(dtype,) * 7)
    ours = run(Lion(1e-3, weight_decay=0.1), door, theta, m, gradients)
    expected = []
    for g in gradients:
        theta, m = reference_step(theta, m, g, lr=1e-3, weight_decay=0.1, semantics=CANONICAL)
        expected.append((theta, m))
    assert not difference(ours, expected)


@pytest.mark.clause("C12", "C18")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_large_arrays_that_several_threads_share(dtype: str) -> None:
    assert not compare("eager", dtype, dtype, 5, 300_007, steps=1)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (7,), (33,), (2, 3, 5)], ids=str)
@DOORS
@pytest.mark.clause("C12")
def test_shapes(shape: tuple[int, ...], door: str) -> None:
    theta, m, *gradients = normal(2, shape, *("float32",) * 4)
    ours = run(Lion(1e-3, weight_decay=0.1), door, theta, m, gradients)
    assert not difference(ours, reference(theta, m, gradients, lr=1e-3, weight_decay=0.1))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@DOORS
@pytest.mark.clause("C9", "C18")
def test_every_half_precision_number_as_variable_momentum_and_gradient(
    dtype: str, door: str
) -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(STORAGE_DTYPES[dtype])
    for theta, m, g in (
        (every, every[::-1], every),
        (every, np.zeros_like(every), np.roll(every, 7)),
    ):
        ours = run(Lion(1e-3, weight_decay=0.1), door, theta, m, [g])
        assert not difference(ours, reference(theta, m, [g], lr=1e-3, weight_decay=0.1))


@DOORS
@pytest.mark.clause("C4")
def test_a_float64_variable_sees_the_learning_rate_in_binary64(door: str) -> None:
    theta, m, g = normal(3, (50,), *("float64",) * 3)
    for lr in (0.1, 1e-300, 1e300):
        ours = run(Lion(lr), door, theta, m, [g])
        assert not difference(ours, reference(theta, m, [g], lr=lr))
    rounded = reference(theta, m, [g], lr=float(np.float32(0.1)))
    assert difference(run(Lion(0.1), door, theta, m, [g]), rounded)


@pytest.mark.clause("C9")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_two_steps_in_one_compilation_round_in_between(dtype: str) -> None:
    theta, m, first, second = normal(4, (2000,), *(dtype,) * 4)
    opt = Lion(1e-3, weight_decay=0.1)
    target = keras.Variable(theta, dtype=dtype)
    opt.build([target])
    opt.variables[-1].assign(m)

    @tf.function(jit_compile=True)
    def twice(*gradients: Any) -> None:
        for gradient in gradients:
            opt.apply([gradient], [target])

    twice(tf.constant(first), tf.constant(second))
    ours = [(target.numpy(), opt.variables[-1].numpy())]
    rounded = reference(theta, m, [first, second], lr=1e-3, weight_decay=0.1)[-1:]
    assert not difference(ours, rounded)
    # A state that is kept wide between the steps has other bits.
    theta, m = theta.astype(np.float32), m.astype(np.float32)
    [*_, last] = reference(theta, m, [first, second], lr=1e-3, weight_decay=0.1)
    theta_wide, m_wide = (x.astype(STORAGE_DTYPES[dtype]) for x in last)
    assert difference(ours, [(theta_wide, m_wide)])


# Rounded with unbounded range these stay below the smallest normal number of float32, and are
# flushed; rounded to a subnormal, they become that number.
JUST_TINY = 2.0**-126 * (1 - 2.0**-24.5)


@pytest.mark.parametrize(
    ("scalars", "values"),
    [
        ({"lr": JUST_TINY}, (0, 1, 0)),
        ({"lr": 2.0**126, "weight_decay": JUST_TINY}, (1, 0, 0)),
        ({"lr": 1.0, "beta2": JUST_TINY}, (0, 1, 0)),
    ],
    ids=["lr", "weight_decay", "beta2"],
)
@DOORS
@pytest.mark.clause("C4", "C18")
def test_scalars_are_flushed_as_they_are_rounded(
    scalars: dict[str, float], values: tuple[int, int, int], door: str
) -> None:
    theta, m, g = (np.full(5, value, np.float32) for value in values)
    # A schedule's binary64 number reaches the step; a learning-rate variable would be float32.
    arguments: Any = {"learning_rate": lambda: tf.constant(scalars["lr"], tf.float64)}
    opt = Lion(**(keras_names(scalars) | arguments))
    expected = reference(theta, m, [g], **scalars)
    assert not difference(run(opt, door, theta, m, [g]), expected)
    # A scalar that is rounded to a subnormal's precision has other bits where it is not kept.
    rounded = {name: float(np.float32(value)) for name, value in scalars.items()}
    if SEMANTICS != CANONICAL:
        assert difference(reference(theta, m, [g], **rounded), expected)


# Wrong updates, each of which the tests above must reject.


def kept_zero(c: Any) -> Any:
    return tf.sign(c)


def lost_nan(c: Any) -> Any:
    return tf.where(c > 0, 1.0, tf.where(c < 0, -1.0, 0.0))


@pytest.mark.parametrize(
    "wrong",
    [{"fence": lambda x, zero: x}, {"sign": kept_zero}, {"sign": lost_nan}],
    ids=["contracted", "sign of -0", "sign of NaN"],
)
@DOORS
@pytest.mark.clause("C5", "C7", "C11")
def test_wrong_updates_are_found(
    wrong: dict[str, Any], door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_in_kernel(monkeypatch, **wrong)
    assert any(compare(door, "float32", "float32", seed, 4099) for seed in range(3))


@DTYPES
@DOORS
@pytest.mark.clause("C5")
def test_keras_own_lion_has_other_bits(dtype: str, door: str) -> None:
    theta, m, *gradients = normal(1, (1000,), *(dtype,) * 5)
    ours = run(keras.optimizers.Lion(1e-3, weight_decay=0.1), door, theta, m, gradients)
    assert difference(ours, reference(theta, m, gradients, lr=1e-3, weight_decay=0.1))


@DTYPES
@DOORS
@pytest.mark.clause("C18")
def test_subnormals_tell_the_semantics_apart(dtype: str, door: str) -> None:
    """The declaration can fail: on these inputs, keeping and flushing have different bits."""
    finfo = np.finfo(np.float64) if dtype == "float64" else np.finfo(np.float32)
    momentum = np.array([finfo.tiny / 4, -finfo.tiny / 2, finfo.tiny]).astype(STORAGE_DTYPES[dtype])
    zeros = 0 * momentum
    ours = run(Lion(0.5), door, zeros, momentum, [zeros])
    assert not difference(ours, reference(zeros, momentum, [zeros], lr=0.5))
    if dtype == "float16":
        return  # the compute dtype's subnormals are too small for it
    kept = reference_step(zeros, momentum, zeros, lr=0.5, semantics=CANONICAL)
    flushed = reference_step(
        zeros, momentum, zeros, lr=0.5, semantics=Semantics(subnormals="flush")
    )
    assert difference([kept], [flushed])


@pytest.mark.clause("C18", "C29")
def test_the_declared_semantics_is_probed() -> None:
    assert declared_semantics("CPU:0") in (
        CANONICAL,
        Semantics(subnormals="flush"),
        Semantics(subnormals="flush-before-rounding"),
    )
    assert not declared_semantics().is_other_algorithm


@pytest.mark.clause("C18", "C29")
def test_a_device_with_other_bits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from lion_tf import declared

    def nothing(*arguments: Any) -> None:
        """Leave θ and m as they are."""

    declared._probed.cache_clear()
    monkeypatch.setattr(declared, "update", nothing)
    with pytest.raises(RuntimeError, match="which no declared semantics gives; legal: a device"):
        declared_semantics("CPU:0")
    declared._probed.cache_clear()


@pytest.mark.clause("C7", "C12")
@DOORS
def test_an_untouched_zero_keeps_its_bits(door: str) -> None:
    theta = np.array([0.0, -0.0], np.float32)
    zeros = np.zeros(2, np.float32)
    [(after, _)] = run(Lion(0.5, weight_decay=0.5), door, theta, zeros, [np.negative(zeros)])
    assert same_bits(after, theta).all()
    assert bits(after).tolist() == [0, 1 << 31]
