"""The loop that feeds cases to a judge, with Hypothesis or without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from lion_conformance.cases.case import Case, Seeded, build
from lion_conformance.cases.fixed import fixed_cases
from lion_conformance.cases.sweep import sweep
from lion_conformance.ports.protocol import Triple

KEPT: Final = 4
"""Dtypes of θ for which cases are kept."""


@lru_cache(maxsize=KEPT)
def fixed(triples: tuple[Triple, ...], compiles: bool) -> tuple[Case, ...]:
    """The fixed cases, kept for an explanation, which goes through them once more."""
    return tuple(fixed_cases(triples, compiles=compiles))


@lru_cache(maxsize=KEPT)
def swept(triples: tuple[Triple, ...], seed: int, compiles: bool) -> tuple[Case, ...]:
    """The small cases, kept like the fixed ones."""
    return tuple(sweep(triples, seed=seed, compiles=compiles))


def feed(
    judge_case: Callable[[Case], bool],
    triples: Sequence[Triple],
    *,
    max_examples: int,
    seed: int,
    compiles: bool,
) -> None:
    """Feed cases until one is rejected: the fixed ones, small ones, then max_examples large ones.

    compiles: as `Port.compiles`.
    """
    if all(judge_case(case) for case in fixed(tuple(triples), compiles)) and all(
        judge_case(case) for case in swept(tuple(triples), seed, compiles)
    ):
        feed_random(judge_case, triples, max_examples=max_examples, seed=seed)


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
