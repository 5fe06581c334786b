"""The accepted set: which results are roundings of Lion, element by element (SPEC C23 to C28).

docs/explanation/accepted-set.md derives it. Elements whose bits equal the reference's are accepted
without looking; the bounds are evaluated for the others alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lion_ref import bounds, extremes
from lion_ref.arithmetic import Array, Mask, round_to, same_bits
from lion_ref.bounds import Interval, Problem
from lion_ref.checks import as_array
from lion_ref.dtypes import check_dtypes
from lion_ref.extremes import Outcomes
from lion_ref.hyperparameters import Hyperparameters
from lion_ref.update import step


class Reason(Enum):
    """Why an element's bits differ from the reference's (SPEC C28)."""

    SAME = "same"
    ROUNDING = "rounding"
    SIGN_AMBIGUOUS = "sign-ambiguous"
    SUBNORMAL = "subnormal"
    DECAY_SKIP = "decay-skip"
    ZERO_SIGN = "zero-sign"
    NAN = "nan"
    OVERFLOW = "overflow"
    OUTSIDE = "outside"


_CODES: Final = tuple(Reason)
_CODE: Final = {reason: code for code, reason in enumerate(_CODES)}


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on one output array."""

    codes: NDArray[np.uint8]
    """For each element the index of its reason in `tuple(Reason)`; the array's own shape."""

    @property
    def accepted(self) -> Mask:
        """Which elements are accepted; the array's own shape."""
        return np.asarray(self.codes != _CODE[Reason.OUTSIDE])

    @property
    def reasons(self) -> list[Reason]:
        """Each element's reason, in C order."""
        return [_CODES[code] for code in self.codes.reshape(-1)]

    def counts(self) -> Counter[Reason]:
        """How many elements differ for each reason; `same` is left out.

        >>> Judged(np.array([0, 2, 2], np.uint8)).counts()
        Counter({<Reason.SIGN_AMBIGUOUS: 'sign-ambiguous'>: 2})
        """
        found, number = np.unique(self.codes, return_counts=True)
        pairs = zip(found.tolist(), number.tolist(), strict=True)
        return Counter({_CODES[code]: n for code, n in pairs if _CODES[code] is not Reason.SAME})


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdicts on both output arrays."""

    param: Judged
    momentum: Judged


def accepts(
    param: ArrayLike,
    momentum: ArrayLike,
    grad: ArrayLike,
    new_param: ArrayLike,
    new_momentum: ArrayLike,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
) -> tuple[Mask, Mask]:
    """Which elements of a port's result are accepted: (for θ', for m'), as boolean arrays.

    An element is accepted if its bits are the reference's, or if it lies in the set that SPEC C23
    to C27 derive from θ, m, g and the scalars: for θ' a union of narrow intervals, one for each
    sign that c may have under rounding; for m' one interval. Nothing here is a tolerance to tune.

    Args:
        param: θ that the port was given; dtypes and shapes as for `step`.
        momentum: m, likewise.
        grad: g, likewise.
        new_param: θ' that it returned; the dtype and shape of param.
        new_momentum: m', likewise of momentum.
        lr: η, as for `step`.
        beta1: β1, likewise.
        beta2: β2, likewise.
        weight_decay: λ, likewise.

    Raises:
        TypeError: as `step`, and where a result's dtype is not its input's.
        ValueError: as `step`, and where a result's shape is not its input's.

    Source: Chen et al., "Symbolic Discovery of Optimization Algorithms", arXiv 2302.06675; the
    acceptance of a set of results follows from sign's jump.

    >>> one, zero = np.float32([1.0]), np.float32([0.0])
    >>> accepts(one, zero, one, np.float32([0.75]), np.float32([0.01]), lr=0.5)
    (array([False]), array([ True]))
    """
    judgement = judge(
        param,
        momentum,
        grad,
        new_param,
        new_momentum,
        lr=lr,
        beta1=beta1,
        beta2=beta2,
        weight_decay=weight_decay,
    )
    return judgement.param.accepted, judgement.momentum.accepted


def judge(
    param: ArrayLike,
    momentum: ArrayLike,
    grad: ArrayLike,
    new_param: ArrayLike,
    new_momentum: ArrayLike,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
) -> Judgement:
    """As `accepts`, with the reason for each element that differs.

    >>> zero, one = np.float32([0.0]), np.float32([1.0])
    >>> judge(zero, zero, one, np.float32([-0.5]), np.float32([0.02]), lr=0.5).momentum.counts()
    Counter({<Reason.OUTSIDE: 'outside'>: 1})
    """
    values = Hyperparameters.checked(lr=lr, beta1=beta1, beta2=beta2, weight_decay=weight_decay)
    theta, m, g = (
        as_array(name, x) for name, x in (("param", param), ("momentum", momentum), ("grad", grad))
    )
    expected = step(theta, m, g, lr=lr, beta1=beta1, beta2=beta2, weight_decay=weight_decay)
    got = (as_array("new_param", new_param), as_array("new_momentum", new_momentum))
    for name, actual, wanted in zip(("new_param", "new_momentum"), got, expected, strict=True):
        if actual.dtype != wanted.dtype:
            raise TypeError(f"{name} has dtype {actual.dtype}; legal: {wanted.dtype}, its input's")
        if actual.shape != wanted.shape:
            raise ValueError(f"{name} has shape {actual.shape}; legal: {wanted.shape}, its input's")
    codes = [np.zeros(theta.shape, np.uint8) for _ in got]
    flat = [x.reshape(-1) for x in (theta, m, g)]
    judges = (_judge_parameter, _judge_momentum)
    for code, actual, wanted, judge_part in zip(codes, got, expected, judges, strict=True):
        differs = np.flatnonzero(~same_bits(actual, wanted))
        if differs.size:
            problem = problem_of([x[differs] for x in flat], values)
            code.reshape(-1)[differs] = judge_part(
                problem, actual.reshape(-1)[differs], wanted.reshape(-1)[differs]
            )
    return Judgement(Judged(codes[0]), Judged(codes[1]))


def problem_of(inputs: list[Array], values: Hyperparameters) -> Problem:
    """Stored inputs θ, m, g of a legal triple, widened for `bounds`."""
    check_dtypes(*(x.dtype for x in inputs))
    with np.errstate(all="ignore"):  # a signalling NaN is no error
        theta, m, g = (np.asarray(x, dtype=np.float64) for x in inputs)
    theta_dtype, m_dtype, g_dtype = (x.dtype.newbyteorder("=") for x in inputs)
    return Problem(theta, m, g, theta_dtype, m_dtype, g_dtype, values)


def rounded_ends(interval: Interval, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """The first and the last number of a dtype that an enclosure admits (SPEC C25, C26)."""
    return round_to(interval.low, dtype), round_to(interval.high, dtype)


def _inside(intervals: Iterable[Interval], actual: Array) -> Mask:
    """Whether actual lies in one of the intervals once their ends are rounded to its dtype."""
    dtype = actual.dtype.newbyteorder("=")
    wide = np.asarray(actual, dtype=np.float64)
    inside = np.zeros(actual.shape, bool)
    for interval in intervals:
        low, high = (np.asarray(x, dtype=np.float64) for x in rounded_ends(interval, dtype))
        inside |= (low <= wide) & (wide <= high)
    return inside


def sign_set(problem: Problem, *, flushing: bool = True) -> dict[int, Mask]:
    """S of SPEC C24 as a mask for each sign, from the enclosure of c alone."""
    with np.errstate(all="ignore"):
        c = bounds.interpolation(problem, problem.values.beta1, flushing=flushing)
    return {-1: c.low < 0, 0: (c.low <= 0) & (c.high >= 0), 1: c.high > 0}


def parameter_signs(
    problem: Problem, extreme: Mask, actual: Array | None = None
) -> tuple[dict[int, Mask], Outcomes]:
    """S of SPEC C24 with what the rows add to it where extreme, and the outcomes of θ' (C27).

    actual: results, if it is enough to know of outcomes whether they hold these.
    """
    signs = sign_set(problem)
    outcomes = Outcomes(problem.m.size)
    at = np.flatnonzero(extreme)
    if at.size:
        row_signs, row_nan = extremes.signs(problem.at(at))
        for s, held in signs.items():
            held[at] |= row_signs[s]
        wanted = None
        if actual is not None:  # a finite one is no outcome
            asked = ~np.isfinite(actual[at])
            at, row_nan = at[asked], row_nan[asked]
            wanted = actual[at]
        held_there = {s: held[at] for s, held in signs.items()}
        outcomes.place(at, extremes.parameters(problem.at(at), held_there, row_nan, wanted))
    return signs, outcomes


def momentum_outcomes(problem: Problem, extreme: Mask) -> Outcomes:
    """The outcomes of m' where extreme (SPEC C27)."""
    outcomes = Outcomes(problem.m.size)
    at = np.flatnonzero(extreme)
    if at.size:
        outcomes.place(at, extremes.momenta(problem.at(at)))
    return outcomes


def _judge_parameter(problem: Problem, actual: Array, expected: Array) -> NDArray[np.uint8]:
    with np.errstate(all="ignore"):
        return _parameter_codes(problem, actual, expected)


def _parameter_codes(problem: Problem, actual: Array, expected: Array) -> NDArray[np.uint8]:
    extreme = bounds.may_overflow(problem)
    signs, outcomes = parameter_signs(problem, extreme, actual)
    outcome = outcomes.hold(actual)

    inside = {
        s: held & _inside(bounds.parameter(problem, s, flushing=True), actual)
        for s, held in signs.items()
    }
    canonical = _canonical_sign(problem)
    same_sign = np.zeros(actual.shape, bool)
    strict = np.zeros(actual.shape, bool)
    strict_signs = sign_set(problem, flushing=False)
    for s in signs:
        same_sign |= inside[s] & (canonical == s)
        strictly = _inside(bounds.parameter(problem, s, flushing=False), actual)
        strict |= inside[s] & strictly & strict_signs[s]
    accepted = inside[-1] | inside[0] | inside[1] | outcome
    skipped = (
        (problem.values.weight_decay == 0)
        & np.isinf(problem.theta)
        & (np.asarray(actual, np.float64) == problem.theta)
    )
    codes = _common_codes(accepted, strict | extreme, actual, expected)
    rounding = codes == _CODE[Reason.ROUNDING]
    codes[rounding & ~same_sign & ~outcome] = _CODE[Reason.SIGN_AMBIGUOUS]
    codes[accepted & skipped] = _CODE[Reason.DECAY_SKIP]
    return codes


def _canonical_sign(problem: Problem) -> NDArray[np.float64]:
    """u of the reference, as the step that a θ of 0 makes with η = 1."""
    zero = np.zeros(problem.m.shape, problem.theta_dtype)
    m, g = round_to(problem.m, problem.m_dtype), round_to(problem.g, problem.g_dtype)
    beta1, beta2 = problem.values.beta1, problem.values.beta2
    moved, _ = step(zero, m, g, lr=1.0, beta1=beta1, beta2=beta2)
    return -np.asarray(moved, dtype=np.float64)


def _judge_momentum(problem: Problem, actual: Array, expected: Array) -> NDArray[np.uint8]:
    with np.errstate(all="ignore"):
        extreme = bounds.may_overflow(problem)
        outcome = momentum_outcomes(problem, extreme & ~np.isfinite(actual)).hold(actual)
        inside = _inside([bounds.momentum(problem, flushing=True)], actual)
        strict = _inside([bounds.momentum(problem, flushing=False)], actual)
        return _common_codes(inside | outcome, strict | extreme, actual, expected)


def _common_codes(
    accepted: Mask, strict: Mask, actual: Array, expected: Array
) -> NDArray[np.uint8]:
    codes = np.full(actual.shape, _CODE[Reason.ROUNDING], np.uint8)
    codes[~strict] = _CODE[Reason.SUBNORMAL]
    codes[(actual == expected)] = _CODE[Reason.ZERO_SIGN]  # equal values in other bits
    codes[np.isinf(actual) | np.isinf(expected)] = _CODE[Reason.OVERFLOW]
    codes[np.isnan(actual) != np.isnan(expected)] = _CODE[Reason.NAN]
    codes[~accepted] = _CODE[Reason.OUTSIDE]
    return codes
