"""Ports whose c, θ' and m' are computed apart: what SPEC C16 chooses twice, and what once."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import lion_ref
from lion_conformance import Verdict, diagnosis, from_callable, verify
from lion_conformance.diagnosis.search import UNKNOWN
from lion_conformance.report import as_survey
from lion_ref import CANONICAL, Semantics
from lion_ref.arithmetic import Array, same_bits
from tests.lion_conformance.diagnosis.test_equivalent import same
from tests.lion_conformance.ports.test_published import LERPED, PLAIN, Lerping, has_bits, port_of

pytestmark = pytest.mark.clause("C16")

FLOAT32 = np.float32
BFLOAT16 = lion_ref.STORAGE_DTYPES["bfloat16"]


def lerp(start: Array, end: Array, weight: float) -> Array:
    """As `torch.lerp`: the weight is made float32, and the nearer end is met exactly."""
    w, difference = FLOAT32(weight), end - start
    return start + w * difference if w < 0.5 else end - (FLOAT32(1) - w) * difference


def sign_from_m(m: Array, g: Array, beta1: float) -> Array:
    return m + (FLOAT32(1) - FLOAT32(beta1)) * (g - m)


def sign_by_lerp(m: Array, g: Array, beta1: float) -> Array:
    return lerp(g, m, beta1)


def momentum_from_m(m: Array, g: Array, beta2: float) -> Array:
    return m + FLOAT32(1 - beta2) * (g - m)


def momentum_by_lerp(m: Array, g: Array, beta2: float) -> Array:
    return lerp(m, g, 1 - beta2)


def with_two_complements(
    param: Any, momentum: Any, grad: Any, *, forms: Any, lr: Any, weight_decay: Any, **betas: Any
) -> Any:
    """As adv_optm: 1-β1 is formed in float32, 1-β2 in binary64, and a decay that is 0 left out."""
    theta, m, g = (x.astype(FLOAT32) for x in (param, momentum, grad))
    sign, keep = forms
    with np.errstate(all="ignore"):
        u = np.sign(sign(m, g, betas["beta1"]))
        if weight_decay:
            theta = theta - FLOAT32(lr * weight_decay) * theta
        theta = theta - FLOAT32(lr) * u
        return theta, keep(m, g, betas["beta2"]).astype(momentum.dtype)


@pytest.mark.clause("C20")
@pytest.mark.parametrize(
    ("form", "forms", "text"),
    [
        ("lerp-from-momentum", (sign_from_m, momentum_from_m), ""),
        ("lerp-from-nearer", (sign_by_lerp, momentum_by_lerp), " (from g where β1 < 1/2)"),
    ],
)
def test_a_complement_of_c_alone_is_recovered(form: Any, forms: Any, text: str) -> None:
    expected = Semantics(
        sign_interpolation=form,
        sign_complement="compute",
        momentum_interpolation=form,
        decay="product",
        decay_skipped_at_zero=True,
    )
    port = partial(with_two_complements, forms=forms)
    found = diagnosis(port, dtypes=["float32"])
    assert found.semantics == expected
    assert f"c = m + (1-β1)·(g-m){text}, and m' =" in found.sentence
    assert found.sentence.endswith("and 1-β1 formed in the precision of the steps")
    for wrong in (
        replace(expected, sign_complement="wide"),
        replace(expected, momentum_complement="compute"),
        replace(expected, sign_complement="wide", momentum_complement="compute"),
    ):
        assert not same(expected, wrong, ("float32",) * 3)


class Mirrored(Lerping):
    """adv_optm's c, in torch: the lerp starts from the gradient, and takes β1."""

    def move(self, param: Any, group: Any) -> None:
        m, (beta1, beta2) = self.state[param]["exp_avg"], group["betas"]
        param.mul_(1 - group["lr"] * group["weight_decay"])
        u = torch.lerp(param.grad, m, beta1).sign_()
        param.sub_(u.mul_(group["lr"]))
        m.lerp_(param.grad, 1 - beta2)


@pytest.mark.clause("C20")
@pytest.mark.skipif("avx2" not in as_survey.processor(), reason="torch.lerp is fused with AVX2")
def test_a_lerp_from_the_gradient_forms_its_complement_itself() -> None:
    mirrored: Any = {**PLAIN, **LERPED, "sign_complement": "compute"}
    for lion, right, wrong in ((Mirrored, "compute", "wide"), (Lerping, "wide", "compute")):
        assert has_bits(port_of(lion), Semantics(**mirrored | {"sign_complement": right}))
        assert not has_bits(port_of(lion), Semantics(**mirrored | {"sign_complement": wrong}))


def two_kernels(update: Semantics, keep: Semantics) -> Any:
    """θ' of one semantics and m' of another."""

    def port(*arrays: Any, **scalars: Any) -> Any:
        new_param, _ = lion_ref.step(*arrays, **scalars, semantics=update)
        return new_param, lion_ref.step(*arrays, **scalars, semantics=keep)[1]

    return port


STORED = Semantics(precision="storage", momentum_precision="storage")


@pytest.mark.clause("C21")
@pytest.mark.parametrize(
    ("update", "keep", "expected", "text"),
    [
        (CANONICAL, STORED, Semantics(momentum_precision="storage"), "of m' "),
        (STORED, CANONICAL, Semantics(precision="storage"), "of c and θ' "),
        (STORED, STORED, STORED, ""),
    ],
)
def test_each_of_two_kernels_has_its_precision(
    update: Semantics, keep: Semantics, expected: Semantics, text: str
) -> None:
    found = diagnosis(two_kernels(update, keep), dtypes=["bfloat16"])
    assert found.semantics == expected
    assert found.sentence.endswith(f"every operation {text}rounded to the storage dtype")
    for wrong in {CANONICAL, STORED} - {expected}:
        assert not same(expected, wrong, ("bfloat16",) * 3)


@pytest.mark.clause("C21")
def test_a_momentum_that_is_kept_by_torchs_lerp_in_bfloat16_is_explained() -> None:
    """It is rounded once, so it is one in the compute dtype, like the kernel beside it."""

    def port(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        new_param, _ = lion_ref.step(param, momentum, grad, **scalars)
        with np.errstate(all="ignore"):
            m, g = (x.astype(FLOAT32) for x in (momentum, grad))
            return new_param, momentum_by_lerp(m, g, scalars["beta2"]).astype(BFLOAT16)

    one = replace(from_callable(port), triples=(("bfloat16",) * 3,))
    found = diagnosis(one)
    assert found.semantics == Semantics(momentum_interpolation="lerp-from-nearer")


@pytest.mark.clause("C21")
def test_a_coupled_decay_is_formed_in_the_precision_of_each() -> None:
    rng = np.random.default_rng(4)
    arrays = [rng.standard_normal(300).astype(BFLOAT16) for _ in range(3)]
    scalars: Any = {"lr": 0.1, "beta1": 0.3, "beta2": 0.3, "weight_decay": 0.7}
    coupled = Semantics(decay="coupled")
    stored = replace(coupled, precision="storage", momentum_precision="storage")
    in_two = replace(coupled, momentum_precision="storage")
    plain, mixed, whole = (
        lion_ref.step(*arrays, **scalars, semantics=s) for s in (coupled, in_two, stored)
    )
    assert same_bits(mixed[0], plain[0]).all()
    assert same_bits(mixed[1], whole[1]).all()
    assert not same_bits(mixed[1], plain[1]).all()


def stored_in_c_alone(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """u is made in storage steps, and given to a kernel that steps in the compute dtype."""
    unit = {**scalars, "lr": 1.0, "weight_decay": 0.0}
    u = -lion_ref.step(0 * np.nan_to_num(param), momentum, grad, **unit, semantics=STORED)[0]
    half = {**scalars, "beta1": 0.5}
    new_param, _ = lion_ref.step(param, u, u, **half)
    return new_param, lion_ref.step(param, momentum, grad, **scalars)[1]


FLUSHED = Semantics(subnormals="flush")


@pytest.mark.clause("C23")
@pytest.mark.parametrize(
    ("port", "dtype"),
    [
        pytest.param(two_kernels(FLUSHED, CANONICAL), "float32", id="flushed in the update alone"),
        pytest.param(
            stored_in_c_alone, "bfloat16", id="c in storage alone", marks=pytest.mark.slow
        ),
    ],
)
def test_what_is_one_choice_and_made_twice_is_accepted_and_not_explained(
    port: Any, dtype: str
) -> None:
    report = verify(port, dtypes=[dtype], max_examples=1)
    assert report.verdict is Verdict.ACCEPTED
    assert report.semantics is None
    assert report.sentence.startswith(UNKNOWN)


def test_scalars_of_two_types_are_rejected_and_told_as_a_mistake() -> None:
    """For a float64 θ those in float32 are other hyperparameters, which no set accepts."""
    port = two_kernels(Semantics(scalars="float32"), CANONICAL)
    report = verify(port, dtypes=["float64"], max_examples=1)
    assert report.verdict is Verdict.REJECTED
    assert report.semantics is None
    assert report.cause is not None
    assert report.cause.line() == (
        "β1 and 1-β1 are rounded to float32; η and λ are rounded to float32 (SPEC C4)"
    )
