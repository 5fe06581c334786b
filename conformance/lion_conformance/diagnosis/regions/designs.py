"""Fresh cases in which one feature has chosen values, and all else is as in a setup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.diagnosis.regions.rule import Feature, Kind, Predicate
from lion_conformance.diagnosis.regions.setup import Setup
from lion_ref.arithmetic import Array

SCALARS = {"η": "lr", "λ": "weight_decay", "β1": "beta1", "β2": "beta2"}
FULL = 2_053
LARGEST = 400_000


def of_numbers(
    feature: Feature, setup: Setup, targets: Array, rng: np.random.Generator
) -> Iterator[Case]:
    """Cases whose elements have these values of θ, m, g, c, θ' or m'."""
    size = int(np.prod(setup.shape))
    if size <= FULL and len(setup.shape) == 1:
        setup = replace(setup, shape=(FULL,))
        size = FULL
    signs = rng.choice([-1.0, 1.0], size) if feature.symbol.startswith("|") else np.ones(size)
    values = signs * np.resize(targets, size)
    theta, m, g = (np.asarray(x, np.float64) for x in setup.numbers(rng))
    jitter = 1 + rng.integers(-3, 4, size) * 2.0**-24
    match feature.varied:
        case "θ":
            yield setup.filled((values, m, g))
        case "m":
            yield setup.filled((theta, values, g))
        case "g":
            yield setup.filled((theta, m, values))
        case "θ'":
            yield setup.with_scalar("lr", 0.0).filled((values, m, g))
            yield setup.filled((values, m, g))
        case "m'" | "c":
            yield setup.filled((theta, values * jitter, values))


def of_one(feature: Feature, setup: Setup, value: float, seed: int) -> Case | None:
    """A case of which the feature has this value; None if there is none."""
    match feature.varied:
        case "η" | "λ" | "β1" | "β2" as name:
            return _legal(setup, SCALARS[name], value, seed)
        case "ηλ":
            lr = dict(zip(SCALARS.values(), setup.scalars, strict=False)).get("lr", 0.0) or 0.1
            return _legal(setup, "weight_decay", value / lr, seed)
        case "1-β1" | "1-β2" as name:
            return _legal(setup, SCALARS[name[2:]], 1 - value, seed)
        case "n":
            shape = _shape_of(int(value), setup)
            return None if shape is None else replace(setup, shape=shape).case(seed)
        case name if name.startswith("max "):
            return _scaled(setup, "θmg".index(name[-2]), value, seed)
    return None


def of_places(feature: Feature, setup: Setup, furthest: int) -> Iterator[Case]:
    """Cases in which there are elements before and behind this place."""
    for seed, more in enumerate((37, 1_000)):
        length = furthest + more
        shape: tuple[int, ...] | None = None
        match feature.varied:
            case "length":
                shape = _shape_of(length, setup)
            case "rows" if len(setup.shape) >= 2:
                shape = (length, *setup.shape[1:])
            case "columns" if len(setup.shape) >= 2:
                shape = (*setup.shape[:-1], length)
        if shape is not None and np.prod(shape) <= LARGEST:
            yield replace(setup, shape=shape).case(seed + 50)


def of_periods(feature: Feature, setup: Setup) -> Iterator[Case]:
    """Cases that tell one in so many from one in twice or three times as many."""
    period = feature.period
    if not period:
        return
    if feature.varied == "index mod":
        lengths = [7 * period + 5, 3 * period + 2 * int(np.prod(setup.shape)) + 5]
    else:
        lengths = [k * period + more for k in (1, 2, 3, 5, 6, 8) for more in (-1, 0, 1)]
        remainder = int(feature.symbol.rpartition("=")[2]) if feature.varied == "n mod" else 5
        lengths = [k * period + remainder for k in range(9)] + lengths[:: 2 if period < FULL else 4]
    for seed, length in enumerate(lengths):
        shape = _shape_of(length, setup)
        if "row" in feature.symbol and len(setup.shape) >= 2:
            shape = (length, *setup.shape[1:])
        elif "column" in feature.symbol and len(setup.shape) >= 2:
            shape = (*setup.shape[:-1], length)
        if shape is not None and np.prod(shape) <= LARGEST:
            yield replace(setup, shape=shape).case(seed + 70)


def can_vary(feature: Feature) -> bool:
    """Whether there are designs for it."""
    return bool(feature.varied) and feature.kind is not Kind.TRUTH


def _legal(setup: Setup, name: str, value: float, seed: int) -> Case | None:
    if not np.isfinite(value) or value < 0 or (name.startswith("beta") and value >= 1):
        return None
    return setup.with_scalar(name, float(value)).fine().case(seed)


def beside(setup: Setup, predicates: Iterable[Predicate]) -> Iterator[Case]:
    """Cases on either side of each edge of a scalar, at some distance."""
    for predicate in predicates:
        bounds = predicate.bounds
        for edge in {bounds.low, bounds.high} - {None}:
            for seed, factor in enumerate((0.3, 0.9, 0.999, 1.0, 1.001, 1.1, 3.0)):
                if predicate.feature.kind is Kind.SCALAR and edge:
                    case = of_one(predicate.feature, setup, edge * factor, seed + 90)
                    if case is not None:
                        yield case


def _shape_of(size: int, setup: Setup) -> tuple[int, ...] | None:
    """A shape of so many elements, or about so many where the setup has several axes."""
    if not 0 < size <= LARGEST:
        return None
    if len(setup.shape) < 2:
        return (size,)
    rest = int(np.prod(setup.shape[1:]))
    return (max(1, -(-size // rest)), *setup.shape[1:])


def _scaled(setup: Setup, place: int, value: float, seed: int) -> Case:
    """The largest of an array is this value, the others have its size."""
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(x, np.float64) for x in setup.numbers(rng)]
    unit = rng.choice([-1.0, 1.0], arrays[place].size) * rng.uniform(0.5, 1, arrays[place].size)
    unit[:1] = 1
    arrays[place] = unit * value
    theta, m, g = arrays
    return setup.filled((theta, m, g))
