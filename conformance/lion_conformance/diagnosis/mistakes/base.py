"""The Semantics of a port that is wrong in places: the one that most of its elements have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.diagnosis.evidence import Evidence, Part
from lion_conformance.diagnosis.mistakes import plain
from lion_conformance.diagnosis.search import (
    composed_decays,
    composed_momenta,
    composed_signs,
    simplicity,
)
from lion_conformance.ports.protocol import Port, PortError, Triple, run_once
from lion_ref import CANONICAL, Semantics

ENOUGH: Final = 0.6
"""The share of elements that it has to give."""

EVERY: Final = 7
"""Of an array's elements, every so many is looked at: whether it is wrong or not."""


def likely_base(port: Port, triple: Triple) -> Semantics:
    """The simplest Semantics that gives most elements of plain cases; canonical if none does."""
    seen = list(_sampled(port, plain.cases(triple)))
    best = CANONICAL
    for part, composed in (
        (Part.MOMENTUM, composed_momenta),
        (Part.STEADY, composed_decays),
        (Part.PARAM, composed_signs),
    ):
        if _share(best, seen, part) > ENOUGH:
            continue
        candidates = sorted((best, *composed(best, (triple,))), key=simplicity)
        best = max(candidates, key=lambda x: _share(x, seen, part))
        if _share(best, seen, part) <= ENOUGH:
            return CANONICAL
    return best


def _share(semantics: Semantics, seen: Sequence[Evidence], part: Part) -> float:
    """In how many of the elements that it speaks of a Semantics gives the port's bits."""
    misses = sum(int(x.misses(semantics, part).sum()) for x in seen)
    asked = sum(int(x.steady.sum()) if part is Part.STEADY else x.at.size for x in seen)
    return 1 - misses / max(1, asked)


def _sampled(port: Port, cases: Sequence[Case]) -> list[Evidence]:
    found = []
    for case in cases:
        try:
            got = run_once(port, *case.arrays, **case.scalars)
        except PortError:
            continue
        found.append(Evidence.cut(case, got, np.arange(0, case.param.size, EVERY)))
    return found
