"""Rules that part what was wrong from what was right, the simplest first.

A predicate is *necessary* if every wrong element has it. A rule is one necessary predicate, two or
three, that leave next to no right element inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import chain
from typing import Final

import numpy as np

from lion_conformance.diagnosis.regions import of_cases, of_places, of_values
from lion_conformance.diagnosis.regions.bounds import Bounds
from lion_conformance.diagnosis.regions.rule import Feature, Kind, Predicate
from lion_conformance.diagnosis.regions.table import ARRAYS, Table, rows
from lion_ref.arithmetic import Array, Mask

SLACK: Final = 0.02
"""Of as many elements as are wrong inside, so many may be right there by coincidence."""
MORE_SLACK: Final = 0.1
"""The share of elements of special kinds, and of cases with most of them right, at last."""
ENOUGH: Final = 20
"""Ordinary elements that are right: fewer, and the port is wrong everywhere."""
LOOSE: Final = 0.35
"""What it costs a predicate that something right has it too."""
SAMPLE: Final = 3_000
TRIPLES: Final = 200
TOLD: Final = 24
"""Rules of one number of predicates that are worth trying."""


class Among(Enum):
    """Of which features a rule may be made."""

    ALL = "all"
    PLACES = "those of places, and those that all elements of a case share"
    WHOLE = "those that all elements of a case share"


@dataclass(frozen=True, slots=True)
class _Necessary:
    predicate: Predicate
    inside: Mask
    """Which right elements have it too."""


def candidates(
    wrong: Table, right: Table, *, among: Among, count: int, slack: float
) -> Iterator[tuple[Predicate, ...]]:
    """Rules, the simplest first; none if nothing is right, or nothing tells it from wrong.

    among: which features they are made of.
    count: of how many predicates, up to 3.
    slack: how much may be right inside among numbers of special kinds.
    """
    if not wrong or not wrong["i"].size or ordinary(right).sum() < ENOUGH:
        return
    every = _necessary(wrong, right)
    found = [x for x in every if _is_among(x.predicate.feature, among)]
    found.sort(key=lambda x: x.predicate.cost + LOOSE * bool(x.inside.any()))
    if count > 1:
        yield from _of_several(found, wrong, right, count, slack)
        return
    for one in found:
        if parts(wrong, right, one.inside, slack):
            yield (one.predicate,)


def _is_among(feature: Feature, among: Among) -> bool:
    if feature.whole or among is Among.ALL:
        return True
    return among is Among.PLACES and feature.about == "element"


def parts(wrong: Table, right: Table, inside: Mask, slack: float) -> bool:
    """Whether next to no right element is inside, and in no case most of the ordinary ones.

    Among numbers of special kinds a mistake may fail to show by coincidence: two zeros are alike.
    """
    cases, usual = np.unique(wrong["case"]), ordinary(right)
    for kind, share, allowed in ((usual, SLACK, 0.0), (~usual, slack, slack * cases.size)):
        if (inside & kind).sum() > share * wrong["i"].size:
            return False
        found, counts = np.unique(right["case"][inside & kind], return_counts=True)
        wrong_there = np.array([(wrong["case"] == case).sum() for case in found])
        without = (wrong_there == 0) & (counts >= ENOUGH)
        if (counts > wrong_there).sum() > allowed or (slack == SLACK and without.any()):
            return False
    return True


def ordinary(table: Table) -> Mask:
    """Rows whose θ, m and g are about as large as 1."""
    sizes = (np.abs(table[name]) for name in ARRAYS)
    return np.asarray(np.logical_and.reduce([(x > 2.0**-4) & (x < 2.0**4) for x in sizes]))


def _necessary(wrong: Table, right: Table) -> Iterator[_Necessary]:
    with np.errstate(all="ignore"):
        for feature in chain(_fixed(), of_places.periodic(wrong), of_cases.dtypes(wrong)):
            for predicate in _predicates(feature, wrong, right):
                inside = predicate.holds(right)
                if not inside.all():
                    yield _Necessary(predicate, inside)


@lru_cache(maxsize=1)
def _fixed() -> tuple[Feature, ...]:
    return (*of_values.features(), *of_places.features(), *of_cases.features())


def _predicates(feature: Feature, wrong: Table, right: Table) -> Iterable[Predicate]:
    values = feature.of(wrong)
    if feature.kind is Kind.TRUTH:
        return [Predicate(feature)] if values.all() else []
    if np.isnan(values).any():
        return []
    others = feature.of(right)
    low, high = float(values.min()), float(values.max())
    below, above = bool((others < low).any()), bool((others > high).any())
    bounds = []
    if above:
        bounds.append(Bounds(high=high))
    if below:
        bounds.append(Bounds(low=low))
    if above and below:
        bounds.append(Bounds(low, high))
    return [Predicate(feature, x) for x in bounds]


def _of_several(
    found: list[_Necessary], wrong: Table, right: Table, count: int, slack: float
) -> Iterator[tuple[Predicate, ...]]:
    """Two predicates, of different features, or three."""
    size = right["i"].size
    rng = np.random.default_rng(size)
    sample = np.arange(size) if size <= SAMPLE else rng.choice(size, SAMPLE, replace=False)
    inside = np.array([x.inside[sample] for x in found], np.float32)
    if not inside.size:
        return
    left = inside @ inside.T
    allowed = (SLACK + slack) * wrong["i"].size * sample.size / size
    if count == 3:
        yield from _of_three(found, inside, left, wrong, right, allowed, slack)
        return
    costs = np.array([x.predicate.cost for x in found])
    pairs = [(i, j) for i, j in np.argwhere(left <= allowed).tolist() if i < j]
    pairs.sort(key=lambda x: costs[x[0]] + costs[x[1]])
    told = 0
    for chosen in pairs:
        if told < TOLD and _fit(chosen, found, wrong, right, slack):
            told += 1
            yield tuple(found[k].predicate for k in chosen)


def _of_three(
    found: list[_Necessary],
    inside: Array,
    left: Array,
    wrong: Table,
    right: Table,
    allowed: float,
    slack: float,
) -> Iterator[tuple[Predicate, ...]]:
    costs = np.array([x.predicate.cost for x in found])
    upper = np.triu(left + 1e9 * (left <= allowed) + costs[:, None] + costs, 1)
    upper[upper == 0] = np.inf
    nearest = np.argsort(upper, axis=None)[:TRIPLES]
    threes: dict[tuple[int, ...], float] = {}
    for flat in nearest.tolist():
        i, j = divmod(flat, len(found))
        rest = inside @ (inside[i] * inside[j])
        for k in np.flatnonzero(rest <= allowed).tolist():
            chosen = tuple(sorted({i, j, k}))
            if len(chosen) == 3:
                threes[chosen] = float(costs[list(chosen)].sum())
    told = 0
    for chosen in sorted(threes, key=threes.__getitem__):
        if told < TOLD and _fit(chosen, found, wrong, right, slack):
            told += 1
            yield tuple(found[k].predicate for k in chosen)


def _fit(
    chosen: tuple[int, ...], found: list[_Necessary], wrong: Table, right: Table, slack: float
) -> bool:
    features = {found[k].predicate.feature.symbol for k in chosen}
    if len(features) < len(chosen):
        return False
    together = np.logical_and.reduce([found[k].inside for k in chosen])
    return parts(wrong, right, together, slack)


def inside_of(predicates: Iterable[Predicate], table: Table) -> Table:
    """The rows that have all of these predicates."""
    with np.errstate(all="ignore"):
        holding = [x.holds(table) for x in predicates]
    return rows(table, np.logical_and.reduce(holding)) if holding else table
