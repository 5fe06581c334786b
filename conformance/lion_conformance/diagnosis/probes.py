"""Probes: cases that tell the semantics of SPEC Part II apart, the same ones at every run.

They are cases like all others, with scalars chosen so that every choice shows: products that are
inexact, a λ of 0, scalars below the smallest normal number, coefficients at which a product rounds
up to it. A quarter of the elements is *steady*: m and g agree in sign and size, so that u is ±1
however c was rounded, and θ' speaks of the step and the decay alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from lion_conformance.cases.case import Case, adversarial
from lion_conformance.ports.protocol import ScalarArguments, Triple
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array, Mask, round_to
from lion_ref.rational import FORMATS

SIZE: Final = 2_053
"""Elements of a case: one shape, so that compiled ports compile once; odd, to have a tail."""

SCALARS: Final[tuple[tuple[float, float, float, float], ...]] = (
    (0.1, 0.9, 0.99, 0.1),
    (0.3, 0.95, 0.98, 0.7),
    (1.0, 0.45, 0.708, 0.708),
    (0.75, 0.9, 0.99, 0.0),
    (1e-3, 0.708, 0.9, 0.01),
    (3e-39, 0.95, 0.7, 0.3),
    (1e4, 0.3, 0.6, 1e-5),
    (0.0, 0.9, 0.95, 1e10),
    (1e4, 0.9, 0.99, 1024 / 3),
    (3e-4, 0.9, 0.99, 1e4 / 3),
)
"""η, β1, β2, λ of one case each.

In the last but one a step is large where u and λθ cancel, in the last ηλ is 1: what remains of a
product's rounding shows in 16 bits too.
"""


def steady(case: Case) -> Mask:
    """Elements whose u is ±1 under every Semantics, coupled decay included."""
    with np.errstate(all="ignore"):
        theta, m, g = (np.asarray(x, np.float64).reshape(-1) for x in case.arrays)
        sizes = [(np.abs(x) > 2.0**-8) & (np.abs(x) < 2.0**8) for x in (m, g)]
        sign = np.sign(m)
        agree = (np.sign(g) == sign) & ((theta == 0) | (np.sign(theta) == sign))
        agree &= np.abs(theta) < 2.0**12
    # A λ that overflows float16 would make a NaN of g + λ·θ, were it coupled and so rounded.
    ordinary = 0.05 < case.beta1 < 0.98 and case.weight_decay <= 1
    return np.asarray(sizes[0] & sizes[1] & agree & ordinary)


@lru_cache(maxsize=32)
def cases(triple: Triple) -> tuple[Case, ...]:
    """The probes for one triple of dtypes."""
    return tuple(_case(triple, index) for index in range(len(SCALARS)))


def in_order(triples: Sequence[Triple]) -> list[Triple]:
    """Triples of one dtype first: they tell most, and say it in the simplest words."""
    return sorted(triples, key=lambda triple: len(set(triple)))


def of(triples: Sequence[Triple]) -> Iterator[Case]:
    """The probes for several triples, those of one dtype first."""
    for triple in in_order(triples):
        yield from cases(triple)


def _case(triple: Triple, index: int) -> Case:
    lr, beta1, beta2, weight_decay = SCALARS[index]
    scalars: ScalarArguments = {
        "lr": lr,
        "beta1": beta1,
        "beta2": beta2,
        "weight_decay": weight_decay,
    }
    rng = np.random.default_rng([2023, index, *map(ord, "".join(triple))])
    dtypes = [STORAGE_DTYPES[name] for name in triple]
    with np.errstate(all="ignore"):
        arrays = list(adversarial(rng, SIZE, dtypes, "mixed", (beta1, beta2)[index % 2]))
        _cancel_in_the_other(rng, arrays, (beta2, beta1)[index % 2])
        _steady(rng, arrays)
        _tiny(rng, arrays, (beta1, beta2, weight_decay))
        _cancel_in_the_step(rng, arrays, weight_decay)
    theta, m, g = arrays
    return Case(theta, m, g, **scalars)


def _part(rng: np.random.Generator, share: float) -> Array:
    return np.flatnonzero(rng.random(SIZE) < share)


def _cancel_in_the_other(rng: np.random.Generator, arrays: list[Array], beta: float) -> None:
    """g against m in the interpolation that `adversarial` left alone, at ordinary sizes."""
    at = _part(rng, 0.2)
    _, m, g = arrays
    m[at] = round_to(rng.standard_normal(at.size), m.dtype)
    unit = 2.0 ** (1 - FORMATS[g.dtype.name].precision)
    nudge = 1 + rng.integers(-2, 3, at.size) * unit
    g[at] = round_to(-beta / (1 - beta) * np.asarray(m[at], np.float64) * nudge, g.dtype)


def _steady(rng: np.random.Generator, arrays: list[Array]) -> None:
    at = _part(rng, 0.3)
    theta, m, g = arrays
    sign = rng.choice([-1.0, 1.0], at.size)
    for array in (m, g):
        sizes = np.exp2(rng.uniform(-6, 6, at.size))
        array[at] = round_to(sign * sizes, array.dtype)
    wide = np.abs(np.asarray(theta[at], np.float64)) * sign
    ordinary = rng.random(at.size) < 0.7
    wide = np.where(ordinary, sign * np.exp2(rng.uniform(-8, 5, at.size)), wide)
    theta[at] = round_to(wide, theta.dtype)


def _cancel_in_the_step(rng: np.random.Generator, arrays: list[Array], decay: float) -> None:
    """θ about -u/λ, so that u + λθ is what rounding leaves."""
    if not decay:
        return
    at = _part(rng, 0.05)
    sign = rng.choice([-1.0, 1.0], at.size)
    for array in arrays[1:]:
        array[at] = round_to(sign, array.dtype)
    arrays[0][at] = round_to(-sign / decay, arrays[0].dtype)


def _tiny(rng: np.random.Generator, arrays: list[Array], factors: tuple[float, ...]) -> None:
    """Elements whose product with a coefficient lies within ulps of the smallest normal number."""
    for array, factor in zip(
        (arrays[1], arrays[1], arrays[0], arrays[2], arrays[2]),
        (*factors, 1 - factors[0], 1 - factors[1]),
        strict=True,
    ):
        at = _part(rng, 0.02)
        if factor == 0:
            continue
        form = FORMATS["float64" if arrays[0].dtype.itemsize == 8 else "float32"]
        unit = 2.0 ** (1 - FORMATS[array.dtype.name].precision)
        target = 2.0**form.min_exponent / factor * (1 + rng.integers(-3, 4, at.size) * unit)
        for other in arrays:
            other[at] = 0
        array[at] = round_to(rng.choice([-1.0, 1.0], at.size) * target, array.dtype)
