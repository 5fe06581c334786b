"""The update under other semantics, against an independent evaluation in exact arithmetic.

One element at a time, from SPEC C17 to C20, sharing nothing with lion_ref.dialects but the names
of the choices.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lion_ref import CANONICAL, STORAGE_DTYPES, Semantics, step
from lion_ref.arithmetic import Array, same_bits
from lion_ref.rational import FORMATS, round_fraction
from tests.adversarial import elements, hyperparameters
from tests.lion_ref.drawn import random_semantics


@dataclass
class Exact:
    """SPEC's operations on rationals; zeros have no sign here."""

    name: str
    subnormals: str

    def _flushed(self, x: Fraction, tiny_if: Fraction) -> Fraction:
        smallest = Fraction(2) ** FORMATS[self.name].min_exponent
        return Fraction(0) if self.subnormals != "keep" and abs(tiny_if) < smallest else x

    def operand(self, x: Fraction) -> Fraction:
        return self._flushed(x, x)

    def rounded(self, exact: Fraction) -> Fraction:
        result = Fraction(round_fraction(exact, self.name))
        shift = Fraction(2) ** -FORMATS[self.name].min_exponent
        small = abs(exact) * shift < 2
        unbounded = Fraction(round_fraction(exact * shift, self.name)) / shift if small else result
        return self._flushed(result, exact if "before" in self.subnormals else unbounded)

    def fma(self, a: Fraction, b: Fraction, c: Fraction, *, fused: bool) -> Fraction:
        a, b, c = self.operand(a), self.operand(b), self.operand(c)
        return self.rounded(a * b + c if fused else self.operand(self.rounded(a * b)) + c)

    def times(self, a: Fraction, b: Fraction) -> Fraction:
        return self.fma(a, b, Fraction(0), fused=True)

    def plus(self, a: Fraction, b: Fraction) -> Fraction:
        return self.fma(Fraction(1), a, b, fused=True)


def interpolated(
    ops: Exact, s: Semantics, part: str, beta: float, m: Fraction, g: Fraction
) -> Fraction:
    form, fused = getattr(s, f"{part}_interpolation"), getattr(s, f"{part}_fused")
    b, wide = ops.rounded(Fraction(beta)), getattr(s, f"{part}_complement") == "wide"
    w = ops.rounded(Fraction(1 - beta)) if wide else ops.plus(Fraction(1), -b)
    if form == "lerp-from-nearer" and (w >= Fraction(1, 2) if wide else b < Fraction(1, 2)):
        from_g = 1 - w if wide else b
        return ops.fma(from_g, ops.plus(m, -g), g, fused=fused == "difference")
    if form in ("lerp-from-momentum", "lerp-from-nearer"):
        return ops.fma(w, ops.plus(g, -m), m, fused=fused == "difference")
    if form == "lerp-from-gradient":
        return ops.fma(b, ops.plus(m, -g), g, fused=fused == "difference")
    if fused == "gradient":
        return ops.fma(w, g, ops.times(b, m), fused=True)
    return ops.fma(b, m, ops.times(w, g), fused=fused == "momentum")


def moved(
    ops: Exact, s: Semantics, lr: float, decay: float, theta: Fraction, u: Fraction
) -> Fraction:
    eta, weight = ops.rounded(Fraction(lr)), ops.rounded(Fraction(decay))
    if s.decay_skipped_at_zero and decay == 0:
        return ops.fma(-eta, u, theta, fused=s.step_fused)
    if s.decay == "sum":
        total = ops.fma(weight, theta, u, fused=s.decay_fused)
        return ops.fma(-eta, total, theta, fused=s.step_fused)
    product = Fraction(lr * decay) if s.decay_scalar == "wide" else ops.times(eta, weight)
    if s.decay == "factor":
        wide = Fraction(1.0 - lr * decay)
        factor = ops.rounded(wide) if s.decay_scalar == "wide" else ops.plus(Fraction(1), -product)
        if s.decay_fused:
            return ops.fma(factor, theta, -ops.times(eta, u), fused=True)
        return ops.fma(-eta, u, ops.times(factor, theta), fused=s.step_fused)
    scalar, other = ops.rounded(product), theta
    if s.decay_scalar == "left-to-right":
        scalar, other = eta, ops.times(weight, theta)
    if s.decay_order == "step-first":
        base = ops.fma(-eta, u, theta, fused=s.step_fused)
        return ops.fma(-scalar, other, base, fused=s.decay_fused)
    base = ops.fma(-scalar, other, theta, fused=s.decay_fused)
    return ops.fma(-eta, u, base, fused=s.step_fused)


def exact_step(
    name: str, s: Semantics, scalars: dict[str, float], theta: float, m: float, g: float
) -> tuple[float, float]:
    ops = Exact(name, s.subnormals)
    t, mm, gg = (Fraction(x) for x in (theta, m, g))
    c = interpolated(ops, s, "sign", scalars["beta1"], mm, gg)
    u = Fraction((c > 0) - (c < 0))
    new_m = interpolated(ops, s, "momentum", scalars["beta2"], mm, gg)
    return float(moved(ops, s, scalars["lr"], scalars["weight_decay"], t, u)), float(new_m)


def _moderate(array: Array) -> NDArray[np.bool_]:
    return np.isfinite(array) & (np.abs(array) < 1e30)


@pytest.mark.clause("C17", "C18", "C19", "C20")
@pytest.mark.parametrize("name", ["float32", "float64"])
def test_dialects_are_the_formulas_in_exact_arithmetic(name: str) -> None:
    rng = np.random.default_rng(17)
    wrong_is_found = 0
    for _ in range(250):
        semantics = random_semantics(rng, precision="compute", momentum_precision="compute")
        scalars = hyperparameters(rng) | {"lr": float(rng.choice([1e-4, 0.1, 0.5, 2.0**-149]))}
        scalars["weight_decay"] = float(rng.choice([0.0, 1e-40, 0.1, 3.0]))
        arrays = elements(rng, (name,) * 3, 60, beta1=scalars["beta1"], beta2=scalars["beta2"])
        keep = np.flatnonzero(np.logical_and.reduce([_moderate(x) for x in arrays]))[:12]
        theta, m, g = (x[keep] for x in arrays)
        keywords: dict[str, Any] = scalars
        got = step(theta, m, g, **keywords, semantics=semantics)
        canonical = step(theta, m, g, **keywords)
        for i in range(len(keep)):
            exact = exact_step(name, semantics, scalars, float(theta[i]), float(m[i]), float(g[i]))
            assert (float(got[0][i]), float(got[1][i])) == exact, (semantics.differences(), scalars)
            wrong_is_found += (float(canonical[0][i]), float(canonical[1][i])) != exact
    assert wrong_is_found > 100


@pytest.mark.clause("C31")
@pytest.mark.parametrize("triple", [("bfloat16",) * 3, ("float16", "float32", "bfloat16")])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_a_stored_step_is_rounded_to_the_dtype_of_theta(triple: Any, decay: float) -> None:
    """By hand: C5's operations in float32, but e is rounded to θ's dtype before θ ⊖ e."""
    rng = np.random.default_rng(31)
    arrays = [rng.standard_normal(400).astype(STORAGE_DTYPES[name]) for name in triple]
    scalars: dict[str, Any] = {"lr": 0.1, "weight_decay": decay}
    semantics = Semantics(step_stored=True)
    got, momentum = step(*arrays, **scalars, semantics=semantics)

    def rounded(x: Fraction, name: str) -> Fraction:
        return Fraction(round_fraction(x, name))

    eta, weight = (rounded(Fraction(scalars[x]), "float32") for x in ("lr", "weight_decay"))
    unit = np.float32(1)
    signs = -step(np.zeros_like(arrays[0], np.float32), *arrays[1:], lr=1.0)[0] * unit
    for theta, u, new in zip(arrays[0], signs, got, strict=True):
        t = Fraction(float(theta))
        s = rounded(Fraction(float(u)) + rounded(weight * t, "float32"), "float32")
        e = rounded(rounded(eta * s, "float32"), triple[0])
        assert Fraction(float(new)) == rounded(rounded(t - e, "float32"), triple[0])
    canonical, same_momentum = step(*arrays, **scalars)
    assert not same_bits(got, canonical).all()
    assert same_bits(momentum, same_momentum).all()


@pytest.mark.clause("C31")
@pytest.mark.parametrize("name", ["float32", "float64"])
def test_a_step_in_the_compute_dtype_has_nothing_to_be_rounded_to(name: str) -> None:
    rng = np.random.default_rng(32)
    scalars = hyperparameters(rng)
    arrays = elements(rng, (name,) * 3, 300, beta1=scalars["beta1"], beta2=scalars["beta2"])
    keywords: dict[str, Any] = scalars
    stored = step(*arrays, **keywords, semantics=Semantics(step_stored=True))
    for a, b in zip(stored, step(*arrays, **keywords), strict=True):
        assert same_bits(a, b).all()


@pytest.mark.clause("C18", "C31")
def test_a_stored_step_that_is_subnormal_is_kept_or_flushed_as_others_are() -> None:
    """2**-130 as a step of bfloat16's 2**-126; float16's subnormals are kept everywhere."""
    bf16, f16 = STORAGE_DTYPES["bfloat16"], STORAGE_DTYPES["float16"]
    for dtype, theta, lr, kept, flushed in (
        (bf16, 2.0**-126, 2.0**-130, 2.0**-126 - 2.0**-130, 2.0**-126),
        (f16, 2.0**-14, 2.0**-24, 2.0**-14 - 2.0**-24, 2.0**-14 - 2.0**-24),
        (f16, 0.0, 2.0**-26, 0.0, 0.0),
    ):
        arrays = [np.array([x]).astype(dtype) for x in (theta, 0.0, 1.0)]
        for subnormals, wanted in (("keep", kept), ("flush", flushed)):
            semantics = Semantics(step_stored=True, subnormals=subnormals)  # type: ignore[arg-type]
            assert float(step(*arrays, lr=lr, semantics=semantics)[0][0]) == wanted


@pytest.mark.clause("C21")
def test_storage_precision_rounds_every_operation() -> None:
    """By hand, in bfloat16: each product and sum is rounded to 8 bits; the scalars are not."""
    dtype = STORAGE_DTYPES["bfloat16"]

    def rounded(x: float) -> float:
        return float(round_fraction(Fraction(x), "bfloat16"))

    rng = np.random.default_rng(3)
    theta, m, g = (rng.standard_normal(200).astype(dtype) for _ in range(3))
    stepwise, canonical = Semantics(momentum_precision="storage"), CANONICAL
    new = {s: step(theta, m, g, lr=0.0, beta2=0.75, semantics=s)[1] for s in (stepwise, canonical)}
    expected = [
        rounded(rounded(0.75 * float(a)) + rounded(0.25 * float(b)))
        for a, b in zip(m, g, strict=True)
    ]
    assert new[stepwise].astype(float).tolist() == expected
    assert new[canonical].astype(float).tolist() != expected


@pytest.mark.clause("C17", "C21")
@pytest.mark.parametrize("part", ["sign", "momentum"])
@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_a_whole_lerp_is_rounded_to_storage_once(name: str, part: str) -> None:
    """In exact arithmetic: float32 inside, scalars too, then one rounding to storage."""
    rng = np.random.default_rng(5)
    forms = ("lerp-from-momentum", "lerp-from-gradient", "lerp-from-nearer")
    row, once = {"sign": ("precision", "storage-whole-lerp")}.get(
        part, ("momentum_precision", "compute")
    )
    stepwise_differs = 0
    for form, fused, scalars in itertools.product(
        forms, ("none", "difference"), ("compute", "storage")
    ):
        fields: dict[str, Any] = {f"{part}_interpolation": form, f"{part}_fused": fused}
        fields |= {"precision": "storage", "scalars": scalars}
        _, m, g = elements(rng, (name,) * 3, 300, beta1=0.3, beta2=0.3)
        with np.errstate(invalid="ignore"):  # signalling NaNs
            keep = _moderate(m.astype(float)) & _moderate(g.astype(float))
        m, g = m[keep], g[keep]
        whole, stepwise = (
            Semantics(**fields | {row: precision}) for precision in (once, "storage")
        )
        betas: dict[str, float] = {"lr": 1.0, "beta1": 0.3, "beta2": 0.3}
        results = [
            step(0 * m, m, g, **betas, semantics=s)[part == "momentum"].astype(float)
            for s in (whole, stepwise)
        ]
        inside = [
            interpolated(Exact("float32", "keep"), whole, part, 0.3, Fraction(a), Fraction(b))
            for a, b in zip(m.astype(float).tolist(), g.astype(float).tolist(), strict=True)
        ]
        stored = [float(round_fraction(x, name)) for x in inside]
        expected = stored if part == "momentum" else [-float(np.sign(x)) for x in stored]
        assert results[0].tolist() == expected, fields
        stepwise_differs += results[1].tolist() != expected
    assert stepwise_differs == 12


@pytest.mark.clause("C21")
@pytest.mark.parametrize(
    ("dtypes", "fields", "expected"),
    [
        # u ⊕ λ ⊗ θ is float32, as m is: η is not rounded to bfloat16, 4 - 1.005·(1 + 3) is kept.
        (("bfloat16", "float32"), {}, 4 - np.float32(1.005) * np.float32(4)),
        # u is bfloat16, and η with it, though θ is float32: 1.005 becomes 1 + 2**-7.
        (
            ("float32", "bfloat16"),
            {"decay": "factor"},
            np.float32(4 * (1 - 1.005 * 0.75)) - 1.0078125,
        ),
        # 1 - ηλ, like ηλ, meets θ.
        (
            ("bfloat16", "float32"),
            {"decay": "factor", "decay_scalar": "compute"},
            4 * 0.2421875 - np.float32(1.005),
        ),
    ],
)
def test_a_scalar_is_rounded_to_the_dtype_of_the_array_it_meets(
    dtypes: tuple[str, str], fields: dict[str, Any], expected: float
) -> None:
    theta, m = (STORAGE_DTYPES[name] for name in dtypes)
    arrays = np.full(1, 4, theta), np.ones(1, m), np.ones(1, m)
    semantics = Semantics(precision="storage", scalars="storage", **fields)
    new, _ = step(*arrays, lr=1.005, weight_decay=0.75, semantics=semantics)
    assert float(new[0]) == float(np.float32(expected).astype(theta))


@pytest.mark.clause("C21")
@pytest.mark.parametrize("subnormals", ["keep", "flush"])
@pytest.mark.parametrize(
    "fields",
    [{}, {"decay": "product", "decay_scalar": "left-to-right"}, {"decay": "coupled"}],
    ids=str,
)
def test_scalars_in_float32_are_hyperparameters_that_float32_has(
    fields: dict[str, Any], subnormals: Any
) -> None:
    """1-β too where it is formed from the rounded β; else it is rounded itself."""
    rng = np.random.default_rng(5)
    arrays = rng.standard_normal((3, 400))
    given = {"lr": 0.1, "beta1": 0.3, "beta2": 0.99, "weight_decay": 0.7}
    rounded = {name: float(np.float32(x)) for name, x in given.items()}
    plain = Semantics(subnormals=subnormals, **fields)
    single = replace(
        plain, scalars="float32", sign_complement="compute", momentum_complement="compute"
    )
    results = (
        step(*arrays, **given, semantics=single),
        step(*arrays, **rounded, semantics=plain),
        step(*arrays, **given, semantics=plain),
    )
    for got, wanted, wide in zip(*results, strict=True):
        assert same_bits(got, wanted).all()
        assert not same_bits(got, wide).all()
    zeros, ones = np.zeros(1), np.ones(1)
    _, new = step(
        zeros, zeros, ones, **given, semantics=replace(single, momentum_complement="wide")
    )
    assert new[0] == np.float32(1 - 0.99)


@pytest.mark.clause("C18", "C21")
def test_a_scalar_that_is_subnormal_in_float32_is_flushed_there() -> None:
    zeros, ones = np.zeros(1), np.ones(1)
    for subnormals, lr in (("keep", float(np.float32(3e-39))), ("flush", 0.0)):
        semantics = Semantics(scalars="float32", subnormals=subnormals)  # type: ignore[arg-type]
        new, _ = step(zeros, zeros, ones, lr=3e-39, semantics=semantics)
        assert new[0] == -lr


@pytest.mark.clause("C22")
def test_the_sign_of_nan_is_a_zero_that_is_positive() -> None:
    """Of a negative one, θ = -0 would become +0."""
    theta, m, g = (np.array([x], np.float32) for x in (-0.0, np.nan, 1.0))
    new_theta, _ = step(theta, m, g, lr=0.1, semantics=Semantics(nan_sign="zero"))
    assert same_bits(new_theta, theta).all()


@pytest.mark.clause("C21")
def test_float16_beside_bfloat16_meets_in_float32() -> None:
    """In float16 the first sum would be 0, in bfloat16 the second would lose its last bit."""
    theta, m = np.zeros(2, np.float32), np.array([0.0, 1 + 2**-10], np.float16)
    g = np.array([2.0**-30, 0.0]).astype(STORAGE_DTYPES["bfloat16"])
    storage = Semantics(precision="storage", momentum_precision="storage")
    new_theta, new_m = step(theta, m, g, lr=1.0, beta1=0.5, beta2=0.5, semantics=storage)
    assert new_theta.tolist() == [-1.0, -1.0]
    assert new_m.tolist() == [0.0, 0.5 + 2**-11]


@pytest.mark.clause("C10")
def test_a_decay_is_skipped_where_it_is_zero_before_it_is_rounded() -> None:
    """λ = 10**-60 is 0 in float32; 0·inf is formed all the same."""
    theta, m, g = (np.array([x], np.float32) for x in (np.inf, 1.0, 1.0))
    skipping = Semantics(decay_skipped_at_zero=True)
    assert step(theta, m, g, lr=0.1, weight_decay=0.0, semantics=skipping)[0].tolist() == [np.inf]
    assert np.isnan(step(theta, m, g, lr=0.1, weight_decay=1e-60, semantics=skipping)[0]).all()
