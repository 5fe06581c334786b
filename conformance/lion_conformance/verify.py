"""Judge one port: the public `verify`, and the loop over cases under it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from lion_conformance.cases.case import Case
from lion_conformance.cases.feed import feed
from lion_conformance.cases.pace import Pace
from lion_conformance.diagnosis.cause import named, named_at_once
from lion_conformance.diagnosis.explain import explained
from lion_conformance.ports.callable import from_callable
from lion_conformance.ports.dtypes import Asked, Dtypes, asked_for, spelled
from lion_conformance.ports.offers import Offer
from lion_conformance.ports.protocol import Port, Triple
from lion_conformance.report.counterexample import Counterexample
from lion_conformance.report.findings import DtypeResult, versions
from lion_conformance.report.origin import Origin
from lion_conformance.report.report import Report
from lion_conformance.report.variants import together
from lion_conformance.runs import hand_over
from lion_conformance.runs.all import affordable, judge_runs
from lion_conformance.runs.other_process import FreshProcess, judge_elsewhere, why_not
from lion_conformance.runs.shortest_run import refused_alone, smallest
from lion_conformance.verdict.sentences import sentence, wherever_it_answers
from lion_conformance.verdict.tally import Tally
from lion_conformance.verdict.verdict import Verdict
from lion_ref import CANONICAL, Semantics

MAX_EXAMPLES = 25
"""Cases for each dtype of θ; each holds tens of thousands of elements."""

Progress = Callable[[str, int, int], None]
Told = Callable[[str, Verdict], None]


def verify(
    port: Port | Callable[..., Any],
    *,
    dtypes: Dtypes | None = None,
    mixed: bool = False,
    max_examples: int = MAX_EXAMPLES,
    seed: int = 0,
    explain: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Judge a port against lion_ref, bit for bit, on adversarial cases and in runs of many steps.

    Args:
        port: a callable with lion_ref.step's signature (NumPy arrays in, new NumPy arrays out), or
            a `Port`, which can say more: its name, the dtypes it takes, the semantics it declares.
        dtypes: what to judge it in. A dtype of θ stands for every triple (θ, m, g) with it that a
            `Port` names, and for the one of a single dtype where none is named; a triple for
            itself, as ("bfloat16", "float32", "bfloat16") or "bfloat16/float32/bfloat16". If
            omitted: all that a `Port` names; of a callable, float16, bfloat16, float32 and float64,
            as far as it takes them.
        mixed: of a callable, judge every triple with one of these dtypes of θ.
        max_examples: random cases for each of them, after the fixed ones.
        seed: the same seed gives the same cases.
        explain: whether to look, where bits differ, for the semantics that has them: some seconds.
        progress: called as progress(dtype, cases done, cases in all).

    Returns:
        A `Report`: `.ok`, `.verdict`, `.verdicts` (one a dtype), `.counterexample` (the smallest
        found), `.semantics` and `.sentence` (what explains bits that differ: see `diagnose`).

    Raises:
        TypeError, ValueError: an argument that is not legal, by name. What the port raises is no
        error here: it is the port's verdict.

    The judged equation, rounding order and accepted set are SPEC.md's.

    >>> import lion_ref
    >>> report = verify(lion_ref.step, dtypes=["float32"], max_examples=5)
    >>> report.ok, report.verdict.value
    (True, 'bit-exact')
    """
    return judge(
        port,
        dtypes,
        mixed=mixed,
        max_examples=max_examples,
        seed=seed,
        explain=explain,
        progress=progress,
    )


def judge(
    port: Port | Callable[..., Any],
    dtypes: Dtypes | None = None,
    *,
    mixed: bool = False,
    max_examples: int = MAX_EXAMPLES,
    seed: int = 0,
    explain: bool = True,
    progress: Progress | None = None,
    pace: Callable[[], Pace] = Pace,
    told: Told | None = None,
    fresh: FreshProcess | None = None,
) -> Report:
    """As `verify`, in the time that there is.

    pace: makes the time for each dtype, when its turn comes.
    told: called as told(dtype, verdict), when the cases and runs of a dtype have been judged.
    fresh: where saved runs go on, if other ports' do so there too.
    """
    given = port if isinstance(port, Port) else from_callable(port)
    asked = asked_for(given, dtypes, mixed=mixed)
    check_budget(max_examples, seed)
    _check_options(explain, progress)
    budget = {"max_examples": max_examples, "seed": seed}
    if given.unavailable:
        return not_run(given.name, given.unavailable, given.door, given.device, **budget)

    def tallied() -> dict[str, Tally]:
        tallies = {}
        for dtype in asked.dtypes:
            tally = judge_dtype(asked, dtype, **budget, progress=progress, pace=pace())
            tallies[dtype] = tally
            if told is not None:
                told(dtype, tally.verdict)
        return tallies

    tallies = tallied()
    if all(tally.verdict is Verdict.NOT_TAKEN for tally in tallies.values()):
        asked = replace(asked, tried=frozenset())  # one that takes nothing has not passed
        tallies = tallied()
    subject = asked.without(x for tally in tallies.values() for x in tally.not_taken)
    if not why_not(subject):
        passed = {
            dtype: tally
            for dtype, tally in tallies.items()
            if tally.verdict not in (Verdict.REJECTED, Verdict.NOT_TAKEN)
        }
        if subject.compiles and any(tally.share < 1 for tally in passed.values()):
            # Each is compiled for there once more; the one of which least is known has to do.
            least = min(passed, key=lambda dtype: passed[dtype].share)
            passed = {least: passed[least]}
        for dtype, failure in judge_elsewhere(subject, passed, fresh).items():
            tallies[dtype].failure = failure
    results = [result_of(subject, dtype, tally) for dtype, tally in tallies.items()]
    if explain:
        results = named_at_once(subject, results, tallies)
        results = explained(subject, results, **budget)
        results = named(subject, results, tallies)
    results = [with_refusals(result, subject.declared) for result in results]
    command = (
        f"lion_conformance.verify(port, {_in_words(dtypes, mixed)}"
        f"max_examples={max_examples}, seed={seed})"
    )
    origin = replace(Origin.of(port), command=command)
    report = report_on(subject, results, **budget, origin=origin)
    report = replace(report, hand_over=hand_over.judge(subject, asked.dtypes))
    unasked = given.dtypes_unsaid and all(len(set(x)) == 1 for x in asked.port.triples)
    report = replace(report, mixed_unasked=unasked)
    options: dict[str, Any] = {"mixed": mixed, "explain": explain, "pace": pace, **budget}
    others = [(variant, judge(variant.port, dtypes, **options)) for variant in given.variants]
    return together(report, others)


def _in_words(dtypes: Dtypes | None, mixed: bool) -> str:
    """The arguments that ask for the same dtypes again."""
    named = [dtypes] if isinstance(dtypes, str) else list(dtypes or ())
    words = [x if isinstance(x, str) else spelled(x) for x in named]
    return (f"dtypes={words!r}, " if words else "") + ("mixed=True, " if mixed else "")


def with_refusals(result: DtypeResult, declared: Semantics | None) -> DtypeResult:
    """The result whose sentence says what was refused, if anything was."""
    if not result.refusals:
        return result
    exact = {Verdict.BIT_EXACT: CANONICAL, Verdict.BIT_EXACT_AS: declared}.get(result.verdict)
    words = result.sentence or ("" if exact is None else sentence(exact))
    return replace(result, sentence=wherever_it_answers(words, result.refusals))


def report_on(
    port: Port,
    results: Iterable[DtypeResult],
    *,
    max_examples: int,
    seed: int,
    origin: Origin,
) -> Report:
    """The report on a port that was judged here and now."""
    return Report(
        port=port.name,
        door=port.door,
        device=port.device,
        declared=port.declared,
        results=tuple(results),
        seed=seed,
        max_examples=max_examples,
        versions=versions(),
        not_offered=tuple(not_offered(port)),
        origin=origin,
    )


def not_run(name: str, why: str, door: str, device: str, *, max_examples: int, seed: int) -> Report:
    """The report on a port of which nothing could be judged."""
    return Report(
        port=name,
        door=door,
        device=device,
        declared=None,
        results=(),
        seed=seed,
        max_examples=max_examples,
        versions=versions(),
        not_run=why,
    )


def not_offered(port: Port) -> Iterator[str]:
    """The events that a port does not take part in, and why it restores nothing elsewhere."""
    judged = port.offers - ({Offer.SEVERAL_DTYPES} if len(port.triples) == 1 else set())
    yield from (offer.value for offer in Offer if offer not in judged)
    elsewhere = why_not(port)
    if elsewhere and Offer.RESTORE in port.offers:
        yield elsewhere


def check_budget(max_examples: object, seed: object) -> None:
    """ValueError unless max_examples is an integer >= 1 and seed one >= 0."""
    for name, value, least in (("max_examples", max_examples, 1), ("seed", seed, 0)):
        if type(value) is not int or value < least:  # a bool is an int, and a mistake
            raise ValueError(f"{name}={value!r} is not legal; legal: an integer >= {least}")


def _check_options(explain: object, progress: object) -> None:
    """TypeError unless explain is True or False, and progress callable or None."""
    if not isinstance(explain, bool):
        raise TypeError(f"explain={explain!r} is not legal; legal: True or False")
    if progress is not None and not callable(progress):
        legal = "a callable progress(dtype, done, of), or None"
        raise TypeError(f"progress={progress!r} is not legal; legal: {legal}")


def judge_dtype(
    asked: Asked,
    dtype: str,
    *,
    max_examples: int,
    seed: int,
    progress: Progress | None = None,
    pace: Pace | None = None,
) -> Tally:
    """Judge a port on cases whose θ has one dtype, and if they pass, on runs of many events.

    pace: the time for them; all are judged, if omitted.
    """
    pace = pace or Pace()
    tally = Tally(asked.port.declared)
    triples = [x for x in asked.port.triples if x[0] == dtype]
    tried = [x for x in triples if x in asked.tried]
    untaken = [x for x in tried if tally.failure is None and not tally.takes(asked.port, x)]
    triples = [x for x in triples if x not in untaken]
    port = asked.without(untaken)

    def judge_case(case: Case) -> bool:
        passed = tally.add(port, case)
        tally.widths.add(case)
        if progress is not None:
            progress(dtype, min(tally.cases, max_examples), max_examples)
        return passed

    if triples and tally.failure is None:
        budget = {"max_examples": max_examples, "seed": seed}
        feed(judge_case, triples, **budget, compiles=port.compiles, pace=pace)
    tally.find_refusals(port)
    if triples and tally.failure is None:
        drawn = affordable(port, max_examples)
        judge_runs(port, dtype, tally, drawn=drawn, seed=seed, pace=pace)
        tally.find_refusals(port)  # in runs, others may have been found
    if progress is not None:
        progress(dtype, max_examples, max_examples)
    tally.share = pace.share
    return tally


def result_of(port: Port, dtype: str, tally: Tally) -> DtypeResult:
    """What was tallied of one dtype, with the smallest counterexample if it was rejected."""
    counterexample = None
    if tally.shortfall is not None:
        counterexample = Counterexample.of(smallest(port, tally.shortfall))
    elif tally.undeclared:
        counterexample = Counterexample.of(refused_alone(port, tally))
    return DtypeResult(
        dtype=dtype,
        triples=tuple(spelled(x) for x in _judged(port, dtype, tally)),
        not_taken={spelled(triple): words for triple, words in tally.not_taken.items()},
        refusals=tally.refusals,
        undeclared=tally.undeclared,
        verdict=tally.verdict,
        as_promised=tally.as_promised,
        cases=tally.cases,
        share=tally.share,
        elements=tally.elements,
        port_seconds=tally.port_seconds,
        judge_seconds=tally.judge_seconds,
        reasons={
            reason.value: count
            for reason, count in sorted(tally.reasons.items(), key=lambda item: item[0].value)
        },
        counterexample=counterexample,
        differences=tuple(tally.differences),
        events=dict(tally.events),
        width=tally.widths.result(),
    )


def _judged(port: Port, dtype: str, tally: Tally) -> list[Triple]:
    """The triples with a dtype of θ, without those that there was no time for."""
    triples = [x for x in port.triples if x[0] == dtype]
    return triples if tally.share == 1 else [x for x in triples if x in tally.triples]
