"""What is judged is everything: every pair (m, g) once, and every θ beside every u."""

from __future__ import annotations

import numpy as np
import pytest

from lion_conformance.exhaustive.digests import slice_of, spans
from lion_conformance.exhaustive.question import (
    BLOCKS,
    DTYPES,
    PAIRS,
    PARAMETER_PAIRS,
    PARAMETERS,
    SIGNS,
    SIZE,
    TRIPLES,
    VALUES,
    Question,
    canonical,
    inputs,
    momenta,
    numbers,
)
from lion_ref import CANONICAL, Semantics, step
from lion_ref.arithmetic import bits
from lion_ref.hyperparameters import Hyperparameters

VALUES_OF_SCALARS = Hyperparameters(0.01, 0.9, 0.99, 0.7)

pytestmark = [pytest.mark.clause("C5"), pytest.mark.parametrize("dtype", DTYPES)]


def test_the_blocks_have_every_pair_once(dtype: str) -> None:
    seen = np.concatenate([momenta(block) for block in range(BLOCKS)])
    assert np.array_equal(np.sort(seen), np.arange(VALUES))
    assert PAIRS == 2**32
    for block in (0, 4095):
        param, momentum, grad = (bits(x) for x in inputs(block, dtype))
        assert set(param.tolist()) == {0x8000}
        rows = momentum.reshape(-1, VALUES), grad.reshape(-1, VALUES)
        assert np.array_equal(rows[0], np.repeat(momenta(block), VALUES).reshape(-1, VALUES))
        assert all(np.array_equal(row, np.arange(VALUES)) for row in rows[1])
        assert momentum.size == SIZE


def test_every_parameter_is_beside_every_sign(dtype: str) -> None:
    block = inputs(PARAMETERS, dtype)
    param, momentum, grad = (x[:PARAMETER_PAIRS] for x in block)
    shown, _ = step(np.zeros_like(param), momentum, grad, lr=1.0)
    pairs = {(x, float(-u)) for x, u in zip(bits(param).tolist(), shown.astype(float), strict=True)}
    assert len({(x, repr(u)) for x, u in pairs}) == PARAMETER_PAIRS == 4 * VALUES
    assert len({bits(x[PARAMETER_PAIRS:]).tobytes() for x in block}) == 3
    assert TRIPLES + PARAMETER_PAIRS == SIZE


def test_each_sign_shows_at_negative_zero(dtype: str) -> None:
    for semantics in (CANONICAL, Semantics(subnormals="flush"), Semantics(decay="factor")):
        shown = Question(dtype, VALUES_OF_SCALARS, semantics).shown()
        assert len(set(shown.tolist())) == len(SIGNS)
    kept = Question(dtype, VALUES_OF_SCALARS, Semantics(zero_sign="kept"))
    param, negative_zero = (numbers(np.array([0x8000], np.uint16), dtype) for _ in range(2))
    result, _ = kept.reference(param, negative_zero, negative_zero)
    assert canonical(result).tolist() == [0]  # and not 0x8000, as of u = +0


@pytest.mark.parametrize("lr", [0.0, 1e-45])
def test_a_rate_with_which_nothing_shows_is_refused(dtype: str, lr: float) -> None:
    with pytest.raises(ValueError, match=rf"lr={lr} is not legal for {dtype}: every u makes the s"):
        Question(dtype, Hyperparameters(lr, 0.9, 0.99, 0.7), CANONICAL)


def test_a_semantics_in_which_nan_is_zero_can_be_asked_about(dtype: str) -> None:
    shown = Question(dtype, VALUES_OF_SCALARS, Semantics(nan_sign="zero")).shown().tolist()
    assert shown[SIGNS.index(0.0)] == shown[-1] == 0x8000
    with pytest.raises(ValueError, match=r"lr=0\.0 is not legal"):
        Question(dtype, Hyperparameters(0.0, 0.9, 0.99, 0.7), Semantics(nan_sign="zero"))


def test_an_update_that_does_not_split_is_refused(dtype: str) -> None:
    with pytest.raises(ValueError, match="u and m' are made of θ, too, and the update does not sp"):
        Question(dtype, VALUES_OF_SCALARS, Semantics(decay="coupled"))


def test_other_dtypes_are_refused(dtype: str) -> None:
    with pytest.raises(ValueError, match="dtype='float32' is not legal; legal: float16, bfloat16"):
        Question("float32", VALUES_OF_SCALARS, CANONICAL)


def test_any_nan_is_one_nan_and_nothing_else_is(dtype: str) -> None:
    every = numbers(np.arange(VALUES, dtype=np.uint16), dtype)
    found, given = canonical(every), bits(every)
    with np.errstate(invalid="ignore"):  # some of them are signalling
        is_nan = np.isnan(every)
    assert len(set(found[is_nan].tolist())) == 1
    assert np.array_equal(found[~is_nan], given[~is_nan])


def test_slices_are_all_blocks(dtype: str) -> None:
    for n in (1, 3, 7, 4096):
        blocks = [block for i in range(n) for block in slice_of(f"{i + 1}/{n}")]
        assert spans(blocks) == [(0, BLOCKS - 1)]
        assert len(blocks) == BLOCKS
    for wrong in ("0/4", "5/4", "1/5000", "1", "a/b", "1/0", "-1/4"):
        with pytest.raises(ValueError, match=rf"slice='{wrong}' is not legal; legal: I/N with 1"):
            slice_of(wrong)
