"""What XLA makes of a step: in place, nothing copied, nothing contracted."""

from __future__ import annotations

import re
from typing import Any

import keras
import pytest
import tensorflow as tf

from lion_tf import Lion, kernel
from lion_tf.fence import fence
from tests.lion_tf.doors import replace_in_kernel

SIZE = 4096


def compiled(dtype: str) -> str:
    """The optimized HLO of one variable's update, which eager mode and tf.function run."""
    theta, m = (tf.Variable(tf.zeros([SIZE], dtype)) for _ in range(2))
    kind, double = tf.as_dtype(dtype), tf.float64
    update = kernel.compiled(kind, kind, tf.float32, double)
    text: str = tf.function(update, jit_compile=True).experimental_get_compiler_ir(
        theta.handle,
        m.handle,
        tf.zeros([SIZE], dtype),
        tf.constant(0.5),
        tf.constant(0.5, double),
        tf.constant([0.5, 0.5, 0.5, 0.5], double),
        tf.constant(0, tf.int64),
    )(stage="optimized_hlo")
    return text


def compiled_train_step() -> str:
    """The optimized HLO of a user's own jit-compiled step on two variables."""
    variables = [keras.Variable(tf.zeros([SIZE])) for _ in range(2)]
    opt = Lion(0.5, weight_decay=0.5)
    opt.build(variables)
    step = tf.function(lambda *gradients: opt.apply(gradients, variables), jit_compile=True)
    gradients = [tf.zeros([SIZE])] * 2
    text: str = step.experimental_get_compiler_ir(*gradients)(stage="optimized_hlo")
    return text


def copies(text: str) -> list[str]:
    """The arrays of the variables' size that are copied."""
    return re.findall(rf"= \w+\[{SIZE}\]\S* copy\(", text)


def aliased(text: str) -> int:
    """How many results take the place of an argument."""
    (line,) = re.findall(r"input_output_alias=\{(.*?)\}, alias_passthrough", text)
    count: int = line.count("may-alias")
    return count


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_step_is_in_place_and_copies_nothing(dtype: str) -> None:
    text = compiled(dtype)
    assert copies(text) == []
    assert aliased(text) == 2


def test_a_compiled_train_step_copies_nothing() -> None:
    text = compiled_train_step()
    assert copies(text) == []
    assert aliased(text) == 5  # and the iterations


def test_loops_that_nothing_orders_copy_the_momentum(monkeypatch: pytest.MonkeyPatch) -> None:
    def unordered(value: Any, zero: Any) -> Any:
        return zero

    replace_in_kernel(monkeypatch, zero_after=unordered)
    assert len(copies(compiled("float32"))) == 1
    assert len(copies(compiled_train_step())) == 2


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_fence_where_a_result_is_stored_copies_both_arrays(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fenced(new: Any, old: Any, zero: Any, iterations: Any) -> Any:
        return fence(tf.cast(new, old.dtype), zero)

    replace_in_kernel(monkeypatch, stored=fenced)
    assert len(copies(compiled(dtype))) == 2
