"""What is wrong in a single step: which mistake reproduces the bits, or where, or both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final

import numpy as np

from lion_conformance.cases.case import ORDINARY_IN_WORDS, Case, ordinary
from lion_conformance.cases.feed import fixed
from lion_conformance.diagnosis import probes, special_values
from lion_conformance.diagnosis.evidence import Evidence
from lion_conformance.diagnosis.mistakes import plain
from lion_conformance.diagnosis.mistakes.base import likely_base
from lion_conformance.diagnosis.mistakes.find import (
    Mistaken,
    canonical_mistakes,
    mistakes_beside,
    other_mistakes,
)
from lion_conformance.diagnosis.observation import Observation
from lion_conformance.diagnosis.regions.find import find_region
from lion_conformance.diagnosis.regions.rule import Region
from lion_conformance.ports.layouts import like
from lion_conformance.ports.protocol import Port, PortError, Triple, run_once
from lion_conformance.verdict.cause import Cause, Kind
from lion_conformance.verdict.code import Code
from lion_conformance.verdict.failure import Failure
from lion_conformance.verdict.sentences import sentence
from lion_ref import CANONICAL, Semantics
from lion_ref.arithmetic import Array, round_to

EVERY: Final = 7
"""Of the fixed cases, every so many confirms a mistake: sizes, shapes, layouts, scalars, dtypes."""

LARGEST: Final = 100_000
"""Elements of a case beyond which it confirms nothing: it would take too long."""

CANDIDATES: Final = 8
"""Mistakes that are tried on other cases: several may give the same bits in those seen."""

INSIDE: Final = 0.95
"""The share of a region's elements that what is said to happen there has to give: at the very edge
of a rule about numbers others may be right."""

NEARLY: Final = 0.99
"""The share of elements that a mistake has to give in dtypes beside those in which it gives all."""

PROBES: Final = 4
"""Probes that are asked about a mistake."""


def cause_at_once(port: Port, dtype: str, failure: Failure) -> Cause | None:
    """The mistake that gives the bits of a port which is canonical otherwise."""
    return _everywhere(port, _triples(port, dtype), failure, canonical_mistakes)


def cause_of_step(port: Port, dtype: str, failure: Failure, base: Semantics) -> Cause | None:
    """The mistake that gives the port's bits, or where it is wrong; confirmed on other cases.

    base: the semantics of what is right, where a port is wrong in places alone.
    """
    triples = _triples(port, dtype)
    return _everywhere(port, triples, failure, other_mistakes) or _in_places(
        port, triples, failure, base
    )


def cause_of_semantics(semantics: Semantics, dtype: str) -> Cause:
    """What is wrong with a port whose semantics is another algorithm than Lion (SPEC C16)."""
    other: str = semantics.decay
    if other == "factor" and semantics.decay_order == "step-first":
        other = "step-first"
    words, code, clause = [], Code.SCALARS_ROUNDED, "C4"
    if other in _OTHER_DECAYS:
        code, said = _OTHER_DECAYS[other]
        words, clause = [said], "C10"
    if semantics.scalars == "storage":
        words.append(f"η, λ and β are rounded to {dtype}")
        if semantics.precision != "compute":
            words.append("every operation of c and θ' is, too")
    return Cause(
        Kind.MISTAKE,
        code,
        "; ".join(words) or semantics.describe(),
        clause,
        evidence=(f"it {sentence(semantics)}",),
    )


_OTHER_DECAYS: Final = {
    "unscaled": (Code.DECAY_NOT_SCALED, "the decay is not scaled by η: λ·θ, not η·λ·θ"),
    "coupled": (Code.DECAY_COUPLED, "the decay is coupled: λ·θ is added to the gradient"),
    "step-first": (Code.DECAY_AFTER_STEP, "the decay is of the moved θ: (θ - η·u)·(1-ηλ)"),
}


def _triples(port: Port, dtype: str) -> list[Triple]:
    return [x for x in port.triples if x[0] == dtype]


Search = Callable[[Sequence[Evidence], Sequence[Triple]], Iterator[Mistaken]]


def _everywhere(
    port: Port, triples: Sequence[Triple], failure: Failure, mistakes: Search
) -> Cause | None:
    """A mistake in every element, at least in some of the dtypes."""
    others: list[Evidence] = []
    for triple in dict.fromkeys(((failure.case.triple[0],) * 3, failure.case.triple)):
        if triple not in triples:
            continue
        seen = list(_evidence(port, _questions(triple)))
        if failure.got is not None and failure.case.param.size and failure.case.triple == triple:
            seen.insert(0, Evidence.of(failure.case, failure.got))
        told: list[tuple[int, Cause]] = []
        for found in _simplest_first(mistakes(seen, [triple])):
            others = others or list(_evidence(port, _others(port, triples)))
            words = _where_it_fits(found, others, triple)
            if words is not None:
                told.append((len(words), _told(found, words, [*seen, *others])))
            if words == "":
                break
        if told:
            return min(told, key=lambda x: x[0])[1]
    return None


def _simplest_first(found: Iterator[Mistaken]) -> Iterator[Mistaken]:
    """One mistake before two, if it comes soon."""
    few = []
    for one in islice(found, CANDIDATES):
        if len(one.alterations) == 1:
            yield one
        else:
            few.append(one)
    yield from few


def _where_it_fits(found: Mistaken, others: Sequence[Evidence], triple: Triple) -> str | None:
    """In which dtypes the mistake gives the port's bits: nothing for all, None if that has no name.

    Scalars that are not ordinary contradict nothing: what is said is said of ordinary ones then.
    """
    usual = [x for x in others if ordinary(x.case)]
    if not found.exact:  # which says too little of dtypes that are coarser
        return "" if all(found.fits(x) for x in usual if x.case.triple == triple) else None
    counts: dict[Triple, list[tuple[int, int]]] = {}
    for evidence in usual:
        counts.setdefault(evidence.case.triple, []).append(found.count(evidence))
    if any(missed for missed, _ in counts.pop(triple, [])):
        return None
    sums = {x: map(sum, zip(*there, strict=True)) for x, there in counts.items()}
    fails = [x for x, (missed, asked) in sums.items() if missed > (1 - NEARLY) * asked]
    if not fails:
        return ""
    for names in ((1,), (2,), (1, 2)):
        told = [triple[i] for i in names]
        if all([x[i] for i in names] != told for x in fails):
            dtypes = " and ".join(f"{'θmg'[i]} is {triple[i]}" for i in names)
            return f" where {dtypes}"
    return None


def _in_places(
    port: Port, triples: Sequence[Triple], failure: Failure, base: Semantics
) -> Cause | None:
    """Where the port is wrong, and what it does there."""
    if failure.got is None or not failure.case.param.size:
        return None
    if base == CANONICAL:
        alike = (failure.case.triple[0],) * 3
        base = likely_base(port, alike if alike in triples else failure.case.triple)

    def wrong(case: Case, got: tuple[Array, Array]) -> Observation:
        return Observation.of(case, got, base)

    failing = wrong(failure.case, failure.got)
    region = find_region(port, triples, failing, wrong=wrong)
    if region is None:
        return None
    what = _what_happens(port, triples, failure, region, base)
    return Cause(
        Kind.PLACE if what is None else Kind.MISTAKE,
        _CODES[region.about],
        f"wrong {region.sentence}" if what is None else f"{what.words} {region.sentence}",
        "C12" if what is None and region.about in _PLACES else what.clause if what else "C5",
        rule=region.rule,
        evidence=(f"elsewhere it {sentence(base)}",),
    )


_CODES: Final = {
    "element": Code.WRONG_AT_POSITIONS,
    "shape": Code.WRONG_IN_SHAPES,
    "layout": Code.WRONG_IN_LAYOUTS,
    "value": Code.WRONG_FOR_VALUES,
    "scalars": Code.WRONG_FOR_SCALARS,
    "dtype": Code.WRONG_IN_DTYPES,
}
"""Where it is wrong leads to the line of code, whatever it is that happens there."""

_PLACES: Final = ("element", "shape", "layout")
"""What an element's bits may not depend on (SPEC C12)."""


def _what_happens(
    port: Port, triples: Sequence[Triple], failure: Failure, region: Region, base: Semantics
) -> Mistaken | None:
    """The mistake that gives the port's bits wherever the region holds."""
    for triple in dict.fromkeys(((failure.case.triple[0],) * 3, failure.case.triple)):
        seen, inside = [], []
        for case in _within(port, failure.case, triple) if triple in triples else ():
            holds = region.holds(case)
            if not holds.any():
                continue
            try:
                got = run_once(port, *case.arrays, **case.scalars)
            except PortError:
                continue
            inside.append(Evidence.of(case, got, holds))
            at_fault = holds & Observation.of(case, got, base).wrong
            if at_fault.any():
                seen.append(Evidence.of(case, got, at_fault))
        for found in islice(mistakes_beside(seen, [triple], base), CANDIDATES) if seen else ():
            missed, asked = map(sum, zip(*map(found.count, inside), strict=True))
            if missed < (1 - INSIDE) * asked:
                return found
    return None


def _within(port: Port, failing: Case, triple: Triple) -> Iterator[Case]:
    """Cases that a region about a failing one may hold for: its scalars, its arrays, or both."""
    if failing.triple == triple:
        yield failing
    yield from _questions(triple)
    for scalars in _scalars_near(failing):
        for case in plain.cases(triple)[: len(plain.cases(triple)) // 2]:
            yield replace(case, **scalars)
        if failing.triple == triple and not port.compiles and failing.param.size <= LARGEST:
            yield replace(_refilled(failing), **scalars)
    if failing.triple == triple and not port.compiles:
        yield _refilled(failing)
        for lr, beta1, beta2, weight_decay in plain.SCALARS:
            yield replace(
                _refilled(failing), lr=lr, beta1=beta1, beta2=beta2, weight_decay=weight_decay
            )


def _scalars_near(case: Case) -> Iterator[dict[str, Any]]:
    """Some scalars of a case, or numbers beside them, in the place of ordinary ones."""
    for name in case.scalars:
        value = getattr(case, name)
        yield {name: value}
        if name in ("lr", "weight_decay"):
            yield {name: 1.25 * value}
    yield {"lr": case.lr, "weight_decay": case.weight_decay}
    yield {"beta1": case.beta1, "beta2": case.beta2}


def _refilled(case: Case) -> Case:
    """Other numbers, of ordinary size, in arrays like those of a case."""
    rng = np.random.default_rng(7)
    return case.with_arrays(
        _filled(x, round_to(rng.standard_normal(x.shape), x.dtype)) for x in case.arrays
    )


def _filled(array: Array, values: Array) -> Array:
    """An array that lies in memory as another does, with other values, if it can be written to."""
    laid = like(array)
    if laid.flags.writeable and 0 not in laid.strides:
        laid[...] = values
    return laid


def _questions(triple: Triple) -> tuple[Case, ...]:
    """The cases that a mistake is looked for in."""
    return (
        *plain.cases(triple),
        *probes.cases(triple)[:PROBES],
        *special_values.cases(triple),
    )


def _evidence(port: Port, cases: Iterable[Case]) -> Iterator[Evidence]:
    for case in cases:
        try:
            got = run_once(port, *case.arrays, **case.scalars)
        except PortError:
            continue  # what it raises is another matter
        if case.param.size:
            yield Evidence.of(case, got)


def _others(port: Port, triples: Sequence[Triple]) -> list[Case]:
    """Cases that confirm a mistake: other sizes, shapes, layouts, scalars and dtypes."""
    if port.compiles:
        return [x for triple in probes.in_order(triples)[:3] for x in probes.cases(triple)]
    cases = fixed(tuple(triples), port.compiles)[::EVERY]
    return [x for x in cases if x.param.size <= LARGEST]


def _told(found: Mistaken, where: str, seen: Sequence[Evidence]) -> Cause:
    rest = sentence(found.altered.semantics)
    counts = [found.count(x) for x in seen if found.fits(x)]
    elements = sum(asked for _, asked in counts)
    evidence = []
    if found.exact:
        evidence.append(f"put right, it {rest}")
        evidence.append(f"this gives the port's bits in all of {elements:,} elements compared")
    else:
        evidence.append("this comes within ulps, not to the bit: it may be rounded otherwise")
        evidence.append(f"so it does in all of {elements:,} elements compared")
    if not all(found.fits(x) for x in seen if not ordinary(x.case)):
        evidence.append(f"with {ORDINARY_IN_WORDS}")
    return Cause(
        Kind.MISTAKE,
        found.code,
        found.words + where,
        found.clause,
        where.strip(),
        tuple(evidence),
    )
