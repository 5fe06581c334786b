"""The search: ask around the failure, take the simplest rule, find its edges, try to refute it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

import numpy as np

from lion_conformance.cases.case import Case, Seeded, build
from lion_conformance.cases.overflow import momentum_overflows, param_overflows
from lion_conformance.diagnosis import probes, special_values
from lion_conformance.diagnosis.observation import Observation
from lion_conformance.diagnosis.regions import scan
from lion_conformance.diagnosis.regions.candidates import (
    MORE_SLACK,
    SLACK,
    Among,
    candidates,
    parts,
)
from lion_conformance.diagnosis.regions.designs import beside
from lion_conformance.diagnosis.regions.pool import Judge, Pool
from lion_conformance.diagnosis.regions.rule import Kind, Predicate, Region
from lion_conformance.diagnosis.regions.setup import SHORT, Setup, as_given, simplified
from lion_conformance.diagnosis.regions.straddle import refined
from lion_conformance.ports.protocol import Port, Triple

ROUNDS: Final = 12
CALLS: Final = 420
ORDER: Final = (
    (1, SLACK, Among.ALL, False),
    (2, SLACK, Among.PLACES, False),
    (1, SLACK, Among.WHOLE, True),
    (2, SLACK, Among.ALL, False),
    (2, SLACK, Among.WHOLE, True),
    (1, MORE_SLACK, Among.ALL, False),
    (1, MORE_SLACK, Among.WHOLE, True),
    (2, MORE_SLACK, Among.ALL, False),
    (2, MORE_SLACK, Among.WHOLE, True),
    (3, SLACK, Among.ALL, False),
    (3, SLACK, Among.WHOLE, True),
)
"""Of how many predicates, with how much that is right inside, of which features, and whether what
is right beside something wrong counts as coincidence."""
SCATTERED: Final = 0.03
"""A smaller share of a case is no whole case in which the mistake happens not to show."""
OVERFLOWING: Final = 3
"""Triples of dtypes in which m' may overflow."""
LARGE: Final = 20_000


def find_region(
    port: Port, triples: Sequence[Triple], failing: Observation, *, wrong: Judge
) -> Region | None:
    """The simplest rule that says where the port is wrong; None if there is none to be had.

    A port that is wrong everywhere has none, nor has one that is wrong by chance.

    Args:
        port: what is asked, on fresh cases.
        triples: the dtypes (θ, m, g) in which it is asked.
        failing: a case in which it is wrong somewhere.
        wrong: the observation of an answer: which elements of it count as wrong.
    """
    pool = Pool(port, wrong)
    again = pool.ask(failing.case)
    if again is None or not again.wrong.any():
        return None
    setup = _context(pool, again, triples)
    if setup is None:
        return None
    for case in _asked_first(setup, tuple(triples), compiles=port.compiles):
        pool.ask(case)
    return _search(pool, setup, triples)


def _context(pool: Pool, failing: Observation, triples: Sequence[Triple]) -> Setup | None:
    """The most ordinary circumstances in which the port fails."""

    def fails(setup: Setup) -> bool:
        seen = pool.ask(setup.case(0))
        return seen is not None and bool(seen.wrong.any())

    shape = (probes.SIZE,) if pool.port.compiles else SHORT
    alike = (failing.case.triple[0],) * 3
    uniform = [alike] if alike in triples else []
    options = list(dict.fromkeys([*uniform, failing.case.triple]))
    for triple in options:
        if fails(Setup(triple, shape)):
            return Setup(triple, shape)
    ordinary = Setup(options[0], shape)
    given = as_given(failing.case, failing.wrong)
    if pool.port.compiles:
        given = _in_shape(given, shape)
    return simplified(given, ordinary, fails) if fails(given) else None


def _in_shape(setup: Setup, shape: tuple[int, ...]) -> Setup:
    return replace(setup, shape=shape, layouts=("plain",) * 3)


def _asked_first(setup: Setup, triples: tuple[Triple, ...], *, compiles: bool) -> Iterator[Case]:
    large = int(np.prod(setup.shape)) > LARGE
    triple = setup.triple
    yield from chain(probes.cases(triple), special_values.cases(triple), scan.values(setup))
    if not compiles:
        narrowed = [x for x in triples if x[0] == triple[0] and x[1] != x[2]][:OVERFLOWING]
        yield from chain(param_overflows(triple), *map(momentum_overflows, narrowed))
    yield from scan.scalars(setup, many=not (large or compiles))
    if len(triples) > 1:
        yield from scan.dtypes(setup, triples)
    if compiles:
        return
    shaped = setup.shape != SHORT
    yield from scan.sizes(setup, many=shaped)
    yield from scan.shapes(setup, many=shaped)
    yield from scan.layouts(setup, many=setup.layouts != ("plain",) * 3)
    yield from scan.whole_arrays(setup)


def _search(pool: Pool, setup: Setup, triples: Sequence[Triple]) -> Region | None:
    refuted: set[str] = set()
    for _ in range(ROUNDS):
        tried = next((x for x in _proposed(pool) if Region(x).rule not in refuted), None)
        if tried is None or pool.calls > CALLS:
            return None
        refuted.add(Region(tried).rule)
        predicates = refined(pool, setup, tried)
        if predicates:
            region = Region(predicates)
            if _stands(pool, setup, triples, region):
                return _without_vague(region)
    return None


def _without_vague(region: Region) -> Region | None:
    """The region without numbers that may be those of the sample alone."""
    sharp = tuple(
        x for x in region.predicates if x.feature.kind is not Kind.NUMBER or not any(x.bounds.vague)
    )
    if len(sharp) < len(region.predicates):
        return Region(sharp) if sharp else None
    (first, *others) = region.predicates
    one_sided = first.bounds.low is None or first.bounds.high is None
    return None if not others and any(first.bounds.vague) and one_sided else region


def _proposed(pool: Pool) -> Iterator[tuple[Predicate, ...]]:
    """Rules of elements before those of whole cases, few predicates before many."""
    scattered = pool.share() > SCATTERED
    pool.signs_too = False
    for count, slack, among, coincidence in ORDER:
        if scattered or not coincidence:
            pool.whole = coincidence
            yield from candidates(*pool.split(), among=among, count=count, slack=slack)
    pool.whole, pool.signs_too = False, True
    yield from candidates(*pool.split(), among=Among.ALL, count=1, slack=SLACK)


def _stands(pool: Pool, setup: Setup, triples: Sequence[Triple], region: Region) -> bool:
    """Whether no fresh case contradicts it, and what was seen does not."""
    fresh = _fresh(setup, triples, compiles=pool.port.compiles)
    for case in chain(beside(setup, region.predicates), fresh):
        seen = pool.ask(case)
        if seen is not None and (seen.wrong & ~region.holds(case)).any():
            return False
    return fits(pool, region.predicates)


def fits(pool: Pool, predicates: tuple[Predicate, ...]) -> bool:
    """Whether all that was wrong is inside, and next to nothing there was right.

    What is right next to an edge, nearer than can be tested, is left out.
    """
    wrong, right = pool.split()
    with np.errstate(all="ignore"):
        inside = [np.logical_and.reduce([x.holds(t) for x in predicates]) for t in (wrong, right)]
        for x in predicates:
            inside[1] &= ~x.nearly(right)
    return bool(inside[0].all()) and parts(wrong, right, inside[1], MORE_SLACK)


def _fresh(setup: Setup, triples: Sequence[Triple], *, compiles: bool) -> Iterator[Case]:
    for seed in (101, 102):
        yield setup.case(seed)
    if compiles:
        return
    draws = Seeded(17)
    alike = [x for x in triples if x == setup.triple]
    for _ in range(3):
        yield build(draws, alike or [setup.triple])
