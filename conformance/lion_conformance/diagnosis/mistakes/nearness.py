"""Near: where a mistake is the port's, but its roundings are those of no row of SPEC C16.

No verdict is found so, only a name: which of the mistakes it is. Where c cancels its sign is left
open, as rounding decides it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from lion_conformance.cases.case import Case
from lion_ref.arithmetic import Array, Mask

UNITS: Final = 4
"""Ulps of the largest number that a result is made of."""

CANCELS: Final = 2.0**-7
"""The share of its terms below which c's sign is open, and m' judged by their size."""


def near(result: Array, told: Array, old: Array, case: Case) -> Mask:
    """Flat: whether told lies within ulps of a result that was made from old and the rest."""
    with np.errstate(all="ignore"):
        wide = [np.asarray(x, np.float64) for x in (result, told, old)]
        m, g, theta = (np.asarray(x, np.float64) for x in (case.momentum, case.grad, case.param))
        largest = np.maximum(np.abs(wide[0]), np.abs(wide[2])).astype(told.dtype)
        room = UNITS * np.abs(np.asarray(np.spacing(largest), np.float64))
        scale = np.maximum(np.abs(m), np.abs(g))
        epsilon = float(np.finfo(np.float32 if told.dtype.itemsize < 8 else np.float64).eps)
        room += (
            UNITS * epsilon * np.maximum(scale, case.lr * (1 + case.weight_decay * np.abs(theta)))
        )
        close = (np.abs(wide[0] - wide[1]) <= room) | (wide[0] == wide[1])
        a, b = case.beta1 * m, (1 - case.beta1) * g
        open_sign = np.abs(a + b) <= CANCELS * (np.abs(a) + np.abs(b))
        return np.asarray(close | open_sign | ~(np.isfinite(wide[0]) & np.isfinite(wide[1])))
