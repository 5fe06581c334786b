"""What is refused, in which words, and that nothing has changed afterwards."""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lion_ref.arithmetic import same_bits
from lion_tf import Lion
from lion_tf.checks import check_gradients
from tests.lion_tf.doors import DOORS, doors, state, two_tables

NUMBER = "legal: a finite number >= 0"
JIT = pytest.mark.parametrize("jit_compile", [False, True], ids=["function", "xla"])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"learning_rate": -0.1}, ValueError, f"learning_rate=-0.1 is not legal; {NUMBER}"),
        ({"learning_rate": float("nan")}, ValueError, f"learning_rate=nan is not legal; {NUMBER}"),
        (
            {"learning_rate": "fast"},
            TypeError,
            (
                f"learning_rate='fast' is not legal: it is of type str; {NUMBER}, a "
                "LearningRateSchedule, or a callable without arguments that returns one"
            ),
        ),
        ({"weight_decay": -1}, ValueError, f"weight_decay=-1 is not legal; {NUMBER}"),
        ({"weight_decay": float("inf")}, ValueError, f"weight_decay=inf is not legal; {NUMBER}"),
        ({"beta_1": 1.0}, ValueError, "beta_1=1.0 is not legal; legal: a number in [0, 1)"),
        ({"beta_2": -0.5}, ValueError, "beta_2=-0.5 is not legal; legal: a number in [0, 1)"),
        (
            {"beta_2": None},
            TypeError,
            "beta_2=None is not legal: it is of type NoneType; legal: a number in [0, 1)",
        ),
    ],
    ids=str,
)
@pytest.mark.clause("C13")
def test_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        Lion(**arguments)


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay"])
@pytest.mark.clause("C13", "C14")
def test_attributes_that_are_set(name: str) -> None:
    opt = Lion(0.5, weight_decay=0.5)
    with pytest.raises(ValueError, match=f"^{name}=-1.0 is not legal; {NUMBER}$"):
        setattr(opt, name, -1.0)
    assert opt.get_config()[name] == 0.5


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay"])
@pytest.mark.clause("C13")
def test_a_number_that_overflows_the_compute_dtype(name: str) -> None:
    message = rf"^{name}=1e\+300 is not legal; {NUMBER}, finite also in float32$"
    with pytest.raises(ValueError, match=message):
        Lion(**{name: 1e300}).build([keras.Variable([1.0])])  # type: ignore[arg-type]
    wide = Lion(**{name: 1e300})  # type: ignore[arg-type]
    wide.build([keras.Variable([1.0], dtype="float64")])
    narrow = Lion(0.1)
    narrow.build([keras.Variable([1.0])])
    with pytest.raises(ValueError, match=message.replace(name, "learning_rate")):
        narrow.learning_rate = 1e300


def gradients_of(case: str) -> list[Any]:
    one = tf.ones([2])
    return {
        "float64": [one, tf.ones([2], tf.float64)],
        "int32": [one, tf.ones([2], tf.int32)],
        "shape": [one, tf.ones([3])],
        "rank": [one, tf.ones([2, 1])],
        "count": [one],
    }[case]


FLOATING = "legal: float16, bfloat16, float32"
REFUSED = {
    "float64": (
        TypeError,
        (
            "variable 'b': grad has dtype float64, wider than float32, the compute dtype for a "
            f"float32 param; {FLOATING}"
        ),
    ),
    "int32": (TypeError, f"variable 'b': grad has dtype int32; {FLOATING}, float64"),
    "shape": (
        ValueError,
        (
            "variable 'b': grad has shape (3,), but the variable has shape (2,); legal: the "
            "variable's shape"
        ),
    ),
    "rank": (
        ValueError,
        (
            "variable 'b': grad has shape (2, 1), but the variable has shape (2,); legal: the "
            "variable's shape"
        ),
    ),
    "count": (
        ValueError,
        (
            "grads has 1 entries, but trainable_variables has 2; legal: one gradient, or None, for "
            "each variable"
        ),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.clause("C2", "C3", "C13", "C14")
def test_gradients(case: str) -> None:
    variables = [keras.Variable([1.0, 2.0], name=name) for name in "ab"]
    opt = Lion(0.5)
    opt.build(variables)
    before = [v.numpy() for v in (*variables, *opt.variables)]
    error, message = REFUSED[case]
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        opt.apply(gradients_of(case), variables)
    for old, new in zip(before, (*variables, *opt.variables), strict=True):
        assert (old == new.numpy()).all()


@pytest.mark.parametrize("case", ["float64", "shape"])
@DOORS
@pytest.mark.clause("C3", "C13", "C14")
def test_gradients_are_refused_through_every_door(case: str, door: str) -> None:
    variables = [keras.Variable([1.0, 2.0], name=name) for name in "ab"]
    error, message = REFUSED[case]
    with pytest.raises(error, match=re.escape(message)):
        doors()[door](Lion(0.5), gradients_of(case), variables)
    assert all(v.numpy().tolist() == [1.0, 2.0] for v in variables)


@pytest.mark.parametrize("spec", [[None, 2], [4, None], None], ids=str)
@JIT
@pytest.mark.clause("C13", "C14")
def test_a_shape_that_is_known_as_the_graph_runs(jit_compile: bool, spec: Any) -> None:
    """TensorFlow would broadcast a single row, or a single column, to all of them."""
    opt, variables = two_tables()
    known = tf.ones((4, 2))  # its variable is not to be stepped either

    @tf.function(input_signature=[tf.TensorSpec(spec)], jit_compile=jit_compile)
    def step(gradient: Any) -> None:
        opt.apply([known, gradient], variables)

    before = state(opt, variables)
    for wrong in [(1, 2), (4, 1)]:
        if tf.TensorShape(spec).is_compatible_with(wrong):
            with pytest.raises(tf.errors.InvalidArgumentError, match="is not compatible with"):
                step(tf.ones(wrong))
            assert state(opt, variables) == before
    step(known)
    assert [v.numpy().tolist() for v in variables] == [[[0.5, 0.5]] * 4] * 2


@pytest.mark.clause("C13", "C14")
def test_negative_iterations() -> None:
    """The kernel's fences are built on a counter that is never negative."""
    opt, variables = two_tables()
    gradients = [tf.ones((4, 2))] * 2
    opt.iterations.assign(-1)
    before = state(opt, variables)
    with pytest.raises(ValueError, match=r"^iterations=-1 is not legal; legal: an integer >= 0$"):
        opt.apply(gradients, variables)
    assert state(opt, variables) == before
    opt.iterations.assign(0)
    opt.apply(gradients, variables)
    assert [v.numpy().tolist() for v in variables] == [[[0.5, 0.5]] * 4] * 2


@pytest.mark.clause("C2")
def test_a_variable_of_another_dtype() -> None:
    counter = keras.Variable([1, 2], dtype="int32", name="counter")
    message = (
        "variable 'counter': param has dtype int32; legal: float16, bfloat16, float32, float64"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        Lion().apply([tf.constant([1, 2])], [counter])


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay"])
@pytest.mark.clause("C13", "C14")
def test_a_schedule_that_leaves_what_is_legal(name: str) -> None:
    rates = iter([0.5, float("nan")])
    opt = Lion(**{name: lambda: next(rates)})  # type: ignore[arg-type]
    target = keras.Variable([1.0])
    opt.apply([tf.constant([1.0])], [target])
    before = [v.numpy() for v in (target, *opt.variables)]
    with pytest.raises(ValueError, match=f"^{name}=nan is not legal; {NUMBER}$"):
        opt.apply([tf.constant([1.0])], [target])
    assert all(
        (old == new.numpy()).all()
        for old, new in zip(before, (target, *opt.variables), strict=True)
    )


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay"])
@DOORS
@pytest.mark.clause("C13", "C14")
def test_a_rate_with_axes(name: str, door: str) -> None:
    opt = Lion(**{name: lambda: tf.constant([0.5])})  # type: ignore[arg-type]
    target = keras.Variable([1.0])
    message = (
        rf"{name} is not legal: it has shape \(1,\); legal: a number, or a tensor without axes"
    )
    with pytest.raises(TypeError, match=message):
        doors()[door](opt, [tf.constant([1.0])], [target])
    assert target.numpy().tolist() == [1.0]


def test_keras_own_refusals_still_work() -> None:
    opt = Lion()
    with pytest.raises(ValueError, match="must already be built"):
        opt.apply([tf.constant([1.0])])
    with pytest.raises(ValueError, match="Only one of `clipnorm`"):
        Lion(clipnorm=1.0, clipvalue=1.0)
    with pytest.raises(ValueError, match="not recognized"):
        Lion(foo=1)


def test_a_variable_that_is_overwritten_by_its_gradient_is_not_checked() -> None:
    """Keras' float8 scales: their gradients are values to be stored."""
    scale = keras.Variable([1.0])
    scale.overwrite_with_gradient = True
    theta = keras.Variable([1.0])
    opt = Lion(0.5)
    opt.apply([tf.constant([7.0]), tf.constant([1.0])], [scale, theta])
    assert (scale.numpy(), theta.numpy()) == ([7.0], [0.5])


@pytest.mark.clause("C13")
def test_the_check_passes_what_is_legal() -> None:
    variables = [keras.Variable(np.ones(2), dtype=name) for name in ("bfloat16", "float64")]
    check_gradients([tf.ones([2]), None], variables)
    check_gradients([None, tf.ones([2], tf.float16)], variables)


def test_numpy_gradients_are_converted() -> None:
    target = keras.Variable([1.0, 1.0])
    Lion(0.5).apply([np.ones(2, np.float32)], [target])
    assert same_bits(target.numpy(), np.full(2, 0.5, np.float32)).all()
