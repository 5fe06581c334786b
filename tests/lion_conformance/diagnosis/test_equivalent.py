"""alike: what is taken for the same has the same bits, and what differs is not taken for it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

import lion_ref
from lion_conformance import Verdict, from_callable, verify
from lion_conformance.diagnosis import probes, special_values
from lion_conformance.diagnosis.equivalent import simplest_equivalent
from lion_conformance.ports.protocol import Triple
from lion_ref import CANONICAL, Semantics
from lion_ref.arithmetic import same_bits

pytestmark = pytest.mark.clause("C16", "C20", "C21", "C31")

F32: Triple = ("float32", "float32", "float32")
F64: Triple = ("float64", "float64", "float64")
MIXED: Triple = ("float32", "float16", "bfloat16")
MIXED64: Triple = ("float64", "bfloat16", "float32")
HALF: Triple = ("bfloat16", "float32", "float32")
STORED = Semantics(precision="storage", momentum_precision="storage")
KEPT = Semantics(momentum_precision="storage")
KEPT_SCALED = Semantics(momentum_precision="storage", scalars="storage")
COUPLED = Semantics(momentum_precision="storage", decay="coupled")
COMPLEMENTS: Any = {"sign_complement": "compute", "momentum_complement": "compute"}
SCALED = replace(STORED, scalars="storage", **COMPLEMENTS)
WHOLE = Semantics(sign_interpolation="lerp-from-momentum", precision="storage-whole-lerp")
STEP = Semantics(step_stored=True)
SINGLE = Semantics(scalars="float32", **COMPLEMENTS)
COMPLEMENT = Semantics(**COMPLEMENTS)
FLUSHED = Semantics(**COMPLEMENTS, subnormals="flush", momentum_fused="gradient")
NEARER = Semantics(sign_interpolation="lerp-from-nearer", sign_complement="compute")


def same(first: Semantics, second: Semantics, triple: Triple) -> bool:
    for case in (*special_values.cases(triple), *probes.cases(triple)):
        results = [
            lion_ref.step(*case.arrays, **case.scalars, semantics=s) for s in (first, second)
        ]
        if not all(same_bits(a, b).all() for a, b in zip(*results, strict=True)):
            return False
    return True


@pytest.mark.parametrize(
    ("semantics", "triple"),
    [
        (STORED, F32),
        (STORED, F64),
        (SCALED, F32),
        (WHOLE, F32),
        (SCALED, F64),
        (SINGLE, F32),
        (SINGLE, MIXED),
        (COMPLEMENT, F64),
        (COMPLEMENT, MIXED64),
        (FLUSHED, MIXED64),
        (KEPT, HALF),
        (KEPT_SCALED, HALF),
        (COUPLED, F32),
        (STEP, MIXED),
        (STEP, MIXED64),
    ],
)
def test_what_is_taken_for_the_same_has_the_same_bits(semantics: Semantics, triple: Triple) -> None:
    simpler = simplest_equivalent(semantics, [triple])
    assert len(simpler.differences()) < len(semantics.differences())
    assert same(semantics, simpler, triple)


@pytest.mark.parametrize(
    ("semantics", "triple"),
    [
        (STORED, MIXED),
        (STORED, MIXED64),
        (WHOLE, MIXED),
        (SCALED, MIXED64),
        (COMPLEMENT, F32),
        (SINGLE, F64),
        (SINGLE, MIXED64),
        (KEPT, MIXED),
        (KEPT_SCALED, MIXED),
        (COUPLED, HALF),
        (STEP, HALF),
    ],
)
def test_what_differs_is_not_taken_for_the_same(semantics: Semantics, triple: Triple) -> None:
    assert simplest_equivalent(semantics, [F32, triple]) == semantics
    assert simplest_equivalent(semantics, [F64, triple]).precision == semantics.precision
    assert not same(semantics, CANONICAL, triple)


def test_a_lerp_from_the_nearer_end_that_takes_beta_is_another_formula_in_float64_too() -> None:
    assert simplest_equivalent(NEARER, [F64]) == NEARER
    assert not same(NEARER, replace(NEARER, sign_complement="wide"), F64)


def test_what_several_dtypes_share_is_said_of_each_in_its_simplest_words() -> None:
    """In half precision it is another algorithm; in float32 its bits are the reference's own."""
    half: Triple = ("bfloat16", "bfloat16", "bfloat16")
    semantics = replace(STORED, scalars="storage", nan_sign="zero")
    one = from_callable(partial(lion_ref.step, semantics=semantics))
    report = verify(replace(one, triples=(half, F32)), max_examples=1)
    found = {result.dtype: (result.verdict, result.semantics) for result in report.results}
    assert found["bfloat16"] == (Verdict.REJECTED, semantics)
    assert found["float32"] == (Verdict.BIT_EXACT_AS, Semantics(nan_sign="zero"))
