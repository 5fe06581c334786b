"""Cases that every run begins with, whatever the seed: what random draws may miss.

Every triple of dtypes at sizes of every remainder and at a large one; every kind of size, odd and
even, below and beyond the widths of vectors, blocks and 16-bit counters; strided arrays, small and
large, Fortran's order, more axes than two; arrays that are all zeros; and scalars that lie between
the few that the random cases draw from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from lion_conformance.cases.case import NEARLY, ORDINARY, Case, Named, Shape, adversarial
from lion_conformance.cases.overflow import momentum_overflows, param_overflows
from lion_conformance.ports.layouts import (
    channels_last,
    columns,
    every_second,
    one_repeated,
    read_only,
    repeated,
    rows_repeated,
    shifted,
    transposed,
)
from lion_conformance.ports.protocol import Triple
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array

SIZES = (
    *range(2, 130),
    *(255, 256, 257, 512, 1023, 1024, 1025, 2048, 4096, 8192, 16_384, 32_768),
    *(65_535, 65_536, 65_537, 262_145),
)
FEW_SIZES = (2, 31, 1024, 65_537)
"""For ports that compile anew for every shape."""

SHAPE = (2, 3, 4, 5)

LARGE = 65_541
"""Beyond a counter of 16 bits and many blocks, with a tail."""

HALF = 32_801
"""The same for a signed counter."""

REMAINDERS = range(8, 16)
"""Sizes of arrays in each triple of dtypes: every remainder of a vector's width."""

AXES = (2, 1, 3, 2, 1, 2, 1, 2)
"""More axes than the small cases of `sweep` have."""

THIN: tuple[Shape, ...] = ((1, 1500), (1500, 1), (3, 5001), (2, 5001), (70_001, 1), (41, 40, 41))
"""Rows and columns beyond the threads of a block, and beyond a grid's second axis."""

IMAGES = (9, 41, 14, 14)

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

NEAR = (
    *((lr, 0.9, 0.99, weight_decay) for lr, weight_decay in NEARLY),
    (1, 0.9, 0.99, 0),
    (1e30, 0.9, 0.99, 1e30),
    (1e-46, 0.9, 0.99, 0.1),
)
"""The same: nearly those of the call before, whole numbers, a product and an η not in float32."""


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


def ordinary_case(triple: Triple, size: int = 257) -> Case:
    """The case by which a port may say that it does not take a triple of dtypes."""
    return _case(np.random.default_rng(0), triple, (size,))


def fixed_cases(triples: Sequence[Triple], *, compiles: bool) -> Iterator[Case]:
    """The fixed cases for ports that take these triples."""
    return (case for _, case in named_cases(triples, compiles=compiles))


def named_cases(triples: Sequence[Triple], *, compiles: bool) -> Iterator[Named]:
    """The same, each with a name that it has for all ports: `order` goes by names."""
    for part, cases in _parts(triples, compiles):
        for i, case in enumerate(cases):
            yield Named(f"{part} {i}", case)


def _parts(triples: Sequence[Triple], compiles: bool) -> Iterator[tuple[str, Iterable[Case]]]:
    """The cases part by part; the next is drawn once that before it has been gone through."""
    rng = np.random.default_rng(0)
    for triple in triples:
        yield f"{relation(triple)}, NaNs", _nans(rng, triple)
    if not triples:
        return
    alike = next((x for x in triples if len(set(x)) == 1), triples[0])
    ordinary = partial(_case, rng, alike)
    for size in FEW_SIZES if compiles else SIZES:
        yield f"size {size}", [ordinary((size,))]
    yield "strides", _strides(rng, alike)
    yield "axes", [ordinary(SHAPE)]
    yield "scalars", (ordinary((257,), x) for x in (SCALARS[:3] if compiles else SCALARS))
    same = ordinary((4099,), EDGES[0], profile="mixed")
    yield "near", (Case(*same.arrays, *scalars) for scalars in NEAR)
    edges = EDGES[:2] if compiles else EDGES
    yield "edges", (Case(*same.arrays, *scalars) for scalars in edges)
    yield "reversed", [replace(same, momentum=same.momentum[::-1].copy())]
    whole = ordinary((257,))
    yield "zeros", _zeros(whole)
    for triple in [alike] if compiles else triples:
        yield f"{relation(triple)}, θ' overflows", param_overflows(triple)
    yield "nothing finite", _nothing_finite(whole)
    if not compiles:
        mixed = [triple for triple in triples if triple != alike and triple[0] != triple[1]]
        for triple in (alike, *mixed[:1]):
            yield f"{relation(triple)}, layouts", _laid_out_otherwise(rng, triple)
        yield "large", _large(rng, alike)
        for triple in triples:
            yield relation(triple), _of_each_triple(rng, triple)


def relation(triple: Triple) -> str:
    """Which dtypes of a triple are one.

    >>> relation(("float32", "bfloat16", "float32"))
    'θ=g≠m'
    """
    param, momentum, grad = triple
    match param == momentum, param == grad, momentum == grad:
        case True, True, True:
            return "θ=m=g"
        case True, _, _:
            return "θ=m≠g"
        case _, True, _:
            return "θ=g≠m"
        case _, _, True:
            return "m=g≠θ"
    return "θ≠m≠g"


def _nans(rng: np.random.Generator, triple: Triple) -> Iterator[Case]:
    case = _case(rng, triple, (4099,), profile="mixed")
    yield case.with_arrays(_with_nans(x, i) for i, x in enumerate(case.arrays))


def _strides(rng: np.random.Generator, triple: Triple) -> Iterator[Case]:
    yield _relaid(_case(rng, triple, (2050,)), every_second)
    yield _relaid(_case(rng, triple, (33, 31)), transposed)
    apart = _case(rng, triple, (33, 31))
    yield apart.with_arrays([apart.param, every_second(apart.momentum), transposed(apart.grad)])


def _zeros(whole: Case) -> Iterator[Case]:
    """Every set of the three arrays all zeros."""
    for nothing in product((False, True), repeat=3):
        arrays = zip(whole.arrays, nothing, strict=True)
        yield whole.with_arrays(np.zeros_like(x) if zero else x for x, zero in arrays)


def _nothing_finite(whole: Case) -> Iterator[Case]:
    for number, weight_decay in product((np.nan, np.inf), (0.1, 0.0)):
        nothing_finite = np.full_like(whole.grad, number)
        yield replace(whole, grad=nothing_finite, weight_decay=weight_decay)


def _laid_out_otherwise(rng: np.random.Generator, triple: Triple) -> Iterator[Case]:
    """Rows that lie apart, axes permuted and many, gradients only read, gaps where λ is 0."""
    ordinary = partial(_case, rng, triple)

    yield _relaid(ordinary((33, 31)), columns)
    for shape in (SHAPE, SHAPE[1:]):
        images = ordinary(shape)
        yield _relaid(images, channels_last)
        yield replace(images, grad=channels_last(images.grad))
    read = ordinary((33, 31))
    for lay in (read_only, repeated, rows_repeated, one_repeated):
        yield replace(read, grad=lay(read.grad))
    few = ordinary((257,))
    for lay in (read_only, repeated):
        yield replace(few, grad=lay(few.grad))
    yield ordinary(AXES)
    line = ordinary((LARGE,))
    yield _relaid(replace(line, weight_decay=0.0), every_second)


def _large(rng: np.random.Generator, triple: Triple) -> Iterator[Case]:
    """Large arrays: under scalars that are zero, laid otherwise (all or one), long and thin."""
    case = _case(rng, triple, (LARGE,))
    matrix = _case(rng, triple, TILES)
    yield matrix
    yield _relaid(matrix, columns)
    images = _case(rng, triple, IMAGES)
    yield replace(images, grad=channels_last(images.grad))
    for scalars in (EDGES[1], EDGES[5]):
        yield Case(*case.arrays, *scalars)
    for shape in THIN:
        yield _case(rng, triple, shape)
    for large, lay in ((case, shifted), (matrix, transposed)):
        yield _relaid(large, lay)
    yield from _alone(replace(case, weight_decay=0.0), every_second)
    yield replace(matrix, grad=transposed(matrix.grad))


def _of_each_triple(rng: np.random.Generator, triple: Triple) -> Iterator[Case]:
    """Each kind of size, of zero and of gap for one triple of dtypes, most of them small."""
    for size in (*REMAINDERS, HALF):
        yield _case(rng, triple, (size,))
    small = _case(rng, triple, (61,), profile="mixed")
    for scalars in (*EDGES, (0.1, 0.0, 0.0, 0.1)):
        yield Case(*small.arrays, *scalars)
    yield from _alone(small, every_second)
    yield from _alone(small, np.zeros_like)
    yield from momentum_overflows(triple)


def _alone(case: Case, lay: Callable[[Array], Array]) -> Iterator[Case]:
    """The case three times, each time with another of its arrays changed."""
    for changed in range(3):
        yield case.with_arrays(lay(x) if i == changed else x for i, x in enumerate(case.arrays))


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
    scalars: tuple[float, float, float, float] = ORDINARY,
    *,
    profile: str = "ordinary",
) -> Case:
    dtypes: list[np.dtype[Any]] = [STORAGE_DTYPES[name] for name in triple]
    lr, beta1, beta2, weight_decay = scalars
    size = int(np.prod(shape))
    param, momentum, grad = (
        x.reshape(shape) for x in adversarial(rng, size, dtypes, profile, beta1)
    )
    return Case(param, momentum, grad, lr, beta1, beta2, weight_decay)
