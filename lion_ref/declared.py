"""Which semantics an adapter's step has on a platform, told by taking one (SPEC C18, C29).

All is canonical there but for subnormals, which compilers and devices flush in one of two ways.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from lion_ref.arithmetic import Array, all_same_bits
from lion_ref.rational import FORMATS
from lion_ref.semantics import CANONICAL, Semantics
from lion_ref.update import step

_POSSIBLE: Final = (
    CANONICAL,
    Semantics(subnormals="flush"),
    Semantics(subnormals="flush-before-rounding"),
)


def telling(compute: str) -> tuple[tuple[Array, Array, Array], dict[str, float]]:
    """θ, m, g of a compute dtype, and scalars for `step`, whose results tell semantics apart.

    A subnormal operand; a subnormal product; a product so close below the smallest normal number
    that it rounds up to it; an exact cancellation of inexact products, which a fused multiply-add
    would not see.
    """
    smallest = 2.0 ** FORMATS[compute].min_exponent
    ulp = 2.0 ** (1 - FORMATS[compute].precision)
    cancelling = {"float32": (1.3, -11.7), "float64": (1 + 2 * ulp, -9.000000000000007)}[compute]
    momentum = np.array([smallest / 8, smallest, smallest * (1 + ulp), cancelling[0]], compute)
    grad = np.array([0, 0, 0, cancelling[1]], compute)
    scalars = {"lr": 1.0, "beta1": 0.9, "beta2": 1 - ulp, "weight_decay": 0.0}
    return (np.zeros_like(grad), momentum, grad), scalars


def told(compute: str, results: Iterable[Array]) -> Semantics | None:
    """The semantics that gave these θ' and m' of `telling`'s inputs; None if no possible one did.

    >>> inputs, scalars = telling("float32")
    >>> told("float32", step(*inputs, **scalars)).describe()
    'canonical'
    """
    inputs, scalars = telling(compute)
    found = tuple(results)
    for semantics in _POSSIBLE:
        expected = step(*inputs, **scalars, semantics=semantics)
        if all(all_same_bits(*pair) for pair in zip(found, expected, strict=True)):
            return semantics
    return None
