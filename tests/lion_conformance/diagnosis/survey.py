"""Where every wrong port of the catalogue is said to be wrong, beside what is wrong with it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from lion_conformance.cases.case import Case
from lion_conformance.cases.feed import feed, fixed, swept
from lion_conformance.diagnosis.observation import Observation
from lion_conformance.diagnosis.regions.find import find_region
from lion_conformance.diagnosis.regions.rule import Region
from lion_conformance.ports.protocol import Port, PortError, Triple, run_once
from tests.lion_conformance.mutants.catalogue import load

HELD_OUT = 7
"""The seed of small cases that no search has seen."""


def first_wrong(port: Port, triples: Sequence[Triple]) -> Observation | None:
    """The first case of a judging that it answers wrongly."""
    found: list[Observation] = []

    def judge(case: Case) -> bool:
        found.extend(x for x in [_seen(port, case)] if x is not None and x.wrong.any())
        return not found

    feed(judge, triples, max_examples=30, seed=0, compiles=port.compiles)
    return found[0] if found else None


def region_of(
    port: Port, triples: Sequence[Triple], failing: Observation | None = None
) -> Region | None:
    """Where it is wrong, from its first wrong answer on; None if it has none."""
    failing = failing or first_wrong(port, triples)
    if failing is None:
        return None
    return find_region(port, triples, failing, wrong=Observation.of)


def held_out(port: Port, triples: Sequence[Triple], region: Region) -> int:
    """How many elements of cases that the search has not seen are wrong outside of the region."""
    cases = (*fixed(tuple(triples), False), *swept(tuple(triples), HELD_OUT, False))
    seen = [x for x in (_seen(port, case) for case in cases if case.param.size) if x is not None]
    return sum(int((x.wrong & ~region.holds(x.case)).sum()) for x in seen)


def _seen(port: Port, case: Case) -> Observation | None:
    try:
        return Observation.of(case, run_once(port, *case.arrays, **case.scalars))
    except PortError:
        return None


def show() -> None:
    """Print for each mutant what is wrong, where, whether that holds elsewhere, and the time."""
    for mutant in load():
        port = mutant.port()
        triples = [x for x in port.triples if x[0] == mutant.dtype]
        failing = first_wrong(port, triples)
        if failing is None:
            continue
        begun = time.perf_counter()
        region = region_of(mutant.port(), triples, failing)
        seconds = time.perf_counter() - begun
        outside = held_out(mutant.port(), triples, region) if region else 0
        said = "–" if region is None else region.sentence
        print(  # noqa: T201
            f"{mutant.theme} | {mutant} | {mutant.wrong} | {said} | {outside} | {seconds:.2f} s",
            flush=True,
        )
