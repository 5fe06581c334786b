"""Results that the compute dtype holds, about where a storage dtype overflows (SPEC C9).

A store that saturates, as a conversion of some hardware does, or that takes the tie for the largest
number, differs nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.ports.protocol import Triple
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array, round_to
from lion_ref.bounds import maximum
from lion_ref.dtypes import compute_dtype
from lion_ref.rational import FORMATS

PARTS: Final = (1 - 2.0**-10, 1.0, 1.5)
"""Of half a unit in the last place beyond the largest number: rounded down, a tie, beyond it.

The tie tells what is to be bit-exact. Beyond it no rounding of Lion is finite (SPEC C25, C26).
"""

SIGNS: Final = np.array([1.0, -1.0])


def param_overflows(triple: Triple) -> Iterator[Case]:
    """θ' about the tie beyond which θ's dtype has no number."""
    if compute_dtype(triple[0]).name == triple[0]:
        return
    largest, half = _ends(triple[0])
    theta = np.concatenate([SIGNS * largest, SIGNS * (largest - 2 * half)])
    against = -np.sign(theta)
    for part in PARTS:
        yield _case(triple, (theta, against, against), (half * part, 0.9, 0.99, 0.0))


def momentum_overflows(triple: Triple) -> Iterator[Case]:
    """m' about that tie of m's dtype, where g can bring it there."""
    param, momentum, grad = triple
    if compute_dtype(param).name == momentum:
        return
    largest, half = _ends(momentum)
    targets = np.outer(SIGNS, largest + half * np.array([0.0, *PARTS])).reshape(-1)
    if not np.array_equal(round_to(targets, STORAGE_DTYPES[grad]).astype(np.float64), targets):
        return  # which only a wider dtype holds
    theta = np.ones(targets.size)
    yield _case(triple, (theta, -theta, targets), (0.1, 0.9, 0.0, 0.1))


def _ends(dtype: str) -> tuple[float, float]:
    """The largest number, and half a unit in its last place."""
    limits = FORMATS[dtype]
    return maximum(STORAGE_DTYPES[dtype]), 2.0 ** (limits.max_exponent - limits.precision)


def _case(
    triple: Triple,
    arrays: tuple[Array, Array, Array],
    scalars: tuple[float, float, float, float],
) -> Case:
    param, momentum, grad = (
        round_to(x, STORAGE_DTYPES[name]) for x, name in zip(arrays, triple, strict=True)
    )
    return Case(param, momentum, grad, *scalars)
