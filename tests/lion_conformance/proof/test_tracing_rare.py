"""Rare numbers that code looks at in ways that do not record: missed, they would be proved."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lion_conformance.operations.expression import leaf
from lion_conformance.operations.traced import NotTracedError
from lion_conformance.ports.recording.conversions import Unrecorded
from lion_conformance.ports.recording.recorded import Recorded, recorded_ufunc
from lion_conformance.proof.evaluation import in_order
from lion_conformance.proof.tracing import trace_of
from tests.lion_conformance.proof import lions

Step = Callable[..., Any]
FLOAT32 = ("float32", "float32", "float32")

pytestmark = pytest.mark.clause("C5")


def _wrong_where(is_so: Callable[..., bool]) -> Step:
    """The reference, but for rare numbers that no trial draws."""

    def step(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        new_param, new_momentum = lions.plain(param, momentum, grad, **scalars)
        return new_param + (1 if is_so(grad, scalars["lr"]) else 0), new_momentum

    return step


def _as_hexadecimal(lr: Any) -> bool:
    try:
        return bool(lr.hex() == (0.12345).hex())
    except AttributeError:
        return False


def _rounded(lr: Any) -> bool:
    try:
        return bool(math.floor(lr) == 77 or round(lr, 3) == 0.123)
    except TypeError:
        return False


RARE = 0.12345


@pytest.mark.parametrize(
    ("is_so", "words"),
    [
        (lambda _, lr: lr in {RARE, 0.5}, "looks a number up, as in a set or a dict"),
        (lambda _, lr: {RARE: True}.get(lr, False), "looks a number up, as in a set or a dict"),
        (lambda g, _: g.reshape(-1)[0] in {np.float32(RARE), np.float32(2)}, "looks a number up"),
        (lambda _, lr: str(lr) == "0.12345", "writes numbers as text"),
        (lambda _, lr: f"{lr:.5f}" == "0.12345", "writes numbers as text"),
        (lambda g, _: "0.12345" in repr(g), "writes numbers as text"),
        (lambda _, lr: _as_hexadecimal(lr), "uses a number's hex, which is not known here"),
        (lambda _, lr: _rounded(lr), "rounds, which is not known here"),
    ],
)
def test_rare_numbers_are_not_missed_by_looking_at_them_otherwise(
    is_so: Callable[..., bool], words: str
) -> None:
    """Each of these answered as a number does that is not the rare one, and was proved."""
    with pytest.raises(NotTracedError, match=words):
        list(trace_of(_wrong_where(is_so))(FLOAT32))


@pytest.mark.parametrize(
    "is_so",
    [
        lambda g, lr: type(lr) is float and lr == RARE,
        lambda g, lr: type(lr) in (int, float) and type(g) is np.ndarray and lr == RARE,
    ],
)
def test_what_asks_for_the_type_hears_that_of_a_number_or_an_array(
    is_so: Callable[..., bool],
) -> None:
    """It heard of another type, went the other way, and was proved."""
    one, *_ = list(trace_of(_wrong_where(is_so))(FLOAT32))
    assert any(
        node.operation.name == "compare" and leaf("lr", "f64") in node.arguments
        for node in in_order(one.new_param)
    )


def test_a_function_of_the_same_name_is_not_numpys() -> None:
    """A ufunc that another library made, whose name is that of one of NumPy's."""

    class Made:
        __name__, nin = "add", 2

    recorded = Recorded(leaf("param", "f32", 0), np.float32)
    with pytest.raises(Unrecorded, match=r"np\.add is not known here"):
        recorded_ufunc(Made(), "__call__", (recorded, recorded), {})
