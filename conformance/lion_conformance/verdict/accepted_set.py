"""The accepted set of a case, element by element, as numbers to show, to store and to measure.

`lion_ref.acceptance` judges a given result; here the same set is written out (SPEC C24 to C27).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lion_conformance.cases.case import Case
from lion_conformance.verdict.differences import ordinals
from lion_ref import bounds
from lion_ref.acceptance import (
    momentum_outcomes,
    parameter_signs,
    problem_of,
    rounded_ends,
    sign_set,
)
from lion_ref.arithmetic import Array, Mask
from lion_ref.bounds import Interval
from lion_ref.extremes import Outcomes
from lion_ref.hyperparameters import Hyperparameters

SAMPLE, EVERY = 32, 4
"""Elements of a case whose set is measured, and of how many cases: it costs as much as judging."""

LAST = np.int64(2**63 - 1)
"""Behind every number's place among those of its dtype."""


@dataclass(frozen=True, slots=True)
class AcceptedSet:
    """What is accepted for one result of a case, beside the reference's own bits.

    A number is accepted if it lies between a low and the high beside it, or is one of the outcomes.
    The reference's bits are always accepted.
    """

    lows: Array
    """(intervals, elements), in the result's dtype; NaN where an element lacks an interval."""
    highs: Array
    outcomes: Outcomes

    def holds(self, values: Array) -> Mask:
        """Which values are accepted, one an element."""
        with np.errstate(all="ignore"):
            low, value, high = (
                np.asarray(x, np.float64) for x in (self.lows, values.reshape(-1), self.highs)
            )
            inside = ((low <= value) & (value <= high)).any(axis=0)
        return np.asarray(inside | self.outcomes.hold(value))

    def intervals(self, index: int) -> list[tuple[Array, Array]]:
        """The separate intervals of one element, from the lowest: (low, high), of shape (1,) each.

        Those that touch or overlap are one.
        """
        lows, highs = self.lows[:, index], self.highs[:, index]
        there = np.flatnonzero(~np.isnan(lows) & ~np.isnan(highs))
        firsts, lasts = ordinals(lows[there]), ordinals(highs[there])
        merged: list[tuple[int, int]] = []
        for i in np.argsort(firsts, kind="stable"):
            if merged and firsts[i] <= lasts[merged[-1][1]] + 1:
                low, high = merged[-1]
                merged[-1] = (low, i if lasts[i] > lasts[high] else high)
            else:
                merged.append((i, i))
        return [
            (lows[there[low] :][:1].copy(), highs[there[high] :][:1].copy()) for low, high in merged
        ]

    def widths(self) -> NDArray[np.uint64]:
        """The width of each element's set in ulps: steps from number to number in its intervals."""
        there = ~np.isnan(self.lows) & ~np.isnan(self.highs)
        # An interval that an element lacks is an empty one at the end of the last.
        firsts = np.where(there, ordinals(self.lows), LAST)
        lasts = np.where(there, ordinals(self.highs), LAST)
        order = np.argsort(firsts, axis=0, kind="stable")
        firsts, lasts, there = (np.take_along_axis(x, order, 0) for x in (firsts, lasts, there))
        widths = np.zeros(firsts.shape[1:], np.uint64)
        reach = firsts[0]
        for first, last, held in zip(firsts, lasts, there, strict=True):
            # What touches or overlaps what came before adds what lies beyond it.
            start = np.where(first <= reach + 1, reach, first)
            end = np.maximum(start, last)
            widths += np.where(held, end.view(np.uint64) - start.view(np.uint64), np.uint64(0))
            reach = np.where(held, end, reach)
        return widths


def accepted_sets(case: Case) -> tuple[AcceptedSet, AcceptedSet]:
    """The sets for θ' and for m', over the flat elements of a case."""
    problem = problem_of([x.reshape(-1) for x in case.arrays], Hyperparameters(**case.scalars))
    everywhere = np.ones(case.param.size, bool)
    with np.errstate(all="ignore"):
        extreme = bounds.may_overflow(problem)
        signs, outcomes = parameter_signs(problem, extreme)
        param = [
            (held, interval)
            for s, held in signs.items()
            for interval in bounds.parameter(problem, s, flushing=True)
        ]
        momentum = [(everywhere, bounds.momentum(problem, flushing=True))]
        return (
            _written_out(param, problem.theta_dtype, outcomes),
            _written_out(momentum, problem.m_dtype, momentum_outcomes(problem, extreme)),
        )


def _written_out(
    intervals: list[tuple[Mask, Interval]], dtype: np.dtype[Any], outcomes: Outcomes
) -> AcceptedSet:
    ends = [
        [np.where(held, end, np.array(np.nan, dtype)) for end in rounded_ends(interval, dtype)]
        for held, interval in intervals
    ]
    lows, highs = (np.stack(x) for x in zip(*ends, strict=True))
    return AcceptedSet(lows, highs, outcomes)


@dataclass(frozen=True, slots=True)
class Width:
    """How wide the accepted sets of the judged elements were: what a verdict could not see."""

    elements: int
    """Elements that were measured; none whose result could overflow."""
    param_median: int
    """Ulps of θ's dtype, over all the intervals of an element."""
    param_ninth_decile: int
    momentum_median: int
    momentum_ninth_decile: int
    ambiguous: float
    """The share of elements for which more than one sign is accepted."""


class Measure:
    """Measures the accepted sets of a sample of each case's elements."""

    def __init__(self) -> None:
        self._param: list[int] = []
        self._momentum: list[int] = []
        self._ambiguous = 0
        self._cases = 0

    def add(self, case: Case) -> None:
        """Up to SAMPLE elements, evenly spread, of the first case and each EVERYth behind it."""
        self._cases += 1
        if self._cases % EVERY != 1:
            return
        problem = problem_of([x.reshape(-1) for x in case.arrays], Hyperparameters(**case.scalars))
        with np.errstate(all="ignore"):
            ordinary = np.flatnonzero(~bounds.may_overflow(problem))
        ordinary = ordinary[:: max(1, -(-ordinary.size // SAMPLE))]
        if not ordinary.size:
            return
        sampled = case.with_arrays(x.reshape(-1)[ordinary] for x in case.arrays)
        param, momentum = accepted_sets(sampled)
        signs = sign_set(problem.at(ordinary))
        possible = np.stack(list(signs.values())).sum(axis=0)
        self._ambiguous += int((possible > 1).sum())
        self._param += param.widths().tolist()
        self._momentum += momentum.widths().tolist()

    def result(self) -> Width | None:
        """The widths of all that was added; None if there was nothing to measure."""
        if not self._param:
            return None
        count = len(self._param)
        param, momentum = sorted(self._param), sorted(self._momentum)
        return Width(
            elements=count,
            param_median=param[count // 2],
            param_ninth_decile=param[count * 9 // 10],
            momentum_median=momentum[count // 2],
            momentum_ninth_decile=momentum[count * 9 // 10],
            ambiguous=self._ambiguous / count,
        )
