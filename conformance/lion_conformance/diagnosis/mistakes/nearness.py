"""Near: where a mistake is the port's, but its roundings are those of no row of SPEC C16.

No verdict is found so, only a name: which of the mistakes it is. Only ordinary hyperparameters and
numbers are asked about, since an ulp of the largest term may be all of the rest; and where c
cancels, rounding decides its sign.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from lion_conformance.cases.case import Case, ordinary
from lion_ref.arithmetic import Array, Mask, same_bits

UNITS: Final = 4
"""Ulps of the largest number that a result is made of; in 16 bits one, of which a few are 1%."""

CANCELS: Final = 2.0**-7
"""The share of its terms below which c's sign is open."""

LARGEST: Final = 2.0**60
"""Numbers of ordinary size are smaller."""


def far(result: Array, told: Array, old: Array, case: Case) -> tuple[Mask, Mask]:
    """Flat: where told is beyond ulps of a result that was made from old; and where it is asked."""
    if not (ordinary(case) and case.lr):
        return np.zeros(told.shape, bool), np.zeros(told.shape, bool)
    with np.errstate(all="ignore"):
        wide = [np.asarray(x, np.float64) for x in (result, told, old)]
        theta, m, g = (np.asarray(x, np.float64) for x in case.arrays)
        asked = np.logical_and.reduce([np.abs(x) < LARGEST for x in (theta, m, g)])
        a, b = case.beta1 * m, (1 - case.beta1) * g
        asked &= np.abs(a + b) > CANCELS * (np.abs(a) + np.abs(b))
        unknown = (np.isnan(m) | np.isnan(g)) & (np.abs(theta) < LARGEST)
        largest = np.maximum(np.abs(wide[0]), np.abs(wide[2])).astype(told.dtype)
        units = 1 if told.dtype.itemsize == 2 else UNITS
        room = units * np.abs(np.asarray(np.spacing(largest), np.float64))
        epsilon = float(np.finfo(np.float32 if told.dtype.itemsize < 8 else np.float64).eps)
        step = case.lr * (1 + case.weight_decay * np.abs(theta))
        room += UNITS * epsilon * np.fmax(np.fmax(np.abs(m), np.abs(g)), step)
        close = (np.abs(wide[0] - wide[1]) <= room) | same_bits(result, told)
        close |= unknown & np.isnan(wide[0]) & np.isnan(wide[1])
        asked |= unknown
        return np.asarray(asked & ~close), asked
