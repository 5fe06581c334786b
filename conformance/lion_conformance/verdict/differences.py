"""Differing elements of θ', as points: how far, and how near c was to changing its sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lion_conformance.cases.case import Case
from lion_ref import bounds, step
from lion_ref.acceptance import Judged, problem_of
from lion_ref.arithmetic import bits
from lion_ref.hyperparameters import Hyperparameters

LIMIT = 100
"""Points kept of one case: a picture needs no more."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One element whose bits are not the reference's."""

    relative_c: float
    """|c| over the half width of its enclosure (SPEC C24): up to 1 the sign is ambiguous."""
    ulps: int
    """How many numbers of θ's dtype lie between θ' and the reference's, one end included."""
    reason: str


def sample(case: Case, new_param: NDArray[Any], judged: Judged) -> list[Difference]:
    """Up to LIMIT finite differing elements of θ', evenly spread over the array."""
    where = np.flatnonzero(judged.codes)
    where = where[:: max(1, -(-where.size // LIMIT))]
    theta, m, g = (x.reshape(-1)[where] for x in case.arrays)
    expected, _ = step(theta, m, g, **case.scalars)
    got = new_param.reshape(-1)[where]
    problem = problem_of([theta, m, g], Hyperparameters(**case.scalars))
    with np.errstate(all="ignore"):
        c = bounds.interpolation(problem, case.beta1, flushing=True)
        relative = np.abs(c.low + c.high) / (c.high - c.low)
    finite = np.isfinite(relative) & np.isfinite(got) & np.isfinite(expected)
    reasons = Judged(judged.codes.reshape(-1)[where]).reasons
    distance = [
        abs(int(a) - int(b)) for a, b in zip(ordinals(got), ordinals(expected), strict=True)
    ]
    return [
        Difference(float(relative[i]), distance[i], reasons[i].value)
        for i in np.flatnonzero(finite)
    ]


def ordinals(array: NDArray[Any]) -> NDArray[np.int64]:
    """Each number's place among the numbers of its dtype, 0 for both zeros.

    Two places of float64 can lie too far apart for an int64: their difference is a uint64.
    """
    patterns = bits(array)
    half = 1 << (8 * array.dtype.itemsize - 1)
    size = np.asarray(patterns & patterns.dtype.type(half - 1)).astype(np.int64)
    return np.where(patterns >= half, -size, size)
