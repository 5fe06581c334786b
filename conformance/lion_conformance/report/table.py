"""The matrix that every format shows: a row a port, a column a dtype, and one for each run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lion_conformance.cases.case import ORDINARY_IN_WORDS
from lion_conformance.ports.refusal import Refusal
from lion_conformance.report.findings import DtypeResult, Findings
from lion_conformance.verdict.accepted_set import Width
from lion_conformance.verdict.sentences import ORDINARILY, sentence
from lion_conformance.verdict.verdict import Verdict
from lion_ref import CANONICAL, STORAGE_DTYPES, Semantics

SHOWN = 8
"""Refusals that are told one by one."""

HEADS = ("port", "door", "device")
"""The columns that say what is judged; those behind them hold verdicts."""
TAPE = "real gradients"
HAND_OVER = "hand-over"
MACHINE_CODE = "machine code"
HANDED_OVER = "hands a run to lion_ref and takes it back, without the loss of a bit"
COLUMNS = (*HEADS, *STORAGE_DTYPES, TAPE, HAND_OVER)


@dataclass(frozen=True, slots=True)
class Cell:
    """A verdict in short, and whether the port keeps its promise there."""

    text: str
    verdict: Verdict | None
    ok: bool


def heads(report: Findings) -> tuple[str, str, str]:
    """What is judged in a row: port, door and device."""
    return report.port, report.door, report.device


def row(report: Findings) -> list[Cell]:
    """The cells behind the port's name, door and device."""
    if report.not_run:
        return [Cell("not run", Verdict.NOT_RUN, ok=False)] * (len(COLUMNS) - len(HEADS))
    by_dtype = {result.dtype: result for result in report.results}
    parts = (*(by_dtype.get(dtype) for dtype in STORAGE_DTYPES), report.tape, report.hand_over)
    return [
        Cell("–", None, ok=True)
        if part is None
        else Cell(short(report, part.verdict), part.verdict, part.as_promised)
        for part in parts
    ]


def short(report: Findings, verdict: Verdict) -> str:
    """A verdict that fits a cell; `notes` spells out what it leaves out."""
    return in_short(report.declared, verdict)


def in_short(declared: Semantics | None, verdict: Verdict) -> str:
    """A verdict on a port that declares a semantics, or none."""
    if verdict is not Verdict.BIT_EXACT_AS:
        return str(verdict.value)
    if declared is None:
        return "bit-exact as diagnosed"
    if declared.differences() == {"subnormals": "flush"}:
        return "bit-exact as flush"
    return "bit-exact as declared"


def meaning(report: Findings, result: DtypeResult) -> str:
    """The semantics of one cell in a sentence."""
    if result.verdict is Verdict.NOT_TAKEN:
        return "; ".join(dict.fromkeys(result.not_taken.values()))
    if result.sentence:
        return result.sentence
    if result.verdict is Verdict.BIT_EXACT:
        return sentence(CANONICAL)
    if result.verdict is Verdict.BIT_EXACT_AS and report.declared is not None:
        return sentence(report.declared)
    return "no semantics was looked for"


def width_in_words(width: Width) -> list[str]:
    """How wide the accepted sets were, a sentence for θ', for m' and for u."""
    ulps = "{}: {:,} ulps wide in the median, up to {:,} in nine of ten"
    return [
        ulps.format("accepted set of θ'", width.param_median, width.param_ninth_decile),
        ulps.format("accepted set of m'", width.momentum_median, width.momentum_ninth_decile),
        f"more than one sign in {width.ambiguous:.1%} of {width.elements:,} elements measured",
    ]


def notes(reports: Sequence[Findings]) -> list[str]:
    """What the cells leave out: declared semantics in words, reasons for rows that were not run."""
    notes = _Notes(several=len(reports) > 1)
    for report in reports:
        for text in facts(report):
            notes.add(report, text)
    unrun = [f"{x.port} ({x.door}) not run: {x.not_run}" for x in reports if x.not_run]
    return [*notes.lines(), *unrun, *shares(reports), *general(reports)]


def general(reports: Sequence[Findings]) -> list[str]:
    """What is said of no port alone."""
    said = []
    if any(ORDINARILY in report.sentence for report in reports):
        said.append(f"ordinary hyperparameters: {ORDINARY_IN_WORDS}")
    if len(reports) > 1 and any(x.text == "–" for report in reports for x in row(report)):
        said.append(
            "–: the port does not take this dtype or offer this run, or was not asked for it"
        )
    return said


def facts(report: Findings) -> Iterator[str]:
    """What the cells of one port leave out."""
    if report.declared is not None and report.declared.differences() and not report.not_run:
        yield f"declared “{report.declared.describe()}”"
    for words, triples in untaken(report).items():
        yield f"{', '.join(triples)} not taken: {words}"
    if report.mixed_unasked:
        yield "triples of several dtypes were not asked for (--mixed asks)"
    for line in () if report.assembly is None else report.assembly.lines:
        yield f"{MACHINE_CODE}: {line}"
    if report.not_offered:
        yield f"not offered, so not judged: {', '.join(report.not_offered)}"


class _Notes:
    """Each thing to say once, with the ports of which it is said where there are several."""

    def __init__(self, *, several: bool) -> None:
        self._several = several
        self._said: dict[str, list[str]] = {}

    def add(self, report: Findings, text: str) -> None:
        """Say it of this port."""
        self._said.setdefault(text, []).append(f"{report.port} ({report.door})")

    def lines(self) -> list[str]:
        """A line for each."""
        if not self._several:
            return list(self._said)
        return [f"{', '.join(ports)}: {text}" for text, ports in self._said.items()]


def shares(reports: Sequence[Findings]) -> list[str]:
    """What there was time for, where that was not all."""
    found = [(x.share, f"{r.port} ({r.door}), {x.dtype}") for r in reports for x in r.results]
    cut = [r.tape for r in reports if r.tape and r.tape.as_promised]
    cut = [tape for tape in cut if tape.steps < tape.recorded]
    least, where = min(found, default=(1.0, ""))
    if least == 1 and not cut:
        return []
    mean = sum(share for share, _ in found) / len(found)
    words = f"there was time for {_percent(mean)} of all cases and runs"
    words += f", and for {_percent(least)} of those of {where}" if least < 1 else ""
    if cut:
        steps = min(tape.steps for tape in cut)
        words += f"; for {steps} or more of the {cut[0].recorded} steps of real gradients"
    return [f"{words}; --thorough judges all"]


def _percent(share: float) -> str:
    """A share without its decimals; never all, or none, of what is less, or more.

    >>> _percent(0.999), _percent(0.004), _percent(1.0)
    ('99%', '1%', '100%')
    """
    return f"{100 if share == 1 else min(max(round(100 * share), 1), 99)}%"


def share_in_words(result: DtypeResult) -> list[str]:
    """What share of a thorough judging there was time for, if not all."""
    return [f"{_percent(result.share)} of all cases and runs"] if result.share < 1 else []


def untaken(report: Findings) -> dict[str, list[str]]:
    """The dtypes that a port does not take, those of one reason together: its own words."""
    shared: dict[str, list[str]] = {}
    for result in report.results:
        for triple, words in result.not_taken.items():
            shared.setdefault(words, []).append(triple)
    return shared


def refused(result: DtypeResult) -> list[str]:
    """Which legal scalars a port refuses, of those tried, in how many cases, and its words."""
    return [
        f"refuses {x.describe()}{_said(x, result)} ({x.cases} "
        f"{'case' if x.cases == 1 else 'cases'}): {x.words}"
        for x in result.refusals[:SHOWN]
    ]


def _said(refusal: Refusal, result: DtypeResult) -> str:
    return "" if refusal in result.undeclared else ", as it declares"


def totals(reports: Sequence[Findings]) -> str:
    """How much was judged, and how fast."""
    results = [result for report in reports for result in report.results]
    elements = sum(result.elements for result in results)
    cases = sum(result.cases for result in results)
    judging = sum(result.judge_seconds for result in results)
    stepping = sum(result.port_seconds for result in results)
    if not judging:
        asked = f"{elements:,} elements in {cases:,} cases, and no answer" if cases else "nothing"
        return f"{asked} that could be judged"
    replayed = sum(report.tape.elements for report in reports if report.tape)
    parts = [f"{elements:,} elements in {cases:,} cases"]
    if replayed:
        parts.append(f"{replayed:,} elements of real gradients replayed")
    speed = f"{elements / judging / 1e6:.1f} million elements a second"
    parts.append(f"judged at {speed} ({judging:.1f} s)")
    stepped = "the port" if len(reports) == 1 else "the ports"
    parts.append(f"{stepped} took {stepping:.1f} s, compilation included")
    return "; ".join(parts)
