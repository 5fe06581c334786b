"""Judge one port: the public `verify`, and the loop over cases under it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lion_conformance.cases import Case, Seeded, build
from lion_conformance.judge import Tally
from lion_conformance.port import Port, Triple, from_callable
from lion_conformance.reduce import reduced
from lion_conformance.report.model import Counterexample, DtypeResult, Report, versions
from lion_ref import STORAGE_DTYPES

MAX_EXAMPLES = 25
"""Cases for each dtype of θ; each holds tens of thousands of elements."""

Progress = Callable[[str, int, int], None]


def verify(
    port: Port | Callable[..., Any],
    *,
    dtypes: Iterable[str] | None = None,
    max_examples: int = MAX_EXAMPLES,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """Judge a port against lion_ref, bit for bit, on adversarial cases.

    Args:
        port: a callable with lion_ref.step's signature (NumPy arrays in, new NumPy arrays out), or
            a `Port`, which can say more: its name, the dtypes it takes, the semantics it declares.
        dtypes: the storage dtypes of θ to judge; all that the port takes if omitted.
        max_examples: cases for each of them.
        seed: the same seed gives the same cases.
        progress: called as progress(dtype, cases done, cases in all).

    Returns:
        A `Report`: `.ok`, `.verdict`, `.verdicts` (one a dtype), `.counterexample` (the smallest
        found).

    Raises:
        TypeError, ValueError: an argument that is not legal, by name. What the port raises is no
        error here: it is the port's verdict.

    The judged equation, rounding order and accepted set are SPEC.md's.

    >>> import lion_ref
    >>> report = verify(lion_ref.step, dtypes=["float32"], max_examples=5)
    >>> report.ok, report.verdict.value
    (True, 'bit-exact')
    """
    subject = port if isinstance(port, Port) else from_callable(port)
    wanted = check_dtypes(subject, dtypes)
    for name, value, least in (("max_examples", max_examples, 1), ("seed", seed, 0)):
        if type(value) is not int or value < least:  # a bool is an int, and a mistake
            raise ValueError(f"{name}={value!r} is not legal; legal: an integer >= {least}")
    results = [
        verify_dtype(subject, dtype, max_examples=max_examples, seed=seed, progress=progress)
        for dtype in wanted
    ]
    return Report(
        port=subject.name,
        door=subject.door,
        device=subject.device,
        declared=subject.declared,
        results=tuple(results),
        seed=seed,
        max_examples=max_examples,
        versions=versions(),
    )


def check_dtypes(port: Port, dtypes: Iterable[str] | None) -> tuple[str, ...]:
    """The dtypes of θ to judge; ValueError for one that no port or not this port takes."""
    if dtypes is None:
        return port.params()
    wanted = (dtypes,) if isinstance(dtypes, str) else tuple(dtypes)
    for dtype in wanted:
        if dtype not in STORAGE_DTYPES:
            raise ValueError(f"dtype={dtype!r} is not legal; legal: {', '.join(STORAGE_DTYPES)}")
        if dtype not in port.params():
            raise ValueError(
                f"dtype={dtype!r} is not taken by {port.name}; legal: {', '.join(port.params())}"
            )
    return wanted


def verify_dtype(
    port: Port, dtype: str, *, max_examples: int, seed: int, progress: Progress | None = None
) -> DtypeResult:
    """Judge a port on cases whose θ has one dtype."""
    triples = tuple(triple for triple in port.triples if triple[0] == dtype)
    tally = Tally(port.declared)

    def judge_case(case: Case) -> bool:
        passed = tally.add(port, case)
        if progress is not None:
            progress(dtype, min(tally.cases, max_examples), max_examples)
        return passed

    drive(judge_case, triples, max_examples=max_examples, seed=seed)
    counterexample = None
    if tally.failure is not None:
        counterexample = Counterexample.of(reduced(port, tally.failure))
    if progress is not None:
        progress(dtype, max_examples, max_examples)
    return DtypeResult(
        dtype=dtype,
        verdict=tally.verdict,
        as_promised=tally.as_promised,
        cases=tally.cases,
        elements=tally.elements,
        port_seconds=tally.port_seconds,
        judge_seconds=tally.judge_seconds,
        reasons={
            reason.value: count
            for reason, count in sorted(tally.reasons.items(), key=lambda item: item[0].value)
        },
        counterexample=counterexample,
        differences=tuple(tally.differences),
    )


def drive(
    judge_case: Callable[[Case], bool],
    triples: Sequence[Triple],
    *,
    max_examples: int,
    seed: int,
) -> None:
    """Feed cases until one is rejected; Hypothesis draws them where it is installed."""
    try:
        from lion_conformance.strategies import drive_by_hypothesis
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        draws = Seeded(seed)
        for _ in range(max_examples):
            if not judge_case(build(draws, triples)):
                return
    else:
        drive_by_hypothesis(judge_case, triples, max_examples=max_examples, seed=seed)
