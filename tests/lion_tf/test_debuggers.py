"""TensorFlow's debuggers, which put operations of theirs into all that a thread runs or traces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
import pytest
import tensorflow as tf

from lion_tf import Lion, declared, declared_semantics
from tests.lion_tf.doors import (
    SEMANTICS,
    Pair,
    difference,
    doors,
    normal,
    reference,
    replace_in_kernel,
    run,
    state,
    two_tables,
)

RATES = {"lr": 1e-3, "weight_decay": 0.1}
DOORS = pytest.mark.parametrize("door", ["eager", "function"])
DEBUGGERS = pytest.mark.parametrize("debugger", ["check_numerics", "dump", "dump health"])


@contextmanager
def switched_on(debugger: str, tmp_path: Path) -> Iterator[None]:
    dumping = tf.debugging.experimental
    if debugger == "check_numerics":
        tf.debugging.enable_check_numerics()
    elif debugger == "eager functions":
        tf.config.run_functions_eagerly(True)
    else:
        mode = "FULL_HEALTH" if "health" in debugger else "NO_TENSOR"
        dumping.enable_dump_debug_info(str(tmp_path), tensor_debug_mode=mode)
    try:
        yield
    finally:
        tf.debugging.disable_check_numerics()
        dumping.disable_dump_debug_info()
        tf.config.run_functions_eagerly(False)


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel by itself, which has no trace yet that would be of use under a debugger."""
    replace_in_kernel(monkeypatch)


def steps(door: str, dtype: str) -> tuple[list[Pair], list[Pair]]:
    """What three steps give and what they must: of normal numbers, subnormals, zeros, ties."""
    wide = "float32" if dtype in {"float16", "bfloat16"} else dtype
    theta, m, *gradients = normal(1, (1000,), dtype, dtype, wide, wide, wide)
    tiny = np.finfo(np.float64 if dtype == "float64" else np.float32).tiny
    for scale, part in ((tiny, slice(0, 100)), (tiny / 4, slice(100, 200)), (0, slice(200, 250))):
        for x in (theta, m, *gradients):
            x[part] = (x[part].astype(np.float64) * scale).astype(x.dtype)
    ours = run(Lion(1e-3, weight_decay=0.1), door, theta, m, gradients)
    return ours, reference(theta, m, gradients, **RATES)


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("debugger", ["check_numerics", "dump health", "eager functions"])
@DOORS
@pytest.mark.clause("C5", "C9", "C12", "C18")
def test_a_step_has_the_same_bits(debugger: str, dtype: str, door: str, tmp_path: Path) -> None:
    with switched_on(debugger, tmp_path):
        ours, expected = steps(door, dtype)
    assert not difference(ours, expected)


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize(
    "mode",
    [{}, pytest.param({"jit_compile": False}, marks=pytest.mark.slow), {"run_eagerly": True}],
    ids=str,
)
@DEBUGGERS
@pytest.mark.clause("C12")
def test_fit(debugger: str, mode: dict[str, Any], tmp_path: Path) -> None:
    with switched_on(debugger, tmp_path):
        layer = keras.layers.Dense(1, use_bias=False)
        model = keras.Sequential([keras.Input((8,)), layer])
        opt = Lion(1e-3, weight_decay=0.1)
        model.compile(opt, loss=lambda _, output: keras.ops.sum(output), **mode)
        theta = layer.kernel.numpy()
        (inputs,) = normal(2, (3, 8), "float32")
        model.fit(inputs, np.zeros(3), batch_size=1, shuffle=False, verbose=0)
        ours = [(layer.kernel.numpy(), opt.variables[-1].numpy())]
    gradients = inputs[..., None]
    assert not difference(ours, reference(theta, 0 * theta, gradients, **RATES)[-1:])


@pytest.mark.usefixtures("untraced")
@DEBUGGERS
@pytest.mark.clause("C18", "C29")
def test_the_semantics_are_declared(debugger: str, tmp_path: Path) -> None:
    declared._probed.cache_clear()
    with switched_on(debugger, tmp_path):
        assert declared_semantics() == SEMANTICS


@pytest.mark.usefixtures("untraced")
@DOORS
def test_a_trace_under_a_debugger_is_of_use_without_it(door: str, tmp_path: Path) -> None:
    with switched_on("check_numerics", tmp_path):
        steps(door, "float32")
    ours, expected = steps("xla", "float32")
    assert not difference(ours, expected)


class Here:
    """Stands for the thread in which a kernel is traced, and is the caller's."""

    def __init__(self, max_workers: int) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None: ...

    def submit(self, function: Any) -> Any:
        return type("Future", (), {"result": staticmethod(function)})


@DEBUGGERS
@DOORS
def test_a_kernel_that_the_debugger_sees_cannot_be_compiled(
    debugger: str, door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_in_kernel(monkeypatch, ThreadPoolExecutor=Here)
    with (
        switched_on(debugger, tmp_path),
        pytest.raises(tf.errors.InvalidArgumentError, match="unsupported operations"),
    ):
        steps(door, "float32")


# What check_numerics is for.


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.clause("C11", "C14")
def test_a_gradient_that_is_not_finite_is_found_before_anything_is_changed(
    wrong: float, tmp_path: Path
) -> None:
    opt, variables = two_tables()
    before = state(opt, variables)
    gradients = [tf.ones((4, 2)), tf.fill((4, 2), wrong)]
    with (
        switched_on("check_numerics", tmp_path),
        pytest.raises(tf.errors.InvalidArgumentError, match="Detected Infinity or NaN"),
    ):
        opt.apply(gradients, variables)
    assert state(opt, variables) == before
    opt.apply(gradients, variables)  # to which SPEC C11 gives a result
    assert int(opt.iterations) == 1


def test_a_gradient_that_is_not_finite_is_found_in_a_graph(tmp_path: Path) -> None:
    opt, variables = two_tables()
    with (
        switched_on("check_numerics", tmp_path),
        pytest.raises(tf.errors.InvalidArgumentError, match="Detected Infinity or NaN"),
    ):
        doors()["function"](opt, [tf.ones((4, 2)), tf.fill((4, 2), np.nan)], variables)


@DOORS
def test_a_nan_in_the_program_around_the_step_is_found(door: str, tmp_path: Path) -> None:
    opt, variables = two_tables()
    before = state(opt, variables)

    def step(inputs: Any) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.math.log(inputs) * variables[0].value)
        opt.apply([tape.gradient(loss, variables[0].value)], variables[:1])

    step = step if door == "eager" else tf.function(step)
    with switched_on("check_numerics", tmp_path):
        step(tf.ones((4, 2)))
        with pytest.raises(tf.errors.InvalidArgumentError, match=r'op "Log"'):
            step(-tf.ones((4, 2)))
    assert state(opt, variables) != before


@pytest.mark.parametrize("make", [Lion, keras.optimizers.Lion])
@pytest.mark.clause("C14")
def test_what_a_user_has_compiled_is_refused_with_any_optimizer(make: Any, tmp_path: Path) -> None:
    """jit_compile=True: XLA has none of the debugger's operations, which are in the user's part."""
    _, variables = two_tables()
    opt = make(0.5)
    opt.build(variables)
    before = state(opt, variables)
    with (
        switched_on("check_numerics", tmp_path),
        pytest.raises(tf.errors.InvalidArgumentError, match="unsupported operations"),
    ):
        doors()["xla"](opt, [tf.ones((4, 2))] * 2, variables)
    assert state(opt, variables) == before
