"""The pool that cases are chosen from: ordinary numbers, cancellations, and every kind of edge."""

from __future__ import annotations

from typing import Final

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.ports.protocol import Triple
from lion_conformance.vectors.splitmix import SplitMix
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array, round_to
from lion_ref.dtypes import compute_dtype
from lion_ref.rational import FORMATS

SCALARS: Final[tuple[tuple[float, float, float, float], ...]] = (
    (1e-4, 0.9, 0.99, 0.1),
    (0.1, 0.95, 0.98, 0.0),
    (0.75, 0.5, 0.5, 1.0),
    (1e-40, 0.25, 0.708, 0.3),
    (1e30, 0.9, 0.99, 1e10),
    (0.3, 0.9, 0.99, 0.7),
)
"""η, β1, β2, λ: usual ones, no decay, exact ones, a subnormal η, ones that overflow, and a product
ηλ that float32 rounds."""


def pool(
    triple: Triple, scalars: tuple[float, float, float, float], seed: int, *, each: int
) -> Case:
    """`each` cases of every kind, ordinary ones first, as one flat case."""
    draw = SplitMix(seed)
    lr, beta1, beta2, weight_decay = scalars
    ordinary = [draw.numbers(dtype, each) for dtype in triple]
    kinds = [ordinary]
    for beta in (beta1, beta2):
        params, momenta = (draw.numbers(dtype, each) for dtype in triple[:2])
        kinds.append([params, momenta, _cancelling(draw, momenta, beta, triple[2])])
    kinds.append([_special(draw, dtype, each) for dtype in triple])
    kinds.append([_at_the_bottom(draw, triple[0], dtype, scalars, each) for dtype in triple])
    mixed = [_special(draw, dtype, each) for dtype in triple]
    kept = draw.indices(3, each)
    kinds.append(
        [np.where(kept == i, x, draw.numbers(triple[i], each)) for i, x in enumerate(mixed)]
    )
    kinds.append([_stark(draw, dtype, each) for dtype in triple])
    param, momentum, grad = (np.concatenate(columns) for columns in zip(*kinds, strict=True))
    return Case(param, momentum, grad, lr, beta1, beta2, weight_decay)


def _cancelling(draw: SplitMix, momenta: Array, beta: float, dtype: str) -> Array:
    """Gradients that bring β·m + (1-β)·g to 0, a few units in the last place beside it, or farther.

    Farther by a power of two, every second time.
    """
    precision = FORMATS[dtype].precision
    units = (draw.indices(7, momenta.size) - 3) * 2.0 ** (1 - precision)
    farther = np.exp2(-1.0 - draw.indices(precision - 1, momenta.size))
    steps = np.where(np.arange(momenta.size) % 2, np.copysign(farther, units), units)
    balance = -beta * momenta.astype(np.float64) / (1 - beta)
    return round_to(balance * (1 + steps), STORAGE_DTYPES[dtype])


def _special(draw: SplitMix, dtype: str, count: int) -> Array:
    """Zeros, ones, infinities, NaN, and the ends of the subnormal and of the normal range."""
    limits = FORMATS[dtype]
    unit = 2.0 ** (1 - limits.precision)
    normal, top = 2.0**limits.min_exponent, 2.0**limits.max_exponent
    smallest = float(limits.smallest_subnormal)
    magnitudes = (
        0.0, 1.0, 1 + unit, 3.0, smallest, 2 * smallest, normal - smallest, normal,
        normal * (1 + unit), normal / unit, top, top * (2 - unit), np.inf, np.nan,
    )  # fmt: skip
    chosen = np.array(draw.choices(magnitudes, count))
    signs = np.where(draw.indices(2, count) == 1, -1.0, 1.0)
    return round_to(np.copysign(chosen, signs), STORAGE_DTYPES[dtype])


def _stark(draw: SplitMix, dtype: str, count: int) -> Array:
    """Zeros, ones and infinities alone, so that they meet one another."""
    chosen = draw.choices((0.0, -0.0, -0.0, 1.0, -1.0, np.inf, -np.inf), count)
    return round_to(np.array(chosen), STORAGE_DTYPES[dtype])


def _at_the_bottom(
    draw: SplitMix,
    param: str,
    dtype: str,
    scalars: tuple[float, float, float, float],
    count: int,
) -> Array:
    """Numbers whose product with some scalar is about the smallest normal number, or a zero."""
    lr, beta1, beta2, weight_decay = scalars
    factors = [x for x in (lr, beta1, 1 - beta1, beta2, 1 - beta2, weight_decay) if x]
    bottom = 2.0 ** FORMATS[compute_dtype(param).name].min_exponent
    chosen = np.array(draw.choices(factors, count))
    steps = (draw.indices(5, count) - 2) * 2.0 ** (1 - FORMATS[dtype].precision)
    signs = draw.indices(3, count) - 1.0
    with np.errstate(over="ignore"):
        return round_to(signs * bottom / chosen * (1 + steps), STORAGE_DTYPES[dtype])
