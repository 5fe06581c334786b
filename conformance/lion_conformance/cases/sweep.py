"""Many small cases, each with scalars, shapes, layouts and arrays of its own.

The random cases of `case` are few and large: they look for rare elements. These are many and small
and look for what depends on a scalar, a size, a layout, or on an array as a whole; none of their
numbers is one that somebody would write down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lion_conformance.cases.case import BETAS, ORDINARY, PROFILES, Case, Named, adversarial
from lion_conformance.ports import layouts
from lion_conformance.ports.protocol import Triple
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array, round_to
from lion_ref.rational import FORMATS

SWEEP: Final = 160
FEW: Final = 24
"""For ports that compile: all of one shape, one triple and one pair of betas."""

FAR: Final = 40
"""Cases beside them with a scalar that is far out; of a port that compiles, half as many."""

FIXED: Final[tuple[int, ...]] = (257,)
UNIFORM: Final = 0.4
"""The share of cases whose arrays are of one kind as a whole."""


ZEROS: Final = 0.1
"""The share of each scalar that is 0."""


def sweep(triples: Sequence[Triple], *, seed: int, compiles: bool) -> Iterator[Case]:
    """The small cases for ports that take these triples; others for every seed."""
    return (case for _, case in named_sweep(triples, seed=seed, compiles=compiles))


def named_sweep(triples: Sequence[Triple], *, seed: int, compiles: bool) -> Iterator[Named]:
    """The same, each with a name that it has for all ports and seeds."""
    rng = np.random.default_rng([seed, 1])
    alike = [triple for triple in triples if len(set(triple)) == 1] or list(triples[:1])
    for index in range(FEW if compiles else SWEEP) if triples else ():
        lr, beta1, beta2, weight_decay = scalars(rng)
        if compiles:
            beta1, beta2 = BETAS[0]
            names, shape = alike[0], FIXED
        else:
            # In turn the triple of one dtype and any other, so that each comes several times.
            names = (alike[0], triples[index // 2 % len(triples)])[index % 2]
            shape = any_shape(rng)
        flat = _arrays(rng, int(np.prod(shape)), names, (beta1, beta2))
        arrays = [x.reshape(shape) for x in flat]
        if not compiles and rng.random() < 0.7:
            arrays = layouts.mixed(rng, arrays)
        theta, m, g = arrays
        yield Named(f"swept {index}", Case(theta, m, g, lr, beta1, beta2, weight_decay))
    if triples:
        yield from far_out(alike[0], seed=seed, compiles=compiles)


def far_out(triple: Triple, *, seed: int, compiles: bool) -> Iterator[Named]:
    """Cases with one scalar of any magnitude that is legal in float32; of betas, near 0 or 1.

    What it does shows where other numbers are 0 or of its size, so the elements are of every kind.
    """
    rng = np.random.default_rng([seed, 2])
    dtypes = [STORAGE_DTYPES[name] for name in triple]
    for index in range(FAR):
        lr, beta1, beta2, weight_decay = ORDINARY
        share = (index // 4 + rng.random()) / (FAR // 4)  # one in each stretch of magnitudes
        any_size = 10.0 ** (-44 + 82 * share)
        edge = 10.0 ** -rng.uniform(2, 9) if rng.random() < 0.5 else 1 - 10 ** -rng.uniform(5, 15.9)
        match index % 4:
            case 0:
                lr = any_size
            case 1:  # η·λ stays ordinary, else no θ shows λ
                lr, weight_decay = min(10.0 ** rng.uniform(-3, -1) / any_size, 1e38), any_size
            case 2:
                beta1 = edge
            case 3:
                beta2 = edge
        if not (compiles and index % 4 >= 2):
            theta, m, g = adversarial(rng, FIXED[0], dtypes, "mixed", beta1)
            g[::4] = 0  # beside which a small β shows
            yield Named(f"far {index}", Case(theta, m, g, lr, beta1, beta2, weight_decay))


def scalars(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """(lr, beta1, beta2, weight_decay), any of them now and then 0."""
    lr, weight_decay = 10.0 ** rng.uniform(-8, 3), 10.0 ** rng.uniform(-6, 2)
    beta1, beta2 = (
        spread if evenly else 1 - 10.0**-exponent
        for spread, evenly, exponent in zip(
            rng.random(2), rng.random(2) < 0.5, rng.uniform(0, 6, 2), strict=True
        )
    )
    lr, beta1, beta2, weight_decay = np.where(
        rng.random(4) < ZEROS, 0.0, (lr, beta1, beta2, weight_decay)
    ).tolist()
    return lr, beta1, beta2, weight_decay


def any_shape(rng: np.random.Generator) -> tuple[int, ...]:
    """Up to six axes, some of length 1, now and then one of length 0; up to some thousand elements.

    >>> any_shape(np.random.default_rng(4))
    (1, 14, 2, 3, 1)
    """
    axes = int(rng.integers(0, 7))
    left = 2.0 ** rng.uniform(0, 13)
    shape: list[int] = []
    for axis in range(axes):
        length = int(left if axis == axes - 1 else left ** rng.uniform(0, 0.6))
        left /= length
        shape.append(length)
    rng.shuffle(shape)
    if shape and rng.random() < 0.05:
        shape[-1] = 0
    return tuple(shape)


def _arrays(
    rng: np.random.Generator, n: int, names: Triple, betas: tuple[float, float]
) -> Sequence[Array]:
    dtypes = [STORAGE_DTYPES[name] for name in names]
    narrow = names[0] == "float64" != names[1]
    if narrow and rng.random() < UNIFORM:
        return near_ties(rng, n, dtypes, betas[1])
    if rng.random() < UNIFORM:
        return [of_one_kind(rng, n, dtype) for dtype in dtypes]
    return adversarial(rng, n, dtypes, PROFILES[rng.integers(len(PROFILES))], betas[0])


def near_ties(
    rng: np.random.Generator, n: int, dtypes: Sequence[np.dtype[Any]], beta2: float
) -> Sequence[Array]:
    """m is 0, and (1-β2)·g lies so near the middle of two numbers of m's dtype that it matters
    whether it is rounded once (SPEC C9).
    """
    theta, m, g = dtypes
    targets = 8 * beside_middles(rng, n, FORMATS[m.name].precision, (26, 46))
    grads = round_to(targets / (1 - beta2), g)
    return [round_to(rng.standard_normal(n), theta), np.zeros(n, m), grads]


def beside_middles(
    rng: np.random.Generator, n: int, digits: int, aside: tuple[int, int]
) -> NDArray[np.float64]:
    """Middles of two numbers of so many digits, near 1, and numbers 2⁻ᵏ of them aside.

    aside: the range of k, without its end.
    """
    middles = 2 * rng.integers(2 ** (digits - 1), 2**digits, n) + 1.0
    beside = 1 + rng.choice([-1.0, 0.0, 1.0], n) * 2.0 ** -rng.integers(*aside, n)
    values = np.ldexp(middles * beside, -digits) * rng.choice([-1.0, 1.0], n)
    return np.asarray(values, np.float64)


def of_one_kind(rng: np.random.Generator, n: int, dtype: np.dtype[Any]) -> Array:
    """An array of one size as a whole, or also of one sign, all zeros, all one number, all whole.

    It is finite: whoever looks at an array as a whole finds no infinity that would excuse it.
    """
    span = min(FORMATS[dtype.name].max_exponent - 3, 60)
    values = rng.standard_normal(n) * 2.0 ** rng.integers(-span, span)
    match rng.integers(8):
        case 0:
            values = np.zeros(n) * rng.choice([-1.0, 1.0])
        case 1:
            values = np.full(n, values[0] if n else 0.0)
        case 2:
            values = np.abs(values) * rng.choice([-1.0, 1.0])
        case 3:
            values = np.rint(rng.standard_normal(n) * 4)
        case 4 | 5:
            values = rng.standard_normal(n)
    return round_to(values, dtype)
