"""The edges of a rule, found with fresh cases on both sides of them, and said in round numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from lion_conformance.diagnosis.regions.bounds import Bounds
from lion_conformance.diagnosis.regions.candidates import inside_of
from lion_conformance.diagnosis.regions.designs import (
    can_vary,
    of_numbers,
    of_one,
    of_periods,
    of_places,
)
from lion_conformance.diagnosis.regions.numbers import round_between, spelled
from lion_conformance.diagnosis.regions.pool import Pool
from lion_conformance.diagnosis.regions.rule import Feature, Kind, Predicate, testable
from lion_conformance.diagnosis.regions.setup import Setup
from lion_conformance.diagnosis.regions.table import Table
from lion_ref.arithmetic import Array

ZOOMS: Final = 8
SMALLEST: Final = {Kind.SCALAR: 1e-300, Kind.NUMBER: 1e-44}
"""Next to 0 in binary64, or in the dtype of an element."""
SHORT: Final = 7
"""Of how many signs a number is at most that is no round one: 65,504."""
COARSE: Final = 2.0**-6
"""Neighbours in the narrowest dtype lie no further apart."""
NEAR_ONE: Final = 0.999
"""From here on a β is better said by its complement."""
UNCLEAR: Final = 1.25
TRIES: Final = 44
"""Calls for one edge of a scalar or a size."""
SIGNED: Final = ("θ", "m", "g", "c", "θ'", "m'")


@dataclass
class Edge:
    """Of one feature: the outermost wrong value, and the nearest right one beyond."""

    wrong: float
    right: float

    @property
    def is_high(self) -> bool:
        """Whether what is wrong lies below it."""
        return self.wrong < self.right

    @property
    def ends(self) -> tuple[float, float]:
        """The smaller first."""
        return min(self.wrong, self.right), max(self.wrong, self.right)

    def learn(self, wrong: Array, right: Array) -> bool:
        """Draw it closer; False if what is wrong goes beyond what was right."""
        side = 1 if self.is_high else -1
        furthest = max([side * self.wrong, *(side * wrong).tolist()])
        if furthest >= side * self.right:
            return False
        beyond = side * right
        nearest = min([side * self.right, *beyond[beyond > furthest].tolist()])
        self.wrong, self.right = side * furthest, side * nearest
        return True

    def _whole(self) -> float:
        """Of whole numbers the roundest that parts the two."""
        if self.is_high:
            behind = [x for x in round_between(self.wrong + 1, self.right) if x == int(x)]
            return behind[0] - 1 if behind else self.wrong
        options = [x for x in round_between(self.right + 1, self.wrong) if x == int(x)]
        return options[0] if options else self.wrong

    def is_unclear(self, kind: Kind) -> bool:
        """Whether the edge of a number may lie anywhere in a wide interval."""
        low, high = sorted(abs(x) for x in self.ends)
        if kind not in (Kind.SCALAR, Kind.NUMBER) or low == 0 or np.isinf(high):
            return False
        if kind is Kind.NUMBER and low == int(low) and high - low <= 1:
            return False  # of whole numbers
        near_one = NEAR_ONE < low < 1 and kind is Kind.SCALAR and self.bound(kind)[2]
        return high > UNCLEAR * low or self.wrong * self.right < 0 or near_one

    def bound(self, kind: Kind) -> tuple[float, bool, bool]:
        """The number that is said, whether it is inside, whether it is vague."""
        if kind in (Kind.SIZE, Kind.PLACE):
            return self._whole(), True, False
        if np.isinf(self.right):
            return self.right, False, False
        further = testable(self.right) if kind is Kind.SCALAR else 2.0**-24 * abs(self.right)
        outer = self.right + further * (1 if self.is_high else -1)
        round_numbers = round_between(min(self.wrong, outer), max(self.wrong, outer))
        gap = abs(self.wrong - self.right)
        near = kind is Kind.NUMBER and gap <= COARSE * max(abs(self.wrong), abs(self.right))
        near |= gap <= max(testable(self.wrong), testable(self.right))
        near |= self.right == 0 and abs(self.wrong) < SMALLEST[kind]
        if near and not round_numbers and kind is Kind.NUMBER:
            round_numbers = [x for x in (self.right, self.wrong) if len(spelled(x)) <= SHORT]
        if not round_numbers or not near:
            return self.wrong, True, gap > 0 and self.wrong != int(self.wrong)
        number = round_numbers[0]
        if kind is Kind.NUMBER and not min(self.ends) <= number <= max(self.ends):
            return self.right, False, False  # it is what the number is in float32
        return number, number == self.wrong, False


def refined(
    pool: Pool, setup: Setup, predicates: Sequence[Predicate]
) -> tuple[Predicate, ...] | None:
    """The same predicates with their edges found; None if a fresh case contradicts them."""
    found: list[Predicate] = []
    for place, predicate in enumerate(predicates):
        if predicate.is_truth:
            for case in of_periods(predicate.feature, setup):
                pool.ask(case, closely=True)
            found.append(predicate)
            continue
        others = [*found, *predicates[place + 1 :]]
        edges = _edges(predicate, others, *pool.split())
        for edge in edges.values():
            if can_vary(predicate.feature) and not _drawn_closer(
                pool, setup, predicate.feature, others, edge
            ):
                return None
        if any(edge.is_unclear(predicate.feature.kind) for edge in edges.values()):
            return None
        if edges:
            bounds = _bounds(predicate.feature, edges)
            if predicate.feature.symbol == "axes":
                bounds = _of_axes(bounds, pool.split()[0]["axes"])
            found.append(replace(predicate, bounds=bounds))
    return tuple(found)


def _edges(
    predicate: Predicate, others: Sequence[Predicate], wrong: Table, right: Table
) -> dict[str, Edge]:
    """Those beyond which something is right that has the other predicates."""
    feature, bounds = predicate.feature, predicate.bounds
    inside, outside = feature.of(wrong), feature.of(inside_of(others, right))
    edges = {}
    above, below = outside[outside > inside.max()], outside[outside < inside.min()]
    if bounds.high is not None and above.size:
        edges["high"] = Edge(float(inside.max()), float(above.min()))
    if bounds.low is not None and below.size:
        edges["low"] = Edge(float(inside.min()), float(below.max()))
    return edges


def _bounds(feature: Feature, edges: dict[str, Edge]) -> Bounds:
    bounds = Bounds()
    for side, edge in edges.items():
        number, inside, vague = edge.bound(feature.kind)
        if side == "high":
            bounds = replace(bounds, high=number, high_in=inside, vague=(bounds.vague[0], vague))
        else:
            bounds = replace(bounds, low=number, low_in=inside, vague=(vague, bounds.vague[1]))
    if bounds.high == 0 and bounds.high_in and feature.symbol not in SIGNED:
        bounds = replace(bounds, low=0.0)
    if bounds.low is not None and bounds.low == bounds.high:
        bounds = replace(bounds, low_in=True, high_in=True)
    return bounds


def _of_axes(bounds: Bounds, wrong: Array) -> Bounds:
    """Where one number of axes alone is wrong, that one: matrices, rather than up to two axes."""
    one = wrong.min() == wrong.max()
    return replace(bounds, low=float(wrong[0]), high=float(wrong[0])) if one else bounds


def _drawn_closer(
    pool: Pool, setup: Setup, feature: Feature, others: Sequence[Predicate], edge: Edge
) -> bool:
    if feature.kind is Kind.NUMBER:
        return _zoomed(pool, setup, feature, others, edge)
    if feature.kind is Kind.PLACE:
        return _crossed(pool, setup, feature, others, edge)
    return _bisected(pool, setup, feature, others, edge)


def _learnt(
    pool: Pool, feature: Feature, others: Sequence[Predicate], edge: Edge, before: int
) -> bool:
    """Whether the cases since then fit the edge, which they draw closer."""
    wrong, right = pool.since(before)
    if not wrong and not right:
        return True
    if inside_of(others, wrong)["i"].size < wrong["i"].size:
        return False  # wrong where another predicate does not hold
    with np.errstate(all="ignore"):
        return edge.learn(feature.of(wrong), feature.of(inside_of(others, right)))


def _zoomed(
    pool: Pool, setup: Setup, feature: Feature, others: Sequence[Predicate], edge: Edge
) -> bool:
    """Many values between the two at each call, until none lies between."""
    narrow = np.float64 if setup.triple[0] == "float64" else np.float32
    rng = np.random.default_rng(7)
    for _ in range(ZOOMS):
        targets = _between(*edge.ends, narrow)
        if any("whole number" in x.feature.symbol for x in others):
            targets = np.unique(np.rint(targets))
        last, before = edge.ends, pool.kept
        for case in of_numbers(feature, setup, targets, rng):
            pool.ask(case, closely=True)
        if not _learnt(pool, feature, others, edge, before):
            return False
        if edge.ends == last:
            break
    return True


def _crossed(
    pool: Pool, setup: Setup, feature: Feature, others: Sequence[Predicate], edge: Edge
) -> bool:
    before = pool.kept
    for case in of_places(feature, setup, int(max(edge.ends))):
        pool.ask(case)
    return _learnt(pool, feature, others, edge, before)


def _bisected(
    pool: Pool, setup: Setup, feature: Feature, others: Sequence[Predicate], edge: Edge
) -> bool:
    """One value at each call: halves first, then round numbers and their neighbours."""
    whole = feature.kind is Kind.SIZE
    tried: set[float] = set()
    for attempt in range(TRIES):
        target = _next_target(edge, tried, whole=whole)
        if target is None:
            break
        tried.add(target)
        before = pool.kept
        case = of_one(feature, setup, target, attempt)
        if case is None:
            continue
        pool.ask(case)
        if not _learnt(pool, feature, others, edge, before):
            return False
    return True


def _next_target(edge: Edge, tried: set[float], *, whole: bool) -> float | None:
    low, high = edge.ends
    if whole:
        return _next_size(int(low), int(high), tried)
    if _steps(low, high) <= 1:
        return None
    if low <= 0 or high / low > 2.5:
        beyond_zero = np.nextafter(0.0, 1.0)
        middle = beyond_zero if low == 0 and beyond_zero not in tried else _middle(low, high)
        return None if middle in tried else middle
    for number in round_between(low, high)[:6]:
        nudges = (0.0, -(2.0**-52), 2.0**-52, -(2.0**-22), 2.0**-22)
        for option in (number * (1 + nudge) for nudge in nudges):
            if low < option < high and option not in tried:
                return option
    middle = _middle(low, high)
    return None if middle in tried or high - low <= testable(high) else middle


def _next_size(low: int, high: int, tried: set[float]) -> float | None:
    if high - low <= 1:
        return None
    power = 1 << (high - 1).bit_length() - 1
    for size in (power, power + 1, power - 1):
        if low < size < high and size not in tried and high - low > 8:
            return float(size)
    middle = (low + high) // 2
    return None if middle in tried else float(middle)


def _between(low: float, high: float, kind: type[np.floating]) -> Array:
    """Values of a dtype from one to the other, as evenly as its numbers lie."""
    first, last = (int(_rank(np.array(x), kind)) for x in (low, high))
    ranks = np.unique(np.linspace(first, last, 300).astype(np.int64))
    return np.asarray(_unrank(ranks, kind), np.float64)


def _rank(values: Array, kind: type[np.floating]) -> Array:
    """The place of each number among all of its dtype; 0 is that of 0."""
    wide = np.int32 if kind is np.float32 else np.int64
    pattern = np.asarray(values, kind).view(wide).astype(np.int64)
    return np.where(pattern < 0, np.iinfo(wide).min - pattern, pattern)


def _unrank(ranks: Array, kind: type[np.floating]) -> Array:
    wide = np.int32 if kind is np.float32 else np.int64
    return np.where(ranks < 0, np.iinfo(wide).min - ranks, ranks).astype(wide).view(kind)


def _steps(low: float, high: float) -> int:
    """How many binary64 numbers further the one is."""
    first, last = (int(_rank(np.array(x), np.float64)) for x in (low, high))
    return last - first


def _middle(low: float, high: float) -> float:
    first, last = (int(_rank(np.array(x), np.float64)) for x in (low, high))
    return float(_unrank(np.array((first + last) // 2), np.float64))
