"""One port and dtype on the page: a cell of the matrix, and, folded, all that is known of it."""

from __future__ import annotations

from html import escape

from lion_conformance.report import plot
from lion_conformance.report.findings import DtypeResult, Findings
from lion_conformance.report.opening import counterexample, with_capital
from lion_conformance.report.style import CLASSES, MARKS
from lion_conformance.report.table import (
    HAND_OVER,
    HANDED_OVER,
    TAPE,
    Cell,
    meaning,
    refused,
    share_in_words,
    width_in_words,
)
from lion_conformance.runs.hand_over import HandOverResult
from lion_conformance.runs.tape import TapeResult
from lion_conformance.verdict.sentences import headline
from lion_conformance.verdict.verdict import Verdict


def matrix_cell(number: int, report: Findings, column: str, cell: Cell) -> str:
    """A cell of the matrix; a link to what is below, where there is more."""
    if cell.verdict is None:
        return f'<td class="none" data-column="{escape(column)}">{escape(cell.text)}</td>'
    short = not cell.ok and cell.verdict is not Verdict.NOT_RUN
    classes = CLASSES[cell.verdict] + (" short" if short else "")
    words = escape(f"{MARKS[cell.verdict]} {cell.text}" + (" (falls short)" if short else ""))
    if not report.not_run:
        words = f'<a href="#{_anchor(number, column)}">{words}</a>'
    return f'<td class="{classes}" data-column="{escape(column)}">{words}</td>'


def parts(number: int, report: Findings) -> str:
    """All that is known of one port: a folded part for each dtype, and for each run."""
    found = [_dtype(number, report, result) for result in report.results]
    if report.tape is not None:
        found.append(_tape(number, report.tape))
    if report.hand_over is not None:
        found.append(_hand_over(number, report.hand_over))
    return "".join(found)


def _anchor(number: int, column: str) -> str:
    return f"p{number}-{column.replace(' ', '-')}"


def _folded(anchor: str, label: str, verdict: Verdict, body: str, *, ok: bool) -> str:
    text = f"{MARKS[verdict]} {label}" + ("" if ok else " (falls short)")
    return (
        f'<details id="{anchor}"><summary class="{CLASSES[verdict]}">{escape(text)}'
        f"</summary>{body}</details>"
    )


def _dtype(number: int, report: Findings, result: DtypeResult) -> str:
    what, more = headline(meaning(report, result))
    body = [f"<p>{escape(with_capital(what))}</p>", _listed([*more, *result.example])]
    label = f"{result.dtype}: {result.verdict.value}"
    anchor = _anchor(number, result.dtype)
    if result.verdict is Verdict.NOT_TAKEN:
        return _folded(anchor, label, result.verdict, "".join(body), ok=True)
    cases = "1 case" if result.cases == 1 else f"{result.cases:,} cases"
    facts = [f"{result.elements:,} elements in {cases}", *share_in_words(result)]
    facts += [f"{count:,} {reason}" for reason, count in result.reasons.items()]
    body.append(f'<p class="soft">{escape("; ".join(facts))}.</p>')
    if result.cause is not None:
        body.append(f"<p>{escape(with_capital(result.cause.line()))}</p>")
        body.append(_listed(result.cause.evidence))
    body += [f"<p>{escape(with_capital(line))}</p>" for line in refused(result)]
    if result.width is not None:
        said = " ".join(with_capital(line) for line in width_in_words(result.width))
        body.append(f'<p class="soft">{escape(said)}</p>')
    if result.counterexample is not None:
        body.append(f"<h4>Counterexample</h4>{counterexample(result.counterexample)}")
    title = f"{report.port} ({report.door}), {result.dtype}"
    body.append(
        plot.svg(result.differences, title)
        or '<p class="soft">No finite θ\' differs: there is nothing to draw.</p>'
    )
    return _folded(anchor, label, result.verdict, "".join(body), ok=result.as_promised)


def _listed(lines: list[str] | tuple[str, ...]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def _tape(number: int, found: TapeResult) -> str:
    of = "" if found.steps == found.recorded else f" of {found.recorded}"
    steps = f"{found.steps}{of} steps of a recorded training run"
    body = f"<p>{found.elements:,} elements in {steps}.</p>"
    if found.why:
        body += f"<p>{escape(with_capital(found.why))}</p>"
    label = f"{TAPE}: {found.verdict.value}"
    return _folded(_anchor(number, TAPE), label, found.verdict, body, ok=found.as_promised)


def _hand_over(number: int, found: HandOverResult) -> str:
    body = f"<p>{found.elements:,} elements of θ and m in {escape(', '.join(found.dtypes))}.</p>"
    body += f"<p>{escape(with_capital(found.why or HANDED_OVER))}</p>"
    label = f"{HAND_OVER}: {found.verdict.value}"
    return _folded(_anchor(number, HAND_OVER), label, found.verdict, body, ok=found.as_promised)
