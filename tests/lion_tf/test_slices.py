"""IndexedSlices: a dense gradient in another form, of whatever a Tensor can be made of."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lion_ref.arithmetic import same_bits
from lion_tf import Lion, checks
from tests.lion_tf.doors import (
    DOORS,
    difference,
    doors,
    normal,
    reference,
    state,
    two_tables,
    variable,
)

Slices = tf.IndexedSlices
WHERE = (4, 1, 4, 0)  # row 4 twice; rows 2, 3 and 5 not at all
SHAPE = (6, 3)
RATES = {"lr": 0.01, "weight_decay": 0.1}
(INT16, INT32, INT64) = (tf.constant(WHERE, kind) for kind in (tf.int16, tf.int32, tf.int64))


class Sliced:
    """An optimizer whose gradients are made slices where it gets them, behind a tf.function."""

    def __init__(self, opt: Any, make: Callable[[Any], Any]) -> None:
        self.build, self._opt, self._make = opt.build, opt, make

    def apply(self, gradients: Any, variables: Any) -> None:
        self._opt.apply([self._make(x) for x in gradients], variables)

    def apply_gradients(self, pairs: Any) -> None:
        self._opt.apply_gradients([(self._make(x), target) for x, target in pairs])


def given() -> tuple[Any, ...]:
    """θ, m, the rows of the slices, and the gradient that they stand for; its sums are exact."""
    theta, m = normal(17, SHAPE, "float32", "float32")
    rows = np.random.default_rng(18).integers(-4, 5, (len(WHERE), SHAPE[1])).astype(np.float32)
    dense = np.zeros(SHAPE, np.float32)
    np.add.at(dense, list(WHERE), rows)
    return theta, m, rows, dense


def found(door: str, make: Callable[[Any], Any]) -> str:
    """What differs from a step with the dense gradient."""
    theta, m, rows, dense = given()
    target, opt = variable(theta), Lion(0.01, weight_decay=0.1)
    opt.build([target])
    opt.variables[-1].assign(m)
    doors()[door](Sliced(opt, make), [tf.constant(rows)], [target])
    expected = reference(theta, m, [dense], **RATES)
    assert not same_bits(expected[0][0][[2, 3, 5]], theta[[2, 3, 5]]).any()  # all rows move
    return difference([(target.numpy(), opt.variables[-1].numpy())], expected)


LEGAL: dict[str, Callable[[Any], Any]] = {
    "tensors": lambda rows: Slices(rows, INT64, tf.constant(SHAPE)),
    "tensors without a shape": lambda rows: Slices(rows, INT32),
    "tensors of other integers": lambda rows: Slices(rows, INT16, tf.constant(SHAPE, tf.int16)),
    "tensors of unsigned integers": lambda rows: Slices(rows, tf.cast(INT32, tf.uint8)),
    "tuples": lambda rows: Slices(rows, WHERE, SHAPE),
    "tuples without a shape": lambda rows: Slices(rows, WHERE),
    "lists": lambda rows: Slices(rows, list(WHERE), list(SHAPE)),
    "NumPy's": lambda rows: Slices(rows, np.array(WHERE), np.array(SHAPE)),
    "NumPy's without a shape": lambda rows: Slices(rows, np.array(WHERE, np.int32)),
    "NumPy's small ones": lambda rows: Slices(rows, np.array(WHERE, np.int8), np.array(SHAPE)),
    "NumPy's numbers": lambda rows: Slices(rows, [np.int64(x) for x in WHERE], SHAPE),
    "a tensor and a tuple": lambda rows: Slices(rows, INT32, SHAPE),
    "a tuple and a tensor": lambda rows: Slices(rows, WHERE, tf.constant(SHAPE, tf.int64)),
    "int32 and int64": lambda rows: Slices(rows, INT32, tf.constant(SHAPE, tf.int64)),
    "a TensorShape": lambda rows: Slices(rows, INT64, tf.TensorShape(SHAPE)),
    "a TensorShape that is open": lambda rows: Slices(rows, INT64, tf.TensorShape([None, 3])),
    "two axes": lambda rows: Slices(
        tf.reshape(rows, (2, 2, 3)), np.reshape(WHERE, (2, 2)).tolist(), SHAPE
    ),
    "NumPy's values": lambda _: Slices(given()[2], np.array(WHERE), SHAPE),
    "a list of values": lambda _: Slices(given()[2].tolist(), list(WHERE), SHAPE),
}


# Inside an XLA cluster, one form of tensors, one of tuples and one of arrays.
@pytest.mark.parametrize(
    ("form", "door"),
    [
        pytest.param(form, door, marks=pytest.mark.slow if wide else [])
        for form, door in itertools.product(LEGAL, doors())
        for wide in [door == "xla" and form not in {"tensors", "tuples", "NumPy's"}]
    ],
)
@pytest.mark.clause("C1", "C2", "C12")
def test_a_form_of_slices_stands_for_a_dense_gradient(form: str, door: str) -> None:
    assert not found(door, LEGAL[form])


@pytest.mark.parametrize("kind", [tf.Variable, keras.Variable])
@DOORS
@pytest.mark.clause("C2")
def test_slices_of_variables(kind: Any, door: str) -> None:
    values = kind(given()[2])
    where, shape = (kind(x, dtype="int32") for x in (WHERE, SHAPE))
    assert not found(door, lambda _: Slices(values, where))
    assert not found(door, lambda _: Slices(values, where, shape))


@DOORS
@pytest.mark.clause("C2")
def test_no_slices_are_a_gradient_of_zeros(door: str) -> None:
    theta, m, *_ = given()
    empty: list[Any] = [[], (), np.zeros(0, np.int32), np.zeros(0, np.int64)]
    for nothing in empty:
        target, opt = variable(theta), Lion(0.01, weight_decay=0.1)
        opt.build([target])
        opt.variables[-1].assign(m)
        sliced = Sliced(opt, partial(Slices, indices=nothing, dense_shape=SHAPE))
        doors()[door](sliced, [tf.zeros((0, 3))], [target])
        expected = reference(theta, m, [np.zeros_like(theta)], **RATES)
        assert not difference([(target.numpy(), opt.variables[-1].numpy())], expected)


@DOORS
@pytest.mark.clause("C2")
def test_a_dense_shape_of_tensors_and_numbers(door: str) -> None:
    """A number of rows that a graph has yet to compute, and columns that are known."""
    assert not found(door, lambda rows: Slices(rows, INT32, (tf.size(rows) // 2, 3)))
    assert not found(door, lambda rows: Slices(rows, INT32, [tf.size(rows) // 2, 3]))


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.clause("C1", "C12")
def test_slices_of_tuples_in_fit(run_eagerly: bool) -> None:
    theta, m, rows, dense = given()

    class Table(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.table = self.add_weight(shape=SHAPE, name="table")

        def train_step(self, data: Any) -> Any:
            self.optimizer.apply([Slices(data, WHERE, SHAPE)], [self.table])
            return {"loss": tf.reduce_sum(data)}

    model = Table()
    model.compile(Lion(0.01, weight_decay=0.1), run_eagerly=run_eagerly)
    model.optimizer.build([model.table])
    model.table.assign(theta)
    model.optimizer.variables[-1].assign(m)
    model.fit(tf.data.Dataset.from_tensors(rows), shuffle=False, verbose=0)
    ours = [(model.table.numpy(), model.optimizer.variables[-1].numpy())]
    assert not difference(ours, reference(theta, m, [dense], **RATES))


@pytest.mark.parametrize("wrapped", [{"clipvalue": 1e3}, {"gradient_accumulation_steps": 2}])
@pytest.mark.clause("C12")
def test_slices_of_tuples_before_what_keras_does_to_gradients(wrapped: dict[str, Any]) -> None:
    theta, _, rows, dense = given()
    target, opt = variable(theta), Lion(0.01, weight_decay=0.1, **wrapped)
    for _ in range(wrapped.get("gradient_accumulation_steps", 1)):
        opt.apply([Slices(rows, WHERE, SHAPE)], [target])
    expected = reference(theta, 0 * theta, [dense], **RATES)
    assert same_bits(target.numpy(), expected[0][0]).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"_indices": lambda given, *_: tf.convert_to_tensor(given)[::-1]},
        {"_dense": lambda slices, _: tf.scatter_nd([[0], [1]], tf.ones((2, 3)), SHAPE)},
    ],
    ids=["other rows", "other values"],
)
@DOORS
def test_wrong_rows_are_found(
    wrong: dict[str, Any], door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, function in wrong.items():
        monkeypatch.setattr(checks, name, function)
    assert found(door, LEGAL["tuples"])


# What is no gradient of a variable of four rows and two columns.

ROW = [[1.0, 1.0]]
INTEGER = "legal: an integer in range(4)"
OWN_SHAPE = "but the variable has shape (4, 2); legal: the variable's shape"
MADE = "legal: a Tensor, or what TensorFlow can make one of"
DENSE = "legal: the variable's shape, (4, 2), or None"
REFUSED: dict[str, tuple[type[Exception], tuple[Any, ...], str]] = {
    "beyond": (ValueError, (ROW, [4], [4, 2]), f"grad has the index 4; {INTEGER}"),
    "negative": (ValueError, (ROW, [-1]), f"grad has the index -1; {INTEGER}"),
    "NumPy's": (ValueError, (ROW, np.array([7], np.uint64)), f"grad has the index 7; {INTEGER}"),
    "floats": (
        TypeError,
        (ROW, [1.0], (4, 2)),
        "grad has indices of dtype float32; legal: integers in range(4)",
    ),
    "booleans": (
        TypeError,
        (ROW, np.array([True])),
        "grad has indices of dtype bool; legal: integers in range(4)",
    ),
    "words": (
        TypeError,
        (ROW, ["a"]),
        "grad has indices of dtype string; legal: integers in range(4)",
    ),
    "no indices": (TypeError, (ROW, None), f"the indices of grad is of type NoneType; {MADE}"),
    "no values": (TypeError, (None, [0]), f"the values of grad is of type NoneType; {MADE}"),
    "integers": (
        TypeError,
        ([[1, 1]], [0]),
        "grad has dtype int32; legal: float16, bfloat16, float32, float64",
    ),
    "wide": (
        TypeError,
        (np.ones((1, 2)), [0]),
        (
            "grad has dtype float64, wider than float32, the compute dtype for a float32 param; "
            "legal: float16, bfloat16, float32"
        ),
    ),
    "columns": (ValueError, ([[1.0]], [0]), f"grad has shape (4, 1), {OWN_SHAPE}"),
    "columns that are hidden": (
        ValueError,
        ([[1.0]], [0], [4, 2]),
        f"grad has shape (4, 1), {OWN_SHAPE}",
    ),
    "other rows": (ValueError, (ROW, [0], (5, 2)), f"grad has shape (5, 2), {OWN_SHAPE}"),
    "other axes": (
        ValueError,
        (ROW, [0], np.array([4, 2, 1])),
        f"grad has shape (4, 2, 1), {OWN_SHAPE}",
    ),
    "one index": (ValueError, (ROW, 0, (4, 2)), f"grad has shape (4, 1, 2), {OWN_SHAPE}"),
    "too few": (
        ValueError,
        (ROW, [0, 1], (4, 2)),
        (
            "grad has values of shape (1, 2) for indices of shape (2,); legal: one row of values "
            "for each index"
        ),
    ),
    "a shape of floats": (
        TypeError,
        (ROW, [0], (4.0, 2.0)),
        f"grad has the dense_shape [4.0, 2.0]; {DENSE}",
    ),
    "a shape of axes": (
        TypeError,
        (ROW, [0], [[4, 2]]),
        f"grad has the dense_shape [[4, 2]]; {DENSE}",
    ),
    "a negative shape": (
        TypeError,
        (ROW, [0], (-4, 2)),
        f"grad has the dense_shape [-4, 2]; {DENSE}",
    ),
}


def tensors(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(part if part is None else tf.constant(part) for part in parts)


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("form", [lambda parts: parts, tensors], ids=["as given", "as tensors"])
@DOORS
@pytest.mark.clause("C2", "C3", "C13", "C14")
def test_slices_that_are_refused_before_the_step(case: str, form: Any, door: str) -> None:
    opt, variables = two_tables()
    before = state(opt, variables)
    error, parts, message = REFUSED[case]
    slices = Slices(*form(parts))
    first = iter([True, False] * 2)
    mixed = Sliced(opt, lambda dense: dense if next(first) else slices)
    with pytest.raises(error, match=re.escape(f"variable 'b': {message}") + r"(\n|$)"):
        doors()[door](mixed, [tf.ones((4, 2))] * 2, variables)
    assert state(opt, variables) == before


@pytest.mark.parametrize(
    "wrong", [object(), tf.sparse.from_dense([[1.0]]), tf.ragged.constant([[1.0], []])], ids=type
)
@DOORS
@pytest.mark.clause("C2", "C13", "C14")
def test_what_no_tensor_can_be_made_of(wrong: Any, door: str) -> None:
    opt, variables = two_tables()
    before = state(opt, variables)
    message = f"variable 'a': grad is of type {type(wrong).__name__}; {MADE}"
    with pytest.raises(TypeError, match=re.escape(message)):
        doors()[door](Sliced(opt, lambda _: wrong), [tf.ones((4, 2))] * 2, variables)
    assert state(opt, variables) == before


def test_without_the_check_a_row_is_lost_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    opt, variables = two_tables()
    before = variables[0].numpy()
    monkeypatch.setattr(checks, "_indices", lambda given, *_: tf.constant(given))
    opt.apply([Slices(tf.constant(ROW), [-1], (4, 2))] * 2, variables)
    assert same_bits(variables[0].numpy(), before).all()


@pytest.mark.clause("C13", "C14")
def test_a_dense_shape_that_is_known_as_the_graph_runs() -> None:
    opt, variables = two_tables()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)])
    def step(shape: Any) -> None:
        opt.apply([tf.ones((4, 2)), Slices(tf.ones((4, 2)), (0, 1, 2, 3), shape)], variables)

    before = state(opt, variables)
    with pytest.raises(tf.errors.InvalidArgumentError, match="is not compatible with"):
        step(tf.constant([5, 2], tf.int64))
    assert state(opt, variables) == before
    step(tf.constant([4, 2], tf.int64))
    assert [v.numpy().tolist() for v in variables] == [[[0.5, 0.5]] * 4] * 2


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        (tf.TensorSpec([2], tf.float32), "dtype float32 and shape (2,)"),
        (tf.TensorSpec([3], tf.int32), "dtype int32 and shape (3,)"),
        (tf.TensorSpec([], tf.int64), "dtype int64 and shape ()"),
    ],
    ids=["floats", "an axis more", "no axes"],
)
@pytest.mark.clause("C2", "C13", "C14")
def test_a_dense_shape_that_is_not_known_and_cannot_be_legal(spec: Any, shown: str) -> None:
    opt, variables = two_tables()
    before = state(opt, variables)
    step = tf.function(
        lambda shape: opt.apply([tf.ones((4, 2)), Slices(tf.ones((1, 2)), [0], shape)], variables),
        autograph=False,
    )
    message = (
        f"variable 'b': grad has a dense_shape of {shown}; legal: integers of shape (2,), the "
        "variable's shape, (4, 2), or None"
    )
    with pytest.raises(TypeError, match=re.escape(message)):
        step.get_concrete_function(spec)
    assert state(opt, variables) == before


@pytest.mark.parametrize("shape", [None, (), (1,)], ids=str)
@DOORS
@pytest.mark.clause("C2", "C13", "C14")
def test_slices_of_a_variable_without_axes(shape: Any, door: str) -> None:
    target, opt = keras.Variable(1.0, name="a"), Lion(0.5)
    opt.build([target])
    before = state(opt, [target])
    message = (
        "variable 'a': grad is IndexedSlices, but the variable has shape (), without rows; legal: "
        "a dense gradient"
    )
    sliced = Sliced(opt, lambda _: Slices([1.0], [0], shape))
    with pytest.raises(ValueError, match=re.escape(message)):
        doors()[door](sliced, [tf.ones(())], [target])
    assert state(opt, [target]) == before


@pytest.mark.clause("C14")
def test_an_index_that_a_graph_refuses_on_a_cpu() -> None:
    opt, variables = two_tables()

    @tf.function(input_signature=[tf.TensorSpec([1], tf.int32)])
    def step(indices: Any) -> None:
        opt.apply([tf.ones((4, 2)), Slices(tf.ones((1, 2)), indices, (4, 2))], variables)

    before = state(opt, variables)
    with tf.device("CPU:0"), pytest.raises(tf.errors.InvalidArgumentError, match="out of range"):
        step(tf.constant([4]))
    assert state(opt, variables) == before
