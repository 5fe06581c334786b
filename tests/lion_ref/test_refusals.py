"""What `lion_ref.step` refuses, in which words, and that nothing has happened then (C13, C14)."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from lion_ref import accepts, step
from lion_ref.arithmetic import Array, bits, same_bits
from tests.adversarial import elements

SCALARS: dict[str, Any] = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1}


def f32(*values: float) -> Array:
    return np.array(values, dtype=np.float32)


NON_NEGATIVE, UNIT = "a finite number >= 0", "a number in [0, 1)"
BAD_VALUES: list[tuple[str, object, str]] = [
    *((name, x, NON_NEGATIVE) for name in ("lr", "weight_decay") for x in (-1, -1e-320, -np.inf)),
    *((name, x, NON_NEGATIVE) for name in ("lr", "weight_decay") for x in (np.inf, np.nan)),
    *(
        (name, x, NON_NEGATIVE)
        for name in ("lr", "weight_decay")
        for x in (10**400, np.float32(-1))
    ),
    *((name, x, UNIT) for name in ("beta1", "beta2") for x in (-0.1, 1, 1.0, 2, np.nan, np.inf)),
    *((name, x, UNIT) for name in ("beta1", "beta2") for x in (np.float64(1), Fraction(3, 2))),
]
BAD_TYPES: list[object] = [
    *(
        True,
        np.bool_(False),
        "0.1",
        b"1",
        None,
        1j,
        np.complex64(1),
        np.timedelta64(1),
        [0.1],
        (0.1,),
        {},
    ),
    *(np.array([0.1]), np.array([[0.1]]), np.array([]), np.array("1"), np.array(True), Decimal(1)),
]


def refused(argument: str, value: object) -> Exception:
    """The error for one bad scalar; the inputs must have kept their bits."""
    arrays = elements(np.random.default_rng(0), ("float32",) * 3, 5, beta1=0.9, beta2=0.99)
    before = [bits(x) for x in arrays]
    scalars: dict[str, Any] = SCALARS | {argument: value}
    with pytest.raises((TypeError, ValueError)) as error:
        step(*arrays, **scalars)
    assert all((bits(x) == kept).all() for x, kept in zip(arrays, before, strict=True))
    return error.value


@pytest.mark.clause("C13", "C14")
@pytest.mark.parametrize(("argument", "value", "legal"), BAD_VALUES, ids=lambda x: str(x)[:20])
def test_a_scalar_out_of_range_is_refused(argument: str, value: object, legal: str) -> None:
    error = refused(argument, value)
    assert type(error) is ValueError
    assert str(error) == f"{argument}={value!r} is not legal; legal: {legal}"


@pytest.mark.clause("C13", "C14")
@pytest.mark.parametrize("value", BAD_TYPES, ids=repr)
@pytest.mark.parametrize("argument", SCALARS)
def test_a_scalar_that_is_no_real_number_is_refused(argument: str, value: object) -> None:
    error = refused(argument, value)
    legal = UNIT if argument.startswith("beta") else NON_NEGATIVE
    inner = value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value
    assert type(error) is TypeError
    assert str(error) == (
        f"{argument}={inner!r} is not legal: it is of type {type(inner).__name__}; legal: {legal}"
    )


@pytest.mark.clause("C13")
@pytest.mark.parametrize("argument", ["lr", "weight_decay"])
def test_a_scalar_that_overflows_the_compute_dtype_is_refused(argument: str) -> None:
    assert str(refused(argument, 1e39)) == (
        f"{argument}=1e+39 is not legal; legal: a finite number >= 0, finite also in float32"
    )
    halfway = 2.0**128 - 2.0**103  # rounds to even, which is 2**128
    assert "finite also in float32" in str(refused(argument, halfway))
    below: dict[str, Any] = SCALARS | {argument: np.nextafter(halfway, 0)}
    step(f32(0.0), f32(0.0), f32(0.0), **below)
    wide: dict[str, Any] = SCALARS | {argument: 1e39}
    step(np.zeros(1), np.zeros(1), np.zeros(1), **wide)


@pytest.mark.clause("C4", "C13")
@pytest.mark.parametrize(
    "half",
    [0.5, np.float16(0.5), np.float32(0.5), np.array(0.5), Fraction(1, 2), ml_dtypes.bfloat16(0.5)],
    ids=repr,
)
def test_real_numbers_of_every_type_are_legal(half: Any) -> None:
    arrays = f32(1.0), f32(2.0), f32(3.0)
    expected = step(*arrays, lr=0.5, beta1=0.5, beta2=0.5, weight_decay=0.5)
    got = step(*arrays, lr=half, beta1=half, beta2=half, weight_decay=half)
    assert all(same_bits(a, b).all() for a, b in zip(got, expected, strict=True))


@pytest.mark.clause("C13", "C14")
@pytest.mark.parametrize(
    ("momentum", "grad", "culprit"),
    [
        ((2,), (3,), "momentum"),
        ((3,), (2,), "grad"),
        ((1, 3), (3,), "momentum"),
        ((3,), (), "grad"),
        ((), (3,), "momentum"),
        ((3,), (1,), "grad"),  # no broadcasting
    ],
)
def test_shapes_that_differ_are_refused(
    momentum: tuple[int, ...], grad: tuple[int, ...], culprit: str
) -> None:
    with pytest.raises(ValueError, match="has shape") as error:
        step(np.zeros(3), np.zeros(momentum), np.zeros(grad), lr=0.1)
    shape = momentum if culprit == "momentum" else grad
    assert str(error.value) == (
        f"{culprit} has shape {shape}, but param has shape (3,); "
        "legal: param, momentum and grad of one shape"
    )


@pytest.mark.clause("C13")
def test_a_masked_array_and_a_wrong_semantics_are_refused() -> None:
    masked = np.ma.masked_array(f32(1.0), mask=[True])
    with pytest.raises(TypeError, match=r"param is a masked array, whose mask .*; legal: an array"):
        step(masked, f32(0.0), f32(0.0), lr=0.1)
    wrong: Any = "fused"
    with pytest.raises(
        TypeError, match=r"semantics='fused' is not legal; legal: a lion_ref.Semant"
    ):
        step(f32(1.0), f32(0.0), f32(0.0), lr=0.1, semantics=wrong)


@pytest.mark.clause("C14")
def test_every_refusal_comes_before_any_work() -> None:
    """All arguments are validated although the arrays are empty."""
    empty = np.zeros(0, np.float32)
    with pytest.raises(ValueError, match="lr="):
        step(empty, empty, empty, lr=-1)


@pytest.mark.clause("C13")
def test_the_accepted_set_refuses_masked_arrays_too() -> None:
    one, zero = f32(1.0), f32(0.0)
    masked = np.ma.masked_array(one, mask=[True])
    with pytest.raises(TypeError, match="grad is a masked array"):
        accepts(one, zero, masked, one, zero, lr=0.1)
    with pytest.raises(TypeError, match="new_param is a masked array"):
        accepts(one, zero, one, masked, zero, lr=0.1)
