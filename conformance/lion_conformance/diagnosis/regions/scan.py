"""Cases that differ from a setup in one thing: what it is that turns right into wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Final

import numpy as np

from lion_conformance.cases.case import Case, Shape
from lion_conformance.diagnosis.regions.setup import PLAIN, SCALARS, SHORT, UNIT, Setup
from lion_conformance.ports.protocol import Triple
from lion_ref.arithmetic import Array
from lion_ref.rational import FORMATS

SIZES: Final[dict[float, tuple[float, ...]]] = {
    0: (
        0.0,
        -0.0,
        1e-40,
        1e-30,
        1e-15,
        1e-9,
        1e-7,
        3e-6,
        3e-5,
        3e-4,
        0.00212345678,
        0.02,
        0.0712345678,
    ),
    1: (
        0.15,
        0.212345678,
        0.25,
        0.5,
        0.712345678,
        1.0,
        1.5,
        3.0,
        30.0,
        500.0,
        2e4,
        1e6,
        1e9,
        1e11,
        1e20,
        1e30,
    ),
}
BETAS: Final = (
    0.0,
    1e-6,
    1e-2,
    0.1,
    0.25,
    0.4,
    0.5,
    0.55,
    0.65,
    0.7512345678,
    0.8,
    0.9,
    0.95,
    0.98,
    0.99,
)
NEAR_ONE: Final = (0.999, 0.9995, 0.99995, 1 - 1e-7, 1 - 1e-10, 1 - 2.0**-50)
TOGETHER: Final = (
    (1e-3, 0.9, 0.99, 1e-3),
    (1e-5, 0.9, 0.99, 1e-2),
    (30.0, 0.9, 0.99, 30.0),
    (1e3, 0.9, 0.99, 1e-3),
    (0.1, 0.99, 0.9, 0.1),
    (0.1, 0.5, 0.4, 0.1),
    (0.1, 0.95, 0.95, 0.1),
    (0.1, 0.3, 0.3, 0.1),
    (0.1, 0.0, 0.0, 0.1),
    (0.03, 0.95, 0.98, 0.02),
)
FEW_SIZES: Final = (
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    16,
    33,
    50,
    64,
    178,
    256,
    257,
    600,
    1024,
    1500,
    4099,
    70_001,
)
MANY_SIZES: Final = (
    *(6, *range(9, 16), *range(17, 24), 31, 32, 41, 59, 63, 65, 100, 127, 128, 129, 255, 306),
    *(320, 434, 511, 512, 513, 899, 1000, 2048, 2049, 3000, 4096, 8192, 10_001, 20_000, 40_000),
    *(140_003, 270_001),
)
SHAPES: Final[tuple[Shape, ...]] = (
    *((), (1, 1), (5, 1), (1, 5), (33, 31), (31, 33), (32, 32), (6, 7), (2, 3, 4), (5, 6, 7)),
    *((2, 3, 4, 5), (2, 1, 3, 2, 1), (2, 1, 2, 1, 2, 2), (1, 2, 1, 2, 1, 2, 2)),
    *((2, 1, 3, 2, 1, 2, 1, 2), (2, 1500), (1500, 2), (257, 259)),
)
MANY_SHAPES: Final[tuple[Shape, ...]] = ((70_001, 1), (2, 70_001), (41, 40, 41), (300, 300))
LAID: Final = ("every_second", "shifted", "transposed", "columns")
READ: Final = ("read_only", "repeated", "rows_repeated", "one_repeated")


def scalars(setup: Setup, *, many: bool) -> Iterator[Case]:
    """One scalar after the other over all that it may be, then several at once."""
    setup = setup.fine()
    for seed, (name, values) in enumerate(_values_of_scalars()):
        for value in values if many else values[::4]:
            yield setup.with_scalar(name, value).case(seed)
    for seed, together in enumerate(TOGETHER):
        yield replace(setup, scalars=together).case(seed)


def _values_of_scalars() -> Iterator[tuple[str, tuple[float, ...]]]:
    sizes = (*SIZES[0], *SIZES[1])
    yield from zip(SCALARS, (sizes, (*BETAS, *NEAR_ONE), (*BETAS, *NEAR_ONE), sizes), strict=True)


def sizes(setup: Setup, *, many: bool) -> Iterator[Case]:
    """Arrays of one axis."""
    for size in (*FEW_SIZES, *(MANY_SIZES if many else ())):
        yield replace(setup, shape=(size,)).case(size)


def shapes(setup: Setup, *, many: bool) -> Iterator[Case]:
    """Arrays of no axis and of several."""
    for shape in (*SHAPES, *(MANY_SHAPES if many else ())):
        yield replace(setup, shape=shape).case(len(shape))


def layouts(setup: Setup, *, many: bool) -> Iterator[Case]:
    """All three arrays in a layout, and each alone."""
    axes = len(setup.shape)
    if not many:
        for lay in LAID:
            yield replace(setup, shape=(33, 31), layouts=(lay,) * 3).case(0)
        return
    for lay in (*LAID, "channels_last"):
        yield replace(setup, shape=(1, 6, 5), layouts=("plain", "plain", lay)).case(4)
    for shape in (setup.shape,) if setup.shape != SHORT else (SHORT, (33, 31), (3, 4, 5)):
        for lay in (*LAID, *(("channels_last",) if axes > 2 or len(shape) > 2 else ())):
            yield replace(setup, shape=shape, layouts=(lay,) * 3).case(1)
            for place in range(3):
                alone = (*PLAIN[:place], lay, *PLAIN[place + 1 :])
                yield replace(setup, shape=shape, layouts=alone).case(2)
        for lay in READ:
            yield replace(setup, shape=shape, layouts=("plain", "plain", lay)).case(3)


def dtypes(setup: Setup, triples: tuple[Triple, ...]) -> Iterator[Case]:
    """Each triple of dtypes."""
    for triple in triples:
        yield replace(setup, triple=triple).case(4)


def whole_arrays(setup: Setup) -> Iterator[Case]:
    """Arrays of zeros, of one sign, of one number, small throughout; with one NaN or infinity."""
    rng = np.random.default_rng(5)
    of_any_size = ("zeros", "NaN", "inf")
    of_several = (*of_any_size, "positive", "negative", "alike", "small", "large")
    for size, changes in ((1, of_any_size), (33, of_several)):
        short = replace(setup, shape=(size,), values=UNIT)
        arrays = short.numbers(rng)
        for place, change in product(range(3), changes):
            yield short.filled(_changed(arrays, place, change))


def _changed(arrays: tuple[Array, ...], place: int, change: str) -> tuple[Array, ...]:
    x = np.asarray(arrays[place], np.float64)
    if change == "positive":
        x = np.abs(x)
    elif change == "negative":
        x = -np.abs(x)
    elif change == "alike":
        x = np.full_like(x, x[0])
    elif change in ("NaN", "inf"):
        x = x.copy()
        x[x.size // 2] = float(change)
    else:
        x = x * {"zeros": 0.0, "small": 1e-7, "large": 1e3}[change]
    return (*arrays[:place], x, *arrays[place + 1 :])


def values(setup: Setup) -> Iterator[Case]:
    """Numbers of all sizes and kinds, and in all relations, in one array after the other."""
    rng = np.random.default_rng(6)
    size = int(np.prod(setup.shape))
    for place in range(3):
        arrays = setup.numbers(rng)
        wide = _wide(rng, size, setup.triple[place])
        yield setup.filled((*arrays[:place], wide, *arrays[place + 1 :]))
    theta, m, g = setup.numbers(rng)
    both = _wide(rng, size, setup.triple[1])
    yield setup.filled((theta, both, both * (1 + rng.random(size))))
    yield setup.filled(tuple(_wide(rng, size, name) for name in setup.triple))
    yield setup.filled(_related(rng, theta, m, g, setup.scalars[1]))
    with np.errstate(over="ignore"):
        whole = [np.rint(x * rng.choice([0.3, 1, 3, 30], size)) for x in (theta, m)]
    yield setup.filled((*whole, np.asarray(g, np.float64)))
    for kinds in ((0.0, -0.0), (0.0, -0.0, np.nan), (np.inf, -np.inf), (np.nan,), (0.0, np.inf)):
        chosen = [rng.random(size) < share for share in (0.3, 0.3, 0.3)]
        yield setup.filled(
            tuple(
                np.where(at, rng.choice(kinds, size), np.asarray(x, np.float64))
                for at, x in zip(chosen, setup.numbers(rng), strict=True)
            )
        )


def _wide(rng: np.random.Generator, size: int, dtype: str) -> Array:
    form = FORMATS[dtype]
    bottom = form.min_exponent - form.precision + 1
    exponents = np.where(
        rng.random(size) < 0.5,
        rng.uniform(bottom, form.max_exponent, size),
        rng.uniform(-24, 15, size),
    )
    return rng.choice([-1.0, 1.0], size) * np.exp2(exponents)


def _related(
    rng: np.random.Generator, theta: Array, m: Array, g: Array, beta: float
) -> tuple[Array, ...]:
    """m = ±g, θ = ±m, θ = ±g, and c about 0, a share of the elements each."""
    theta, m, g = (np.asarray(x, np.float64) for x in (theta, m, g))
    kind, sign = rng.integers(0, 5, m.size), rng.choice([-1.0, 1.0], m.size)
    with np.errstate(over="ignore"):  # the largest m has no g that cancels it
        cancelling = -beta / (1 - beta) * m
    g = np.select([kind == 0, kind == 1], [sign * m, cancelling], g)
    theta = np.select([kind == 2, kind == 3], [sign * m, sign * g], theta)
    return theta, m, g
