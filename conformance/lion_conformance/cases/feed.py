"""The loop that feeds cases to a judge, with Hypothesis or without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from lion_conformance.cases.case import Case, Named, Seeded, build
from lion_conformance.cases.fixed import named_cases
from lion_conformance.cases.order import orders
from lion_conformance.cases.pace import Pace
from lion_conformance.cases.sweep import named_sweep
from lion_conformance.ports.protocol import Triple

KEPT: Final = 4
"""Dtypes of θ for which cases are kept."""

CASES: Final = 0.6
"""The part of the time that is for cases; what is left of it is for runs."""


LEAST: Final = 8
"""Cases that are judged in any case; the first compiles, where a port does."""


@lru_cache(maxsize=KEPT)
def _named_fixed(triples: tuple[Triple, ...], compiles: bool) -> tuple[Named, ...]:
    return tuple(named_cases(triples, compiles=compiles))


@lru_cache(maxsize=KEPT)
def _named_swept(triples: tuple[Triple, ...], seed: int, compiles: bool) -> tuple[Named, ...]:
    return tuple(named_sweep(triples, seed=seed, compiles=compiles))


def fixed(triples: tuple[Triple, ...], compiles: bool) -> tuple[Case, ...]:
    """The fixed cases, kept for an explanation, which goes through them once more."""
    return tuple(case for _, case in _named_fixed(triples, compiles))


def swept(triples: tuple[Triple, ...], seed: int, compiles: bool) -> tuple[Case, ...]:
    """The small cases, kept like the fixed ones."""
    return tuple(case for _, case in _named_swept(triples, seed, compiles))


def named(triples: tuple[Triple, ...], seed: int, compiles: bool) -> tuple[Named, ...]:
    """The fixed and the small cases, as they are made."""
    return (*_named_fixed(triples, compiles), *_named_swept(triples, seed, compiles))


def feed(
    judge_case: Callable[[Case], bool],
    triples: Sequence[Triple],
    *,
    max_examples: int,
    seed: int,
    compiles: bool,
    pace: Pace | None = None,
) -> None:
    """Feed cases until one is rejected: fixed and small ones, then max_examples large ones.

    Those that tell most come first, and what there is no time for is left out.

    compiles: as `Port.compiles`.
    """
    pace = pace or Pace()
    cases = orders().cases.sorted(named(tuple(triples), seed, compiles))
    pace.plan(len(cases) + max_examples, least=LEAST)
    for _, case in cases:
        if not (pace.goes_on(part=CASES) and judge_case(case)):
            return
    if pace.has_time(CASES):
        feed_random(
            lambda case: pace.goes_on(part=CASES) and judge_case(case),
            triples,
            max_examples=max_examples,
            seed=seed,
        )


def feed_random(
    judge_case: Callable[[Case], bool], triples: Sequence[Triple], *, max_examples: int, seed: int
) -> None:
    """Feed large random cases until one is rejected; Hypothesis draws them where it is there."""
    try:
        from lion_conformance.cases.strategies import feed_by_hypothesis
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        draws = Seeded(seed)
        for _ in range(max_examples):
            if not judge_case(build(draws, triples)):
                return
    else:
        feed_by_hypothesis(judge_case, triples, max_examples=max_examples, seed=seed)
