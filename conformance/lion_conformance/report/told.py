"""What is said of a port, in the order in which it is read: the verdict, what is wrong, the rest.

Dtypes of which the same is to be said are named together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lion_conformance.ptx.sass import Assembly
from lion_conformance.report.counterexample import Counterexample
from lion_conformance.report.explanation import how_to_learn_more
from lion_conformance.report.findings import DtypeResult, Findings
from lion_conformance.report.table import (
    HAND_OVER,
    HANDED_OVER,
    MACHINE_CODE,
    TAPE,
    meaning,
    short,
)
from lion_conformance.runs.hand_over import HandOverResult
from lion_conformance.runs.tape import TapeResult
from lion_conformance.verdict.code import Code
from lion_conformance.verdict.sentences import headline, in_words, sentence
from lion_conformance.verdict.verdict import Verdict
from lion_ref import CANONICAL

PLAIN_DOOR = "step(...)"


@dataclass(frozen=True, slots=True)
class Said:
    """One verdict: of which dtypes, and why."""

    verdict: Verdict
    label: str
    """The verdict in short."""
    ok: bool
    what: str
    """What is wrong, or what the port equals; one line."""
    more: tuple[str, ...]
    """What goes on from there, a line each."""
    code: Code | None = None
    """That of the cause, if one was found."""
    parts: tuple[str, ...] = ()
    """The dtypes, the recorded run, the hand-over."""

    @property
    def lines(self) -> tuple[str, ...]:
        """What goes on, and how to learn more."""
        return self.more if self.code is None else (*self.more, how_to_learn_more(self.code))

    def line(self, report: Findings) -> str:
        """Everything in one line, without what goes on."""
        return f"{self.label}  {port_name(report)}, {', '.join(self.parts)}: {self.what}"


def port_name(report: Findings) -> str:
    """The port, with its door and device where they are not the usual ones."""
    where = [] if report.door in (PLAIN_DOOR, "–") else [report.door]
    where += [] if report.device == "cpu" else [report.device]
    return f"{report.port} ({', '.join(where)})" if where else report.port


def said(report: Findings) -> list[Said]:
    """A verdict for all dtypes that share it and its reason; those that fall short first."""
    found: dict[Said, list[str]] = {}
    for result in report.results:
        found.setdefault(_of_dtype(report, result), []).append(result.dtype)
    if report.tape is not None:
        found.setdefault(_of_tape(report, report.tape), []).append(TAPE)
    if report.hand_over is not None:
        found.setdefault(_of_hand_over(report, report.hand_over), []).append(HAND_OVER)
    if report.assembly is not None and report.assembly.beyond:
        found.setdefault(_of_assembly(report.assembly), []).append(MACHINE_CODE)
    grouped = [replace(x, parts=tuple(parts)) for x, parts in found.items()]
    return sorted(grouped, key=lambda x: (x.ok, -x.verdict.rank if x.ok else 0))


def shown_first(report: Findings) -> tuple[str, Counterexample] | None:
    """The dtype and the counterexample that are shown before any other."""
    short_ones = (x for x in report.results if not x.as_promised and x.counterexample)
    first = next(short_ones, None)
    if first is None or first.counterexample is None:
        return None
    return first.dtype, first.counterexample


def _of_dtype(report: Findings, result: DtypeResult) -> Said:
    what, more = _reason(report, result)
    label = short(report, result.verdict)
    if not result.as_promised and result.verdict is not Verdict.REJECTED:
        label, what = "falls short", f"{label}, but {what}"
    code = None if result.cause is None else result.cause.code
    return Said(result.verdict, label, result.as_promised, what, more, code)


def _reason(report: Findings, result: DtypeResult) -> tuple[str, tuple[str, ...]]:
    if result.cause is not None:
        what, more = headline(result.cause.line())
        return what, (*more, *result.cause.evidence[:1])
    found = result.counterexample
    if result.undeclared and result.verdict is not Verdict.REJECTED:
        what, more = headline(f"{in_words(result.undeclared)}, which it does not declare")
        words = dict.fromkeys(x.words for x in result.undeclared if x.words)
        return what, (*more, *words)
    text = meaning(report, result)
    unsaid = not result.sentence or (found is not None and not found.got and not found.run)
    if not result.as_promised and found is not None and (unsaid or found.promised is not None):
        what, more = headline(found.why)
        return what, more
    return headline(text)


def _of_tape(report: Findings, found: TapeResult) -> Said:
    what, more = headline(sentence(CANONICAL))
    if found.why:
        what, more = headline(found.why)
    elif found.verdict is Verdict.BIT_EXACT_AS:
        known = next((x.semantics for x in report.results if x.dtype == "float32"), None)
        what, more = headline(sentence(report.declared or known or CANONICAL))
    elif found.verdict is not Verdict.BIT_EXACT:
        what = f"{found.steps} steps of a recorded run do not keep to what is declared"
        if found.as_promised:
            what = f"{found.steps} steps of a recorded run are roundings of Lion's"
    return Said(found.verdict, short(report, found.verdict), found.as_promised, what, more)


def _of_hand_over(report: Findings, found: HandOverResult) -> Said:
    what, more = headline(found.why or HANDED_OVER)
    return Said(found.verdict, short(report, found.verdict), found.as_promised, what, more)


def _of_assembly(found: Assembly) -> Said:
    what, *more = found.beyond
    return Said(Verdict.REJECTED, "falls short", ok=False, what=what, more=tuple(more))
