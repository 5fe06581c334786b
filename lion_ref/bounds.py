"""Enclosures of c, m' and θ' that hold for every row of SPEC Part II (C24 to C26).

docs/explanation/accepted-set.md derives every bound; the names below are that text's. All bounds
are evaluated in float64 and widened by what that evaluation can be wrong by.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lion_ref.arithmetic import name_of
from lion_ref.dtypes import compute_dtype, promoted
from lion_ref.hyperparameters import Hyperparameters
from lion_ref.rational import FORMATS, round_fraction

Float64 = NDArray[np.float64]
Dtype = np.dtype[Any]

UNIT64 = 2.0**-53
SMALLEST64 = 2.0**-1074

CASES = 64
"""Scalars that are remembered: the rationals behind them cost as much as the arrays do, and one
case needs them for each sign, with flushing and without."""


def unit(dtype: Dtype) -> float:
    """The unit roundoff u = 2**-p: half an ulp of 1."""
    return 2.0 ** -FORMATS[name_of(dtype)].precision


def smallest_normal(dtype: Dtype) -> float:
    """2**e_min."""
    return 2.0 ** FORMATS[name_of(dtype)].min_exponent


@dataclass(frozen=True, slots=True)
class Interval:
    """[low, high], element by element; the last rounding of the result is not yet in it."""

    low: Float64
    high: Float64


@dataclass(frozen=True, slots=True)
class Problem:
    """One judged step: widened inputs, their storage dtypes, and the scalars."""

    theta: Float64
    m: Float64
    g: Float64
    theta_dtype: Dtype
    m_dtype: Dtype
    g_dtype: Dtype
    values: Hyperparameters

    @property
    def compute(self) -> Dtype:
        """The compute dtype (SPEC C3)."""
        return compute_dtype(self.theta_dtype)

    def at(self, where: NDArray[Any]) -> Problem:
        """The same problem at some of the elements."""
        return Problem(
            self.theta[where],
            self.m[where],
            self.g[where],
            self.theta_dtype,
            self.m_dtype,
            self.g_dtype,
            self.values,
        )


def _rounded(value: Fraction | float, dtype: Dtype) -> Fraction:
    """A finite number rounded to a dtype in which it does not overflow."""
    return Fraction(round_fraction(Fraction(value), name_of(dtype)))


def _with_flushed(options: Iterable[Fraction], dtype: Dtype) -> list[Fraction]:
    """The options, and zero beside any that is subnormal, since a flushing port loses it."""
    listed = list(options)
    smallest = Fraction(smallest_normal(dtype))
    return listed + [Fraction(0)] * any(0 < x < smallest for x in listed)


def _farthest(options: Iterable[Fraction], origin: Fraction) -> float:
    return _up(max((abs(x - origin) for x in options), default=Fraction(0)))


def _up(value: Fraction) -> float:
    """A float64 not below value >= 0."""
    return 0.0 if value == 0 else float(np.nextafter(float(value), np.inf))


def _headroom(largest: Float64) -> Float64:
    """1, or 1/8 where a sum of numbers that large could overflow though the result does not.

    The bounds are homogeneous: they are evaluated for scaled numbers, and the ends scaled back.
    """
    return np.where(largest > 2.0**1000, 0.125, 1.0)


@dataclass(frozen=True, slots=True)
class _Weights:
    """β and 1-β, what the rows form of them, and how far that is from the two."""

    momentum: float
    grad: float
    momentum_max: float
    grad_max: float
    momentum_error: float
    grad_error: float


@lru_cache(maxsize=CASES)
def _weights(beta: float, compute: Dtype, *, flushing: bool) -> _Weights:
    b = _rounded(Fraction(beta), compute)
    w = _rounded(Fraction(1.0 - beta), compute)
    w_compute = _rounded(1 - b, compute)
    b_options = [b, 1 - w, 1 - w_compute]
    w_options = [w, w_compute, 1 - b]
    if flushing:
        b_options, w_options = (_with_flushed(x, compute) for x in (b_options, w_options))
    return _Weights(
        momentum=float(b),
        grad=float(w),
        momentum_max=_up(max(b_options)),
        grad_max=_up(max(w_options)),
        momentum_error=_farthest(b_options, b),
        grad_error=_farthest(w_options, w),
    )


def interpolation(
    problem: Problem, beta: float, *, flushing: bool, rounded_before: float = 0.0
) -> Interval:
    """The enclosure of β·m + (1-β)·g before its last rounding.

    With flushing=False the allowance for flushed subnormals is left out: what is accepted only
    with it is accepted for that reason (SPEC C28). `rounded_before` is the unit roundoff of a wider
    dtype to which the sum is rounded before its last rounding.
    """
    scale = _headroom(np.maximum(np.abs(problem.m), np.abs(problem.g)))
    m, g, compute = scale * problem.m, scale * problem.g, problem.compute
    weights = _weights(beta, compute, flushing=flushing)

    u_m, u_g = unit(problem.m_dtype), unit(problem.g_dtype)
    u_mg = unit(promoted(problem.m_dtype, problem.g_dtype))
    size_m, size_g = np.abs(m), np.abs(g)
    b_max, w_max = weights.momentum_max, weights.grad_max
    weighted = u_m * b_max * size_m + u_g * w_max * size_g
    lerp = 2 * u_mg * max(b_max, w_max) * np.abs(g - m)
    error = np.maximum(weighted, lerp)
    error = error + weights.momentum_error * size_m + weights.grad_error * size_g
    centre = weights.momentum * m + weights.grad * g
    error = (error + rounded_before * np.abs(centre)) * (1 + 4 * max(u_m, u_g))
    error = error + 4 * UNIT64 * (b_max * size_m + w_max * size_g)
    dtypes = (problem.m_dtype, problem.g_dtype, compute)
    # Five operations near zero: two products, a sum, a store, and the operands of one of them.
    near_zero = _half_ulp(dtypes) + (_flushed(dtypes) if flushing else 0.0)
    error = error + 5 * near_zero * scale
    low, high = (centre - error) / scale, (centre + error) / scale
    # Every row is monotone: it maps momentum and gradient of one sign to that sign, or to zero.
    low = np.where((m >= 0) & (g >= 0), np.maximum(low, 0.0), low)
    high = np.where((m <= 0) & (g <= 0), np.minimum(high, 0.0), high)
    return Interval(low, high)


def _half_ulp(dtypes: Iterable[Dtype]) -> float:
    """What one operation near zero rounds off: half an ulp of the coarsest subnormals."""
    # Half of float64's own smallest number is no float64.
    return max(SMALLEST64, *(smallest_normal(x) * unit(x) for x in dtypes))


def _flushed(dtypes: Iterable[Dtype]) -> float:
    """What one flushing operation loses; float16's subnormals are never flushed (SPEC C18).

    A flushed number was smaller than the smallest normal one; what the operations behind it make
    of that is less than a quarter more.
    """
    return 1.25 * max(smallest_normal(x) for x in dtypes if name_of(x) != "float16")


def momentum(problem: Problem, *, flushing: bool) -> Interval:
    """The enclosure of m' before its last rounding, to m's dtype."""
    sum_dtype = promoted(problem.m_dtype, problem.g_dtype)
    before = [unit(x) for x in (problem.compute, sum_dtype) if x != problem.m_dtype]
    return interpolation(
        problem,
        problem.values.beta2,
        flushing=flushing,
        rounded_before=max(before, default=0.0),
    )


@dataclass(frozen=True, slots=True)
class _DecayScalars:
    """η and λ, what the rows form of them, and how far that is from η, ηλ and 1 - ηλ."""

    lr: float
    steps: tuple[float, ...]
    """|η·u| under the rows: η; η rounded to the dtype that m and g have together, or to θ's; 0 if
    flushed."""
    weight: float
    product_max: float
    product_error: float
    factor_max: float
    factor_error: float
    factor_is_exact: bool
    """Whether a product with every factor is exact: the factors are 0 or 1."""

    def slide(self, theta: Float64) -> Float64:
        """(ηλ)·θ, for λθ alone may overflow where the result does not; or η·(λθ), for ηλ may."""
        product = self.lr * self.weight
        return product * theta if np.isfinite(product) else self.lr * (self.weight * theta)


@lru_cache(maxsize=CASES)
def _decay_scalars(
    values: Hyperparameters, theta_dtype: Dtype, u_dtype: Dtype, *, flushing: bool
) -> _DecayScalars:
    """u_dtype: that which m and g have together."""
    compute = compute_dtype(theta_dtype)
    lr = _rounded(values.lr, compute)
    weight = _rounded(values.weight_decay, compute)
    shrink = lr * weight
    stored = [round_fraction(lr, name_of(dtype)) for dtype in (u_dtype, theta_dtype)]
    steps = [lr, *(x for x in stored if isinstance(x, Fraction))]
    if flushing:
        for dtype in {x for x in (compute, u_dtype) if name_of(x) != "float16"}:
            steps = _with_flushed(steps, dtype)
    # Rows whose scalar overflows have no finite results (`extremes` sees to the others).
    largest = Fraction(maximum(compute))
    products, factors = [], []
    wide = values.lr * values.weight_decay
    if wide <= largest:
        products.append(_rounded(wide, compute))
        factors.append(_rounded(1.0 - wide, compute))
    if shrink <= largest:
        product = _rounded(shrink, compute)
        products.append(product)
        factors.append(_rounded(1 - product, compute))
    if flushing:
        products, factors = (_with_flushed(x, compute) for x in (products, factors))
    return _DecayScalars(
        lr=float(lr),
        steps=tuple(dict.fromkeys(float(x) for x in steps)),
        weight=float(weight),
        product_max=_up(max(products, default=Fraction(0))),
        product_error=_farthest(products, shrink),
        factor_max=_up(max((abs(x) for x in factors), default=Fraction(0))),
        factor_error=_farthest(factors, 1 - shrink),
        factor_is_exact=all(x in (0, 1) for x in factors),
    )


def parameter(problem: Problem, sign: int, *, flushing: bool) -> tuple[Interval, ...]:
    """The enclosures of θ - η(s + λθ) before its last rounding, for one s of the sign set.

    Almost always one; several where rows round η·u to different numbers (`_DecayScalars.steps`).
    """
    u_dtype = promoted(problem.m_dtype, problem.g_dtype)
    scalars = _decay_scalars(problem.values, problem.theta_dtype, u_dtype, flushing=flushing)
    steps = scalars.steps if sign else (0.0,)
    return tuple(_around(problem, scalars, sign * step, flushing=flushing) for step in steps)


def _around(
    problem: Problem, scalars: _DecayScalars, signed_step: float, *, flushing: bool
) -> Interval:
    """The enclosure of θ - (η·u) - ηλθ for one value of η·u."""
    scale = _headroom(np.maximum(np.abs(problem.theta), scalars.lr))
    theta = scale * problem.theta
    size, step = np.abs(theta), scale * abs(signed_step)

    u, u_compute = unit(problem.theta_dtype), unit(problem.compute)
    slide = scalars.slide(theta)
    of_sum = u * (3 * np.abs(slide) + 2 * step * bool(scalars.weight))
    of_factor = size * (
        scalars.factor_error + u * scalars.factor_max * (not scalars.factor_is_exact)
    )
    of_product = size * scalars.product_error
    if scalars.weight:
        product = np.maximum(size * scalars.product_max, np.abs(slide))
        of_product = of_product + u * (2 * product + (size + product + step))
    error = np.maximum(of_sum, np.maximum(of_factor, of_product)) * (1 + 4 * u)
    centre = theta - (scale * signed_step + slide)
    magnitude = size + np.abs(slide) + step
    if u > u_compute:
        error = error + u_compute * magnitude  # rounded to the compute dtype, then stored
    # With no error so far and η itself as the step, the centre is the reference's own result.
    evaluated = (error > 0) | (abs(signed_step) not in (0.0, scalars.lr))
    error = np.where(evaluated, error + 6 * UNIT64 * magnitude, error)
    lost = _underflow_of_parameter(problem, scalars, flushing=flushing)
    error = error + scale * np.where((size == 0) & (signed_step == 0), 0.0, lost)
    return Interval((centre - error) / scale, (centre + error) / scale)


def _underflow_of_parameter(problem: Problem, scalars: _DecayScalars, *, flushing: bool) -> Float64:
    """Rounding near zero, where it is not the last: nothing without a decay, whose product it is.

    λθ and the sum with u lose half an ulp each, times η; η(...), (ηλ)θ and (1-ηλ)θ one each. A
    flushed θ is lost with its factor 1 - ηλ; a flushed η or λ with what it multiplies.
    """
    eta, weight, size = scalars.lr, scalars.weight, np.abs(problem.theta)
    dtypes = (problem.theta_dtype, problem.compute)
    rounded = (4 + 3 * eta) * _half_ulp(dtypes) if weight else 0.0
    lost = np.where(size > 0, rounded, 0.0)
    if flushing:
        one = _flushed(dtypes)
        operations = one * (8 + 4 * eta) * (1 + eta * weight)
        scalars_lost = weight * (0 < eta < one) + eta * (0 < weight < one)
        lost = lost + operations + one * scalars_lost * size
    return lost


def may_overflow(problem: Problem) -> NDArray[np.bool_]:
    """Where an input is not finite, or an intermediate result of some row could overflow (C27)."""
    sums = (problem.m_dtype, problem.g_dtype, problem.compute)
    everything = (*sums, problem.theta_dtype)
    eta, decay = problem.values.lr, problem.values.weight_decay
    size = np.abs(problem.theta)
    moved = size * (1 + decay + eta * decay) + eta * (1 + decay * size) + decay * size + 1
    largest = np.maximum(np.abs(problem.m), np.abs(problem.g))
    if eta * decay >= maximum(problem.compute):
        return np.ones(size.shape, bool)
    ordinary = (moved < 0.25 * maximum(*everything)) & (largest < 0.25 * maximum(*sums))
    return np.asarray(~ordinary)


def maximum(*dtypes: Dtype) -> float:
    """The largest finite number of the dtype that overflows first."""
    return min(2.0 ** FORMATS[name_of(x)].max_exponent * (2 - 2 * unit(x)) for x in dtypes)
