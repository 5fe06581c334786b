"""The small cases, layouts, and what a port may not do whatever its bits."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import lion_ref
from lion_conformance import Verdict, diagnosis, verify
from lion_conformance.cases.sweep import FAR, FEW, FIXED, SWEEP, far_out, sweep
from lion_conformance.diagnosis.dependence import depends_on_place
from lion_conformance.diagnosis.search import any_case
from lion_conformance.ports import layouts
from lion_conformance.ports.callable import from_callable
from lion_ref import Semantics, legal_triples
from lion_ref.arithmetic import same_bits
from tests.lion_conformance.mutants import rounding

pytestmark = pytest.mark.clause("C12")

FLOAT32 = [("float32", "float32", "float32")]


def test_the_small_cases_are_of_every_kind() -> None:
    *cases, _ = list(sweep(legal_triples(), seed=0, compiles=False))[: SWEEP + 1]
    assert len(cases) == SWEEP
    assert {case.triple for case in cases} == set(legal_triples())
    assert {case.param.ndim for case in cases} == set(range(7))
    assert len({case.lr for case in cases if case.lr}) > 0.8 * SWEEP
    for name in ("lr", "beta1", "beta2", "weight_decay"):
        assert any(getattr(case, name) == 0 for case in cases)
    assert not all(x.flags.c_contiguous for case in cases for x in case.arrays)
    with np.errstate(invalid="ignore"):  # NaNs are compared too
        assert any(case.param.size > 10 and (case.grad == 0).all() for case in cases)
        assert any(case.grad.size > 10 and (case.grad > 0).all() for case in cases)


def test_another_seed_gives_other_cases() -> None:
    first, again, other = (next(sweep(FLOAT32, seed=s, compiles=False)) for s in (0, 0, 1))
    assert first.lr == again.lr != other.lr
    assert same_bits(first.param, again.param).all()


def test_a_port_that_compiles_gets_one_shape_and_one_pair_of_betas() -> None:
    cases = list(sweep(legal_triples(), seed=0, compiles=True))
    assert len(cases) == FEW + FAR // 2
    assert {(case.param.shape, case.beta1, case.beta2) for case in cases} == {(FIXED, 0.9, 0.99)}
    assert len({case.triple for case in cases}) == 1
    assert not list(sweep([], seed=0, compiles=False))


@pytest.mark.clause("C4", "C13")
def test_each_scalar_comes_in_every_magnitude_that_is_legal() -> None:
    for seed in range(3):
        cases = [case for _, case in far_out(FLOAT32[0], seed=seed, compiles=False)]
        assert len(cases) == FAR
        for name in ("lr", "weight_decay"):
            first = ("lr", "weight_decay").index(name)
            drawn = sorted(np.log10([getattr(x, name) for x in cases[first::4]]))
            assert drawn[0] < -35 < 29 < drawn[-1]
            assert np.diff(drawn).max() < 17
            assert all(np.isfinite(np.float32(10**x)) for x in drawn)
        for name in ("beta1", "beta2"):
            drawn = [getattr(x, name) for x in cases]
            assert any(beta < 1e-3 for beta in drawn)
            assert any(1 - 1e-5 < beta < 1 for beta in drawn)


@pytest.mark.parametrize("lay", layouts.LAYOUTS, ids=lambda lay: lay.__name__)
@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (5,), (3, 4), (2, 3, 4)])
def test_a_layout_keeps_shape_and_elements_and_its_copy_the_layout(
    lay: Any, shape: tuple[int, ...]
) -> None:
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    laid = lay(array)
    copy = layouts.like(laid)
    for x in (laid, copy):
        assert x.shape == shape
        assert (x == array).all()
    assert not np.shares_memory(copy, laid)
    if array.size > 1:
        assert copy.strides == laid.strides


def test_a_shifted_array_stays_shifted() -> None:
    laid = layouts.shifted(np.ones((3, 5), np.float32))
    for array in (laid, layouts.like(laid)):
        assert array.base is not None
        assert array.ctypes.data - array.base.ctypes.data == array.itemsize


@pytest.mark.clause("C29")
def test_no_explanation_is_looked_for_if_none_is_wanted() -> None:
    port = partial(lion_ref.step, semantics=Semantics(momentum_fused="gradient"))
    report = verify(port, dtypes=["float32"], max_examples=1, explain=False)
    assert (report.verdict, report.semantics) == (Verdict.ACCEPTED, None)


def test_the_place_of_an_element_is_found_to_matter_where_it_does() -> None:
    port = from_callable(rounding.tails_fused)
    assert depends_on_place(port, FLOAT32, any_case)
    assert not depends_on_place(from_callable(lion_ref.step), FLOAT32, any_case)
    assert diagnosis(port, dtypes=["float32"]).sentence == (
        "no known form of Lion (SPEC C16) gives these bits: an element's bits depend on where it "
        "stands in its array (SPEC C12)"
    )
