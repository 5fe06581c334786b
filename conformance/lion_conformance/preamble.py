"""Cases that every run begins with, whatever the seed: what random draws may miss.

Every triple of dtypes at sizes of every remainder and at a large one; every kind of size, odd and
even, below and beyond the widths of vectors, blocks and 16-bit counters; strided arrays, small and
large, Fortran's order, more axes than two; arrays that are all zeros; and scalars that lie between
the few that the random cases draw from.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from lion_conformance.cases import Case, adversarial
from lion_conformance.layouts import (
    channels_last,
    columns,
    every_second,
    read_only,
    repeated,
    shifted,
    transposed,
)
from lion_ref import STORAGE_DTYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from lion_conformance.port import Triple

    Array = NDArray[Any]

SIZES = (
    *range(2, 130),
    *(255, 256, 257, 1023, 1024, 1025, 4096),
    *(65_535, 65_536, 65_537, 262_145),
)
FEW_SIZES = (2, 31, 1024, 65_537)
"""For ports that compile anew for every shape."""

SHAPE = (2, 3, 4, 5)

LARGE = 65_541
"""Beyond a counter of 16 bits and many blocks, with a tail."""

REMAINDERS = range(8, 16)
"""Sizes of arrays in each triple of dtypes: every remainder of a vector's width."""

AXES = (2, 1, 3, 2, 1, 2, 1, 2)
"""More axes than the small cases of `sweep` have."""

TILES = (257, 259)
"""A matrix of more tiles than one, whatever their size, and none of them whole."""

SCALARS = (
    (0.003, 0.9, 0.999, 0.05),
    (0.02, 0.95, 0.98, 0.001),
    (3e-5, 0.9, 0.99, 0.5),
    (0.4, 0.0, 0.99, 2.5),
    (2.5, 0.9, 0.0, 0.03),
    (0.01, 0.99, 0.9, 7.0),
    (0.001, 0.8, 0.8, 0.01),
    (0.5, 0.9, 0.9999, 0.25),
)
"""(lr, beta1, beta2, weight_decay), each on elements of ordinary size."""


EDGES = (
    (0.1, 0.9, 0.99, 0.0),
    (0.0, 0.9, 0.99, 0.1),
    (0.1, 0.9, 0.99, -0.0),
    (-0.0, 0.9, 0.99, 0.1),
    (0.1, 0.0, 0.99, 0.1),
    (0.1, 0.9, 0.0, 0.1),
)
"""The same, with a zero among them, all on the same elements, which are of every kind.

A zero of either sign is legal for η and λ (SPEC C4). A port that compiles has the first two: a β
of 0 costs a compilation, and no row of SPEC C16 has what Keras makes of λ = -0.
"""


def preamble(triples: Sequence[Triple], *, compiles: bool) -> Iterator[Case]:
    """The fixed cases for ports that take these triples."""
    rng = np.random.default_rng(0)
    for triple in triples:
        case = _case(rng, triple, (4099,), (0.1, 0.9, 0.99, 0.1), "mixed")
        yield case.with_arrays(_with_nans(x, i) for i, x in enumerate(case.arrays))
    if not triples:
        return
    alike = next((x for x in triples if len(set(x)) == 1), triples[0])
    for size in FEW_SIZES if compiles else SIZES:
        yield _case(rng, alike, (size,), (0.1, 0.9, 0.99, 0.1), "ordinary")
    yield _relaid(_case(rng, alike, (2050,), (0.1, 0.9, 0.99, 0.1), "ordinary"), every_second)
    yield _relaid(_case(rng, alike, (33, 31), (0.1, 0.9, 0.99, 0.1), "ordinary"), transposed)
    apart = _case(rng, alike, (33, 31), (0.1, 0.9, 0.99, 0.1), "ordinary")
    yield apart.with_arrays([apart.param, every_second(apart.momentum), transposed(apart.grad)])
    yield _case(rng, alike, SHAPE, (0.1, 0.9, 0.99, 0.1), "ordinary")
    for scalars in SCALARS[:3] if compiles else SCALARS:
        yield _case(rng, alike, (257,), scalars, "ordinary")
    same = _case(rng, alike, (4099,), EDGES[0], "mixed")
    for lr, beta1, beta2, weight_decay in EDGES[:2] if compiles else EDGES:
        yield Case(*same.arrays, lr, beta1, beta2, weight_decay)
    yield replace(same, momentum=same.momentum[::-1].copy())
    whole = _case(rng, alike, (257,), (0.1, 0.9, 0.99, 0.1), "ordinary")
    for nothing in product((False, True), repeat=3):
        arrays = zip(whole.arrays, nothing, strict=True)
        yield whole.with_arrays(np.zeros_like(x) if zero else x for x, zero in arrays)
    if not compiles:
        yield from _laid_out_otherwise(rng, alike)
        yield from _large(rng, alike)
        for triple in triples:
            for size in (*REMAINDERS, LARGE):
                yield _case(rng, triple, (size,), (0.1, 0.9, 0.99, 0.1), "ordinary")


def _laid_out_otherwise(rng: np.random.Generator, triple: Triple) -> Iterator[Case]:
    """Matrices of many tiles, rows that lie apart, axes permuted and many, gradients only read."""

    def ordinary(shape: tuple[int, ...]) -> Case:
        return _case(rng, triple, shape, (0.1, 0.9, 0.99, 0.1), "ordinary")

    tiles = ordinary(TILES)
    yield tiles
    yield _relaid(tiles, columns)
    yield _relaid(ordinary((33, 31)), columns)
    yield _relaid(ordinary(SHAPE), channels_last)
    read = ordinary((33, 31))
    yield replace(read, grad=read_only(read.grad))
    yield replace(read, grad=repeated(read.grad))
    yield ordinary(AXES)


def _large(rng: np.random.Generator, triple: Triple) -> Iterator[Case]:
    """Large arrays that lie otherwise, all of them or, where λ is 0, the gradient alone."""
    case = _case(rng, triple, (LARGE,), (0.1, 0.9, 0.99, 0.1), "ordinary")
    matrix = _case(rng, triple, TILES, (0.1, 0.9, 0.99, 0.1), "ordinary")
    for lr, beta1, beta2, weight_decay in (EDGES[0], EDGES[1], EDGES[4]):
        yield Case(*case.arrays, lr, beta1, beta2, weight_decay)
    for large, lay in ((case, every_second), (case, shifted), (matrix, transposed)):
        yield _relaid(large, lay)
        yield replace(large, grad=lay(large.grad), weight_decay=0.0)


def _with_nans(x: Array, place: int) -> Array:
    """x with NaNs of all kinds in six of its places: quiet, signalling and all ones, either sign.

    A port that rounds to bfloat16 by adding to the bits turns one of all ones into -0.
    """
    infinity = np.array(np.inf, x.dtype).view(f"u{x.itemsize}")
    sign = infinity.dtype.type(1) << infinity.dtype.type(8 * x.itemsize - 1)
    quiet = np.array(np.nan, x.dtype).view(infinity.dtype) & ~sign
    nans = np.array([quiet, infinity + infinity.dtype.type(1), sign - infinity.dtype.type(1)])
    x = x.copy()
    bits = x.view(infinity.dtype)
    bits[6 * place : 6 * place + 6] = [*nans, *(nans | sign)]
    return x


def _relaid(case: Case, lay: Callable[[Array], Array]) -> Case:
    return case.with_arrays(lay(x) for x in case.arrays)


def _case(
    rng: np.random.Generator,
    triple: Triple,
    shape: tuple[int, ...],
    scalars: tuple[float, float, float, float],
    profile: str,
) -> Case:
    dtypes: list[np.dtype[Any]] = [STORAGE_DTYPES[name] for name in triple]
    lr, beta1, beta2, weight_decay = scalars
    size = int(np.prod(shape))
    param, momentum, grad = (
        x.reshape(shape) for x in adversarial(rng, size, dtypes, profile, beta1)
    )
    return Case(param, momentum, grad, lr, beta1, beta2, weight_decay)
