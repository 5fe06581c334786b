"""Python's numbers as gradients, which have no dtype of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lion_tf import Lion, checks
from tests.lion_tf.doors import DOORS, difference, doors, reference, variable
from tests.lion_tf.test_slices import RATES, Sliced, Slices


@pytest.mark.parametrize("kind", [list, tuple, "slices"], ids=str)
@DOORS
@pytest.mark.clause("C2", "C3")
def test_python_s_numbers_reach_a_float64_variable_whole(kind: Any, door: str) -> None:
    theta, numbers = np.ones((2, 1)), [[0.1], [0.2]]
    given = Slices(numbers, [0, 1]) if kind == "slices" else kind(numbers)
    expected = reference(theta, 0 * theta, [np.array(numbers)], **RATES)
    assert not difference(stepped(theta, given, door), expected)


def stepped(theta: Any, given: Any, door: str) -> list[Any]:
    target, opt = variable(theta), Lion(0.01, weight_decay=0.1)
    opt.build([target])
    doors()[door](Sliced(opt, lambda _: given), [tf.ones(theta.shape, tf.float64)], [target])
    return [(target.numpy(), opt.variables[-1].numpy())]


@pytest.mark.clause("C4", "C5")
def test_a_rate_of_zero_keeps_its_sign_whichever_came_before() -> None:
    """TensorFlow takes a Python number that is equal to one before for that one."""
    for before, lr in ((-0.0, 0.0), (0.0, -0.0)):
        tf.constant(before)
        for given in ("made", "set"):
            target, opt = (
                variable(np.array([-0.0], np.float32)),
                Lion(lr if given == "made" else 0.5),
            )
            opt.build([target])
            opt.learning_rate = lr if given == "set" else opt.learning_rate.numpy().item()
            opt.apply([tf.ones(1)], [target])
            assert np.signbit(target.numpy()[0]) == np.signbit(-0.0 - lr), (before, lr, given)


@pytest.mark.clause("C2", "C3")
def test_what_has_a_dtype_keeps_it_beside_a_float64_variable() -> None:
    """A float32 0.1 is another number than Python's, and an integer is no gradient."""
    theta, numbers = np.ones((2, 1)), np.array([[0.1], [0.2]], np.float32)
    expected = reference(theta, 0 * theta, [numbers], **RATES)
    for given in (numbers, list(numbers), [tf.constant(row) for row in numbers]):
        assert not difference(stepped(theta, given, "eager"), expected)
    with pytest.raises(TypeError, match="grad has dtype int32"):
        stepped(theta, [[1], [2]], "eager")


def test_numbers_that_were_narrowed_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_numbers", lambda what, value, _: checks._tensor(what, value))
    with pytest.raises(AssertionError):
        test_python_s_numbers_reach_a_float64_variable_whole(list, "eager")
