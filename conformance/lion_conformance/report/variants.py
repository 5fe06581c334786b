"""One report on code that may come to several things: the worst of them, and what it depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from lion_conformance.ports.protocol import Variant
from lion_conformance.report.findings import DtypeResult, Findings
from lion_conformance.report.table import meaning
from lion_conformance.verdict.sentences import AS_WRITTEN, depending
from lion_conformance.verdict.verdict import Verdict

FindingsT = TypeVar("FindingsT", bound=Findings)


def together(as_written: FindingsT, variants: Sequence[tuple[Variant, Findings]]) -> FindingsT:
    """The report on a port as it is written, with what was found of its variants.

    Where all come to the same, nothing is said of them. Where they do not, none of their bits are
    promised: the verdict is the worst, and at best `accepted`.
    """
    if not variants:
        return as_written
    results, at_fault = [], None
    for i, result in enumerate(as_written.results):
        found = [(variant.words, report.results[i]) for variant, report in variants]
        which, one = _of_dtype(as_written, [(AS_WRITTEN, result), *found], variants)
        results.append(one)
        if at_fault is None and not one.as_promised:
            at_fault = which
    origin = as_written.origin
    if at_fault:
        origin = replace(origin, variant=at_fault - 1)
    return replace(as_written, results=tuple(results), origin=origin)


def _of_dtype(
    report: Findings,
    found: Sequence[tuple[str, DtypeResult]],
    variants: Sequence[tuple[Variant, Findings]],
) -> tuple[int, DtypeResult]:
    """The result to tell of one dtype, and the place of the worst among those found."""
    means: dict[tuple[bool, str], list[str]] = {}
    for words, result in found:
        means.setdefault((result.as_promised, meaning(report, result)), []).append(words)
    if len(means) == 1:
        return 0, found[0][1]
    ranks = [(not result.as_promised, result.verdict.rank) for _, result in found]
    which = ranks.index(max(ranks))
    words, worst = found[which]
    told = {" or ".join(some): text for (_, text), some in means.items()}
    cause = worst.cause
    if cause is not None:
        shared = next(x for x, text in told.items() if text == meaning(report, worst))
        others = (f"{x}: {text}" for x, text in told.items() if x != shared)
        cause = replace(cause, evidence=("; ".join([f"{shared} alone", *others]), *cause.evidence))
    example = worst.counterexample
    if example is not None:
        example = replace(example, why=f"{words}: {example.why}")
    verdict = worst.verdict
    if verdict in (Verdict.BIT_EXACT, Verdict.BIT_EXACT_AS):
        verdict = Verdict.ACCEPTED
    sentence = depending([variant for variant, _ in variants], told)
    return which, replace(
        worst,
        verdict=verdict,
        semantics=None,
        cause=cause,
        counterexample=example,
        sentence=sentence,
    )
