"""The accepted set, written out: the same set as the judge's, element by element."""

from __future__ import annotations

import numpy as np
import pytest

from lion_conformance.cases.case import Case
from lion_conformance.diagnosis.probes import cases
from lion_conformance.ports.protocol import ScalarArguments, Triple
from lion_conformance.verdict.accepted_set import EVERY, SAMPLE, Measure, accepted_sets
from lion_conformance.verdict.differences import ordinals
from lion_ref import step
from lion_ref.acceptance import judge
from lion_ref.arithmetic import Array, bits

TRIPLES: tuple[Triple, ...] = (
    ("float32", "float32", "float32"),
    ("bfloat16", "float32", "bfloat16"),
    ("float64", "float64", "float64"),
)
SCALARS: ScalarArguments = {"lr": 0.5, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.0}


def one(theta: float, m: float, g: float) -> Case:
    theta32, m32, g32 = (np.array([x], np.float32) for x in (theta, m, g))
    return Case(theta32, m32, g32, **SCALARS)


@pytest.mark.clause("C24", "C25", "C26", "C27")
@pytest.mark.parametrize("triple", TRIPLES, ids="-".join)
def test_it_holds_what_the_judge_accepts_and_nothing_else(triple: Triple) -> None:
    rng = np.random.default_rng(0)
    for case in (x.with_arrays(a[::32] for a in x.arrays) for x in cases(triple)[::3]):
        sets = accepted_sets(case)
        expected = step(*case.arrays, **case.scalars)
        for steps in (2, 9):
            nudges = [
                rng.integers(-steps, steps + 1, x.shape).astype(f"i{x.itemsize}") for x in expected
            ]
            got = [
                (bits(x).view(nudge.dtype) + nudge).view(x.dtype)
                for x, nudge in zip(expected, nudges, strict=True)
            ]
            judged = judge(*case.arrays, *got, **case.scalars)
            for part, accepted, given, wanted in zip(
                (judged.param, judged.momentum), sets, got, expected, strict=True
            ):
                differs = bits(given) != bits(wanted)
                assert np.array_equal(accepted.holds(given)[differs], part.accepted[differs])


@pytest.mark.clause("C25")
def test_an_ambiguous_sign_gives_separate_intervals() -> None:
    param, momentum = accepted_sets(one(1.0, 1.0000001, -9.000001))
    found = [(float(low[0]), float(high[0])) for low, high in param.intervals(0)]
    assert [round(low, 3) for low, _ in found] == [0.5, 1.0, 1.5]
    assert all(low <= high for low, high in found)
    assert len(momentum.intervals(0)) == 1


@pytest.mark.clause("C27")
def test_outcomes_are_those_of_the_rows() -> None:
    _, momentum = accepted_sets(one(1.0, np.inf, 1.0))
    held = [
        bool(momentum.holds(np.array([x], np.float32))[0]) for x in (np.inf, np.nan, -np.inf, 3e38)
    ]
    assert held == [True, True, False, False]


def steps(low: Array, high: Array) -> int:
    return int(ordinals(high)[0]) - int(ordinals(low)[0])


@pytest.mark.parametrize("triple", TRIPLES, ids="-".join)
def test_a_width_counts_the_steps_within_the_intervals(triple: Triple) -> None:
    apart = 0
    for case in (x.with_arrays(a[::16] for a in x.arrays) for x in cases(triple)):
        for accepted in accepted_sets(case):
            intervals = [accepted.intervals(i) for i in range(case.param.size)]
            counted = [sum(steps(*ends) for ends in of_one) for of_one in intervals]
            assert accepted.widths().tolist() == counted
            apart += sum(len(of_one) > 1 for of_one in intervals)
    assert apart > 30, "elements of several intervals, which a width from end to end would miss"


def test_a_sample_of_cases_is_measured() -> None:
    measure = Measure()
    assert measure.result() is None
    for case in cases(TRIPLES[0]) * EVERY:
        measure.add(case)
    width = measure.result()
    assert width is not None
    assert 0 < width.elements <= len(cases(TRIPLES[0])) * SAMPLE
    assert 0 < width.param_median <= width.param_ninth_decile
    assert 0 < width.momentum_median <= width.momentum_ninth_decile
    assert 0 < width.ambiguous < 1


def test_what_may_overflow_is_not_measured() -> None:
    measure = Measure()
    measure.add(one(np.inf, 1.0, 1.0))
    assert measure.result() is None
