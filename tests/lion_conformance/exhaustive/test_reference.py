"""The reference by tables is lion_ref.step, and is found out where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from lion_conformance.exhaustive.judging import FaultyTablesError, hold
from lion_conformance.exhaustive.question import DTYPES, PARAMETERS, Question
from lion_conformance.exhaustive.reference import Reference
from lion_ref import CANONICAL, Semantics
from lion_ref.hyperparameters import Hyperparameters

SCALARS = (
    Hyperparameters(0.01, 0.9, 0.99, 0.7),
    Hyperparameters(1e-3, 0.0, 1 - 2.0**-24, 0.0),  # products that are subnormal, or none
)
TABULATED = (
    CANONICAL,
    Semantics(subnormals="flush"),
    Semantics(subnormals="flush-before-rounding"),
    Semantics(subnormals="flush", step_stored=True),
    Semantics(decay="factor", decay_scalar="compute"),
)
OTHERS = (
    Semantics(nan_sign="zero"),
    Semantics(momentum_fused="gradient"),
    Semantics(precision="storage", momentum_precision="storage"),
)

pytestmark = [pytest.mark.clause("C5", "C18")]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("semantics", TABULATED, ids=lambda x: x.describe())
def test_tables_are_the_step(dtype: str, semantics: Semantics) -> None:
    for values in SCALARS:
        reference = Reference(Question(dtype, values, semantics))
        assert reference.tables is not None
        for block in (0x001, 0xFFF):  # subnormal momenta, momenta that are NaN
            part = slice(0, None, 7)
            expected = reference.stepped(block, part)
            for ours, theirs in zip(reference.block(block), expected, strict=True):
                assert np.array_equal(ours[part], theirs)


@pytest.mark.parametrize("semantics", OTHERS, ids=lambda x: x.describe())
def test_other_semantics_are_stepped(semantics: Semantics) -> None:
    assert Reference(Question("float16", SCALARS[0], semantics)).tables is None


@pytest.mark.parametrize("part", ["sign", "momentum"])
def test_a_false_table_is_found(part: str) -> None:
    reference = Reference(Question("float16", SCALARS[0], CANONICAL))
    hold(reference, 1)
    assert reference.tables is not None
    of_momentum, of_grad = getattr(reference.tables, part)
    of_grad[0x3C00] = np.nan  # a sum of every row
    with pytest.raises(FaultyTablesError, match=r"row \d+ of block 1 is not what lion_ref\.step"):
        hold(reference, 1)
    assert of_momentum.size == of_grad.size
    hold(reference, PARAMETERS)  # by no table
