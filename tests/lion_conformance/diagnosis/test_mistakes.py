"""SPEC C29: which mistake a port makes, alone, in pairs, beside another rounding, and in places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lion_ref
from lion_conformance import Port, Verdict, from_callable, verify
from lion_conformance.cases.case import Case
from lion_conformance.diagnosis.cause_of_step import cause_at_once
from lion_conformance.diagnosis.mistakes.altered import Alteration, Altered, Formula
from lion_conformance.diagnosis.mistakes.catalogue import catalogue
from lion_conformance.ports.dtypes import asked_for
from lion_conformance.ports.protocol import run_once
from lion_conformance.report.report import Report
from lion_conformance.verdict.cause import Kind
from lion_conformance.verdict.failure import Failure
from lion_conformance.verdict.sentences import sentence
from lion_conformance.verify import judge_dtype
from lion_ref import Semantics
from lion_ref.arithmetic import all_same_bits

pytestmark = pytest.mark.clause("C29")

Step = Callable[..., Any]
step = lion_ref.step
CONTRACTED = Semantics(momentum_fused="gradient", decay="factor")


def judged(port: Step | Port, dtype: str = "float32") -> Report:
    report = verify(port, dtypes=[dtype])
    assert report.verdict is Verdict.REJECTED
    return report


def swapped_and_contracted(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    scalars["beta1"], scalars["beta2"] = scalars["beta2"], scalars["beta1"]
    return step(param, momentum, grad, **scalars, semantics=CONTRACTED)


def two_mistakes(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The decay is doubled, and m' sees a gradient of 128 times the size."""
    scalars["weight_decay"] *= 2
    new_param, _ = step(param, momentum, grad, **scalars)
    with np.errstate(all="ignore"):
        return new_param, step(param, momentum, grad * np.float32(128), **scalars)[1]


def clipped(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return step(param, momentum, np.clip(grad, np.float32(-0.25), np.float32(0.25)), **scalars)


def always_the_same_decay(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return step(param, momentum, grad, **scalars | {"weight_decay": 0.01})


def always_the_same_beta2(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return step(param, momentum, grad, **scalars | {"beta2": 0.95})


def not_quite_a_step(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """η·u with η in thousandths more."""
    return step(param, momentum, grad, **scalars | {"lr": 1.001 * scalars["lr"]})


def nan_cleaned(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return step(param, momentum, np.where(np.isnan(grad), np.float32(0), grad), **scalars)


def cut_at_3000(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    new = step(param, momentum, grad, **scalars)
    for made, old in zip(new, (param, momentum), strict=True):
        made.reshape(-1)[3000:] = old.reshape(-1)[3000:]
    return new


def decay_above_two_lost(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    decayed = step(param, momentum, grad, **scalars)
    plain = step(param, momentum, grad, **scalars | {"weight_decay": 0.0})
    return np.where(np.abs(param) > 2, plain[0], decayed[0]), decayed[1]


SAID: tuple[tuple[Step, str], ...] = (
    (swapped_and_contracted, "β1 and β2 are swapped (SPEC C5)"),
    (two_mistakes, "the decay is doubled: 2·λ; g is multiplied by 128, in m' alone (SPEC C10)"),
    (clipped, "g is clipped to [-0.25, 0.25] (SPEC C5)"),
    (always_the_same_decay, "0.01 is used for λ (SPEC C10)"),
    (always_the_same_beta2, "0.95 is used for β2 (SPEC C5)"),
    (not_quite_a_step, "η is multiplied by 1.001 (SPEC C1)"),
    (nan_cleaned, "a NaN in g is taken for 0 (SPEC C11)"),
    (cut_at_3000, "nothing is updated in elements from 3,000 on (SPEC C1)"),
    (decay_above_two_lost, "the decay is left out: λ is not used where |θ| > 2 (SPEC C10)"),
)


@pytest.mark.parametrize(("port", "line"), SAID, ids=lambda x: getattr(x, "__name__", ""))
def test_a_mistake_is_named(port: Step, line: str) -> None:
    report = judged(port)
    assert report.cause is not None
    assert report.cause.line() == line
    assert report.sentence.startswith(line)


def test_what_is_left_when_it_is_put_right_is_said_too() -> None:
    report = judged(swapped_and_contracted)
    assert report.cause is not None
    assert report.cause.kind is Kind.MISTAKE
    right = f"put right, it {sentence(CONTRACTED)}"
    assert report.cause.evidence[0] == right
    assert right in report.sentence


def test_numpys_cast_of_float64_to_bfloat16_is_named() -> None:
    """It goes by way of float32: the plainest NumPy port of a float64 θ rounds its m' twice."""

    def cast(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        new_param, _ = step(param, momentum, grad, **scalars)
        wide = step(param, momentum.astype(np.float64), grad, **scalars)[1]
        with np.errstate(all="ignore"):
            return new_param, wide.astype(momentum.dtype)

    port = from_callable(cast, triples=lion_ref.legal_triples())
    cause = judged(port, "float64").cause
    assert cause is not None
    assert cause.line() == "m' is rounded twice: by way of float32 where m is bfloat16 (SPEC C9)"


def test_a_right_port_has_no_cause() -> None:
    assert verify(step, dtypes=["float32"], max_examples=1).cause is None


def port_of(one: Alteration) -> Step:
    """The canonical update with one alteration in all parts that it can be made in."""
    altered = Altered(
        in_sign=(one,) * (Formula.SIGN in one.parts),
        in_step=(one,) * (Formula.STEP in one.parts),
        in_momentum=(one,) * (Formula.MOMENTUM in one.parts),
    )

    def port(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        return altered.step(Case(param, momentum, grad, **scalars))

    return port


def check_that_it_is_named(one: Alteration) -> None:
    """By its own words, or by those of another one that gives the same bits."""
    asked = asked_for(from_callable(port_of(one)), ["float32"])
    failure = judge_dtype(asked, "float32", max_examples=2, seed=0).failure
    if not isinstance(failure, Failure) or failure.error is not None:
        return  # in float32 it is none
    cause = cause_at_once(asked.port, "float32", failure)
    assert cause is not None, one.words
    if cause.sentence != one.words:
        same = [x for x in catalogue() if x.words == cause.sentence]
        assert same, (one.words, cause.sentence)
        got, other = (
            run_once(from_callable(port_of(x)), *failure.case.arrays, **failure.case.scalars)
            for x in (one, same[0])
        )
        assert all(all_same_bits(a, b) for a, b in zip(got, other, strict=True)), cause.sentence


@pytest.mark.parametrize("one", catalogue()[::8], ids=lambda x: x.words)
def test_an_alteration_is_found_again(one: Alteration) -> None:
    check_that_it_is_named(one)


@pytest.mark.slow
@pytest.mark.parametrize("one", catalogue(), ids=lambda x: x.words)
def test_every_alteration_is_found_again(one: Alteration) -> None:
    check_that_it_is_named(one)
