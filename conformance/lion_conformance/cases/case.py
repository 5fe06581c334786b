"""Cases: the inputs of one judged step, adversarial by construction.

Decisions (dtypes, scalars, shape, profile, a seed) are drawn by Hypothesis; the elements are then
expanded from the seed by NumPy, so that one example holds tens of thousands of them. Without
Hypothesis the same decisions are drawn by NumPy's generator.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from lion_conformance.ports.protocol import ScalarArguments, Triple
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array, name_of, round_to
from lion_ref.rational import FORMATS

T = TypeVar("T")
Shape = tuple[int, ...]

BULK = (32_771,)
"""The shape of most cases: one, so that compiled ports compile once; odd, so that it has a tail."""

SHAPES: tuple[tuple[int, ...], ...] = (BULK, BULK, BULK, BULK, (1_037, 3), (1,), (), (0,))
BETAS = (
    (0.9, 0.99),
    (0.9, 0.99),
    (0.9, 0.99),
    (0.95, 0.98),
    (0.0, 0.0),
    (0.5, 0.5),
    (1 - 2.0**-24, 1 - 2.0**-53),
)
LEARNING_RATES = (1e-4, 3e-4, 0.1, 1.0, 0.75, 0.0, 1e-30, 3e-39, 1e4, 1e30)
WEIGHT_DECAYS = (0.0, 0.1, 0.01, 1.0, 0.0, 1e-30, 1e10)
PROFILES = ("mixed", "mixed", "ordinary", "cancellation", "extreme")

ORDINARY = (0.1, 0.9, 0.99, 0.1)
"""η, β1, β2, λ where something else is looked at."""

NEARLY = (
    (0.1, 0.1),
    (0.1 * (1 + 1e-6), 0.1),
    (0.1 * (1 + 1e-6), 0.1 * (1 - 1e-6)),
    (0.0, 0.0),
    (1e-9, 1e-9),
    (0.1, 0.1),
    (0.1 * (1 + 5e-10), 0.1 * (1 + 5e-10)),
)
"""η and λ in turn, so near those before them that they may be taken for the same."""

_SPECIALS = (
    "0x0p0 -0x0p0 1 -1 0.5 -2 inf -inf nan 0x1p-149 -0x1p-149 0x1p-127 0x1.fffffep-127 0x1p-126 "
    "-0x1p-126 0x1.000002p-126 0x1p-24 -0x1p-24 0x1p-14 0x1.ff8p-15 65504 -65504 65519 65520 "
    "0x1.fffffep127 -0x1.fffffep127 0x1.fep127 0x1p-1074 0x1p-1022 0x1.fffffffffffffp-1023 "
    "0x1.fffffffffffffp1023 -0x1.fffffffffffffp1023 0x1p-133 0x1.8p-134 3 1e-20 -1e20"
)
SPECIALS = np.array([float.fromhex(x) if "0x" in x else float(x) for x in _SPECIALS.split()])

STARK = np.array([0.0, -0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan])
"""What some elements are made of altogether: a zero meets a zero, an infinity an infinity."""


class Draw(Protocol):
    """Whoever makes the decisions: Hypothesis, or a seeded generator."""

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""

    def integer(self, below: int) -> int:
        """An integer in [0, below)."""


class Seeded:
    """Decisions by NumPy's generator, for a run without Hypothesis."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, each as likely."""
        return options[int(self._rng.integers(len(options)))]

    def integer(self, below: int) -> int:
        """An integer in [0, below), each as likely."""
        return int(self._rng.integers(below))


@dataclass(frozen=True, slots=True)
class Case:
    """One step's inputs; arrays of one shape, scalars in binary64."""

    param: Array
    momentum: Array
    grad: Array
    lr: float
    beta1: float
    beta2: float
    weight_decay: float

    @property
    def arrays(self) -> tuple[Array, Array, Array]:
        """θ, m and g."""
        return self.param, self.momentum, self.grad

    @property
    def scalars(self) -> ScalarArguments:
        """The keyword arguments of the step."""
        return {
            "lr": self.lr,
            "beta1": self.beta1,
            "beta2": self.beta2,
            "weight_decay": self.weight_decay,
        }

    @property
    def triple(self) -> Triple:
        """The dtypes of θ, m and g."""
        param, momentum, grad = (name_of(x.dtype) for x in self.arrays)
        return param, momentum, grad

    def at(self, index: int) -> Case:
        """The case of one element alone, as arrays of shape (1,)."""
        return self.with_arrays(x.reshape(-1)[index : index + 1].copy() for x in self.arrays)

    def with_arrays(self, arrays: Iterable[Array]) -> Case:
        """The same scalars with other arrays θ, m and g."""
        param, momentum, grad = arrays
        return Case(param, momentum, grad, **self.scalars)


class Named(NamedTuple):
    """A case and the name that it has for every port, whatever its dtypes."""

    name: str
    case: Case


def ordinary(case: Case) -> bool:
    """Hyperparameters of the kind that runs have: a port may treat others as cases of their own."""
    return (
        min(case.beta1, case.beta2) > 0.5
        and case.lr * case.weight_decay < 1
        and all(x == 0 or 1e-6 <= x <= 1e4 for x in (case.lr, case.weight_decay))
    )


ORDINARY_IN_WORDS = "β1 and β2 above 1/2, ηλ below 1, and η and λ each 0 or from 10⁻⁶ to 10⁴"


def build(draw: Draw, triples: Sequence[Triple]) -> Case:
    """A case for one of the triples."""
    names = draw.pick(triples)
    theta, m, g = (STORAGE_DTYPES[name] for name in names)
    beta1, beta2 = draw.pick(BETAS)
    lr, weight_decay = draw.pick(LEARNING_RATES), draw.pick(WEIGHT_DECAYS)
    shape, profile = draw.pick(SHAPES), draw.pick(PROFILES)
    rng = np.random.default_rng(draw.integer(2**32))
    n = int(np.prod(shape))
    beta = beta1 if draw.pick((True, True, False)) else beta2
    dtypes = (theta, m, g)
    params, momenta, grads = adversarial(rng, n, dtypes, profile, beta)
    return Case(
        params.reshape(shape),
        momenta.reshape(shape),
        grads.reshape(shape),
        lr,
        beta1,
        beta2,
        weight_decay,
    )


def adversarial(
    rng: np.random.Generator,
    n: int,
    dtypes: Sequence[np.dtype[Any]],
    profile: str,
    beta: float,
) -> tuple[Array, Array, Array]:
    """n elements (θ, m, g) of a profile; where it cancels, m and g do so under beta."""
    with np.errstate(all="ignore"):
        params, momenta, grads = (_elements(rng, n, dtype, profile) for dtype in dtypes)
        if profile in ("mixed", "cancellation"):
            share = 0.3 if profile == "mixed" else 0.9
            grads = _cancelling(rng, momenta, grads, beta, share)
        if profile in ("mixed", "extreme"):
            together = rng.random(n) < 0.05
            params, momenta, grads = (
                np.where(together, round_to(rng.choice(STARK, n), x.dtype), x)
                for x in (params, momenta, grads)
            )
    return params, momenta, grads


def ordinary_elements(rng: np.random.Generator, n: int, dtype: np.dtype[Any]) -> Array:
    """n numbers of sizes that parameters have."""
    scale = np.exp2(rng.integers(-10, 3, n))
    return round_to(rng.standard_normal(n) * scale, dtype)


def _elements(rng: np.random.Generator, n: int, dtype: np.dtype[Any], profile: str) -> Array:
    values = ordinary_elements(rng, n, dtype)
    if profile == "ordinary":
        return values
    kinds = rng.random(n)
    edges = (0.15, 0.3, 0.4) if profile != "extreme" else (0.4, 0.7, 1.0)
    unsigned = np.dtype(f"u{dtype.itemsize}")
    any_bits, special, near = (
        np.flatnonzero((low <= kinds) & (kinds < high)) for low, high in pairwise((0.0, *edges))
    )
    drawn = rng.integers(0, 2 ** (8 * dtype.itemsize), any_bits.size, dtype=unsigned)
    values[any_bits] = drawn.view(dtype)
    values[special] = round_to(rng.choice(SPECIALS, special.size), dtype)
    values[near] = _near_boundaries(rng, near.size, dtype)
    return values


def _near_boundaries(rng: np.random.Generator, n: int, dtype: np.dtype[Any]) -> Array:
    """Neighbours of powers of two, of the smallest normal and of the largest number."""
    limits = FORMATS[dtype.name]
    bottom, top = limits.min_exponent, limits.max_exponent
    exponents = rng.choice([bottom - 2, bottom - 1, bottom, bottom + 1, -1, 0, 1, top], n)
    steps = rng.integers(-2, 3, n) * 2.0 ** (1 - limits.precision)
    signs = rng.choice([-1.0, 1.0], n)
    return round_to(signs * np.ldexp(1 + steps, exponents), dtype)


def _cancelling(
    rng: np.random.Generator, momenta: Array, grads: Array, beta: float, share: float
) -> Array:
    """Gradients with β·m + (1-β)·g at zero, a few units in the last place beside it, or farther.

    Farther by a power of two: a sign that is found in less precision is wrong up to its own.
    """
    balance = -beta * np.asarray(momenta, np.float64) / (1 - beta)
    precision = FORMATS[grads.dtype.name].precision
    units = rng.integers(-3, 4, momenta.size) * 2.0 ** (1 - precision)
    sizes = np.exp2(-rng.integers(1, precision, momenta.size))
    farther = sizes * rng.choice([-1.0, 1.0], momenta.size)
    nudge = 1 + np.where(rng.random(momenta.size) < 0.5, units, farther)
    chosen = rng.random(momenta.size) < share
    return np.where(chosen, round_to(balance * nudge, grads.dtype), grads)
