"""Enclosures of c, m' and θ' that hold for every row of SPEC Part II (C24 to C26).

docs/accepted-set.md derives every bound; the names below are that text's. All bounds are evaluated
in float64 and widened by what that evaluation can be wrong by.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lion_ref.dtypes import compute_dtype, promoted
from lion_ref.hyperparameters import Hyperparameters
from lion_ref.rational import FORMATS, round_fraction

Float64 = NDArray[np.float64]
Dtype = np.dtype[Any]

UNIT64 = 2.0**-53


def unit(dtype: Dtype) -> float:
    """The unit roundoff u = 2**-p: half an ulp of 1."""
    return 2.0 ** -FORMATS[dtype.name].precision


def smallest_normal(dtype: Dtype) -> float:
    return 2.0 ** FORMATS[dtype.name].min_exponent


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
    """Rounded to dtype; the largest number where it overflows, which `may_overflow` sees to."""
    result = round_fraction(Fraction(value), dtype.name)
    return result if isinstance(result, Fraction) else Fraction(_maximum(dtype))


def _with_flushed(options: Iterable[Fraction], dtype: Dtype) -> list[Fraction]:
    """The options, and zero beside any that is subnormal, since a flushing port loses it."""
    listed = list(options)
    smallest = Fraction(smallest_normal(dtype))
    return listed + [Fraction(0)] * any(0 < x < smallest for x in listed)


def _farthest(options: Iterable[Fraction], origin: Fraction) -> float:
    return _up(max(abs(x - origin) for x in options))


def _up(value: Fraction) -> float:
    """A float64 not below value >= 0."""
    return 0.0 if value == 0 else float(np.nextafter(float(value), np.inf))


def interpolation(problem: Problem, beta: float, *, flushing: bool) -> tuple[Interval, Float64]:
    """The enclosure of β·m + (1-β)·g before its last rounding, and its centre.

    With flushing=False the allowance for flushed subnormals is left out: what is accepted only with
    it is accepted for that reason (SPEC C28).
    """
    m, g, compute = problem.m, problem.g, problem.compute
    b = _rounded(Fraction(beta), compute)
    w = _rounded(Fraction(1.0 - beta), compute)
    w_compute = _rounded(1 - b, compute)
    b_options = [b, 1 - w, 1 - w_compute]
    w_options = [w, w_compute, 1 - b]
    if flushing:
        b_options, w_options = (_with_flushed(x, compute) for x in (b_options, w_options))
    rho_m, rho_g = _farthest(b_options, b), _farthest(w_options, w)
    b_max, w_max = _up(max(b_options)), _up(max(w_options))

    u_m, u_g = unit(problem.m_dtype), unit(problem.g_dtype)
    u_mg = unit(promoted(problem.m_dtype, problem.g_dtype))
    weighted = u_m * b_max * np.abs(m) + u_g * w_max * np.abs(g)
    # Halved, since the difference of two finite numbers may overflow.
    half_difference = np.abs(0.5 * g - 0.5 * m)
    lerp = 4 * u_mg * max(b_max, w_max) * half_difference
    error = np.maximum(weighted, lerp) + rho_m * np.abs(m) + rho_g * np.abs(g)
    error = error * (1 + 4 * max(u_m, u_g)) + 4 * UNIT64 * (b_max * np.abs(m) + w_max * np.abs(g))
    error = error + underflow_of_interpolation(problem, flushing=flushing)
    centre = float(b) * m + float(w) * g
    low, high = centre - error, centre + error
    # Every row is monotone: it maps momentum and gradient of one sign to that sign, or to zero.
    low = np.where((m >= 0) & (g >= 0), np.maximum(low, 0.0), low)
    high = np.where((m <= 0) & (g <= 0), np.minimum(high, 0.0), high)
    return Interval(low, high), centre


def underflow_of_interpolation(problem: Problem, *, flushing: bool) -> float:
    """Five roundings near zero: half a subnormal spacing each, or with flushing a whole binade."""
    dtypes = (problem.m_dtype, problem.g_dtype, problem.compute)
    return _underflow(5, dtypes, flushing=flushing)


def _underflow(operations: int, dtypes: Iterable[Dtype], *, flushing: bool) -> float:
    spacing = max(smallest_normal(x) * unit(x) for x in dtypes)
    normal = max(smallest_normal(x) for x in dtypes if x.name != "float16") if flushing else 0.0
    return operations * (spacing + 1.25 * normal)


def parameter(problem: Problem, sign: int, *, flushing: bool) -> Interval:
    """The enclosure of θ - η(s + λθ) before its last rounding, for one s of the sign set."""
    theta, compute = problem.theta, problem.compute
    lr, decay = Fraction(problem.values.lr), Fraction(problem.values.weight_decay)
    h, weight = _rounded(lr, compute), _rounded(decay, compute)
    shrink = h * weight
    wide_product = Fraction(problem.values.lr * problem.values.weight_decay)
    products = [_rounded(wide_product, compute), _rounded(shrink, compute)]
    factors = [
        _rounded(Fraction(1.0 - float(wide_product)), compute),
        _rounded(1 - products[1], compute),
    ]
    if flushing:
        products, factors = (_with_flushed(x, compute) for x in (products, factors))
    delta_h, delta_f = _farthest(products, shrink), _farthest(factors, 1 - shrink)
    h_max, f_max = _up(max(products)), _up(max(abs(x) for x in factors))
    eta, size = float(h), np.abs(theta)

    u = unit(problem.theta_dtype)
    narrow = [x for x in (problem.theta_dtype, problem.m_dtype, problem.g_dtype) if x != compute]
    # η·u is ±η, exact unless a row rounds it to a narrower dtype.
    u_step = max((unit(x) for x in narrow), default=0.0) if sign else 0.0
    step = eta * abs(sign)
    # η(s + λθ) as ηs + (ηλ)θ: λθ alone may overflow where the result does not.
    slide = float(shrink) * theta
    of_sum = u * (3 * np.abs(slide) + 2 * step * bool(weight)) + u_step * step
    of_factor = size * (delta_f + (u * f_max if any(x not in (0, 1) for x in factors) else 0.0))
    of_product = size * (delta_h + 2 * u * h_max)
    if h_max:
        of_product = of_product + u * (size * (1 + h_max) + step)
    error = np.maximum(of_sum, np.maximum(of_factor, of_product) + u_step * step)
    error = error * (1 + 4 * max(u, u_step))
    centre = theta - (eta * sign + slide)
    magnitude = 0.5 * size * (1 + float(shrink)) + 0.5 * step  # halved, lest it overflow
    if problem.theta_dtype != compute:
        error = error + 2 * unit(compute) * magnitude  # rounded to the compute dtype, then stored
    if weight or compute.name != "float64":
        # In float64 without decay the centre is the result of its one rounding: nothing to add.
        error = error + 12 * UNIT64 * magnitude
    error = error + _underflow_of_parameter(problem, eta, float(weight), sign, flushing=flushing)
    return Interval(centre - error, centre + error)


def _underflow_of_parameter(
    problem: Problem, eta: float, weight: float, sign: int, *, flushing: bool
) -> Float64:
    """Rounding near zero: eight operations, four of them scaled by η, and the scalars themselves.

    One more is η·u, which a row may round to the dtype of m and g.
    """
    size = np.abs(problem.theta)
    one = _underflow(1, (problem.theta_dtype, problem.compute), flushing=flushing)
    scalars = one * (1 + weight * size + (1 + eta) * size) if flushing else 0.0
    u_dtype = promoted(problem.m_dtype, problem.g_dtype)
    step = _underflow(1, (u_dtype, problem.compute), flushing=flushing) * abs(sign)
    nothing = (size == 0) & (sign == 0)
    return np.where(nothing, 0.0, one * (8 + 4 * eta) * (1 + eta * weight) + scalars + step)


def momentum(problem: Problem, *, flushing: bool) -> Interval:
    """The enclosure of m' before its last rounding, to m's dtype."""
    bound, centre = interpolation(problem, problem.values.beta2, flushing=flushing)
    sum_dtype = promoted(problem.m_dtype, problem.g_dtype)
    before = [x for x in (problem.compute, sum_dtype) if x != problem.m_dtype]
    extra = max((unit(x) for x in before), default=0.0) * np.abs(centre) * (1 + 4 * UNIT64)
    return Interval(bound.low - extra, bound.high + extra)


def may_overflow(problem: Problem) -> NDArray[np.bool_]:
    """Where an input is not finite, or an intermediate result of some row could overflow (C27)."""
    sums = (problem.m_dtype, problem.g_dtype, problem.compute)
    everything = (*sums, problem.theta_dtype)
    eta, decay = problem.values.lr, problem.values.weight_decay
    size = np.abs(problem.theta)
    moved = size * (1 + decay + eta * decay) + eta * (1 + decay * size) + decay * size + 1
    largest = np.maximum(np.abs(problem.m), np.abs(problem.g))
    if eta * decay >= _maximum(problem.compute):
        return np.ones(size.shape, bool)
    ordinary = (moved < 0.25 * _maximum(*everything)) & (largest < 0.25 * _maximum(*sums))
    return np.asarray(~ordinary)


def _maximum(*dtypes: Dtype) -> float:
    """The largest finite number of the dtype that overflows first."""
    return min(2.0 ** FORMATS[x.name].max_exponent * (2 - 2 * unit(x)) for x in dtypes)
