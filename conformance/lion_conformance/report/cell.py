"""One port and dtype on the page: a cell of the matrix, and below it all that is known of it."""

from __future__ import annotations

from html import escape

from lion_conformance.report import plot
from lion_conformance.report.counterexample import Counterexample
from lion_conformance.report.findings import DtypeResult, Findings
from lion_conformance.report.reproduction import SHOWN, reproduction
from lion_conformance.report.style import CLASSES, MARKS
from lion_conformance.report.table import (
    TAPE,
    Cell,
    meaning,
    refused,
    share_in_words,
    width_in_words,
)
from lion_conformance.runs.tape import TapeResult
from lion_conformance.verdict.verdict import Verdict

SYMBOLS = {"param": "θ", "momentum": "m", "grad": "g"}


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


def details(number: int, report: Findings) -> str:
    """All that is known of one port: a part for each dtype, those that fall short unfolded."""
    parts = [_dtype(number, report, result) for result in report.results]
    if report.tape is not None:
        parts.append(_tape(number, report, report.tape))
    title = escape(f"{report.port} ({report.door}, {report.device})")
    declared = report.declared
    said = "declares nothing" if declared is None else f"declares “{declared.describe()}”"
    return (
        f'<section><h3>{title}</h3><p class="soft">The port {escape(said)}.</p>'
        + "".join(parts)
        + _reproduction(report)
        + "</section>"
    )


def _anchor(number: int, column: str) -> str:
    return f"p{number}-{column.replace(' ', '-')}"


def _folded(anchor: str, label: str, verdict: Verdict, body: str, *, ok: bool) -> str:
    unfolded = "" if ok else " open"
    text = f"{MARKS[verdict]} {label}" + ("" if ok else " (falls short)")
    return (
        f'<details id="{anchor}"{unfolded}><summary class="{CLASSES[verdict]}">{escape(text)}'
        f"</summary>{body}</details>"
    )


def _dtype(number: int, report: Findings, result: DtypeResult) -> str:
    body = [f"<p>{escape(_sentence(meaning(report, result)))}</p>"]
    label = f"{result.dtype}: {report.words(result.verdict)}"
    anchor = _anchor(number, result.dtype)
    if result.verdict is Verdict.NOT_TAKEN:
        return _folded(anchor, label, result.verdict, "".join(body), ok=True)
    cases = "1 case" if result.cases == 1 else f"{result.cases:,} cases"
    facts = [f"{result.elements:,} elements in {cases}", *share_in_words(result)]
    facts += [f"{count:,} {reason}" for reason, count in result.reasons.items()]
    body.append(f'<p class="soft">{escape("; ".join(facts))}.</p>')
    body += [f"<p>{escape(_sentence(line))}</p>" for line in refused(result)]
    if result.width is not None:
        body.append(f'<p class="soft">{escape(_sentence(width_in_words(result.width)))}</p>')
    if result.counterexample is not None:
        body.append(_counterexample(result.counterexample))
    title = f"{report.port} ({report.door}), {result.dtype}"
    body.append(
        plot.svg(result.differences, title)
        or '<p class="soft">No finite θ\' differs: there is nothing to draw.</p>'
    )
    return _folded(anchor, label, result.verdict, "".join(body), ok=result.as_promised)


def _sentence(text: str) -> str:
    """Text with a full stop, and with a capital where it begins with a word, not a symbol."""
    word = text.split(" ", maxsplit=1)[0]
    begins = text[0].upper() if len(word) > 1 and word.isascii() and word.isalpha() else text[0]
    return begins + text[1:].rstrip(".") + "."


def _tape(number: int, report: Findings, found: TapeResult) -> str:
    of = "" if found.steps == found.recorded else f" of {found.recorded}"
    steps = f"{found.steps}{of} steps of a recorded training run"
    body = f"<p>{found.elements:,} elements in {steps}.</p>"
    if found.why:
        body += f"<p>{escape(_sentence(found.why))}</p>"
    label = f"{TAPE}: {report.words(found.verdict)}"
    return _folded(_anchor(number, TAPE), label, found.verdict, body, ok=found.as_promised)


def _counterexample(found: Counterexample) -> str:
    scalars = ", ".join(f"{name}={value!r}" for name, value in found.scalars.items())
    where = [f"shape {found.shape}", *found.layout_words()]
    if found.shape not in ((), (1,)):
        where.append(f"element {found.index}")
    rows = []
    for kind, values, mark in (
        ("given", found.inputs, ""),
        ("expected", found.expected, "′"),
        ("got", found.got, "′"),
        ("then", found.again, "′"),
    ):
        rows += [
            f'<tr class="{kind}"><th scope="row">{kind} {SYMBOLS[name]}{mark}</th>'
            f"<td>{escape(found.dtypes[name])}</td><td>{escape(value.hex)}</td>"
            f"<td>{escape(value.decimal)}</td></tr>"
            for name, value in values.items()
        ]
        if kind == "expected":
            rows += [
                f'<tr><th scope="row">accepted {SYMBOLS[name]}′</th>'
                f'<td colspan="3" class="wide">{escape(accepted.words())}</td></tr>'
                for name, accepted in found.accepted.items()
            ]
    heads = "".join(f'<th scope="col">{x}</th>' for x in ("", "dtype", "bits", "decimal"))
    heads = heads.replace('<th scope="col"></th>', '<th scope="col">what</th>')
    run = f"<pre tabindex='0'>{escape(chr(10).join(found.run))}</pre>" if found.run else ""
    kept = "" if found.alone or found.again or found.run else "<p>Alone, this case is right.</p>"
    return (
        f"<h4>Counterexample</h4><p>{escape(_sentence(found.why))}</p>{kept}{run}"
        f'<p class="soft">{escape(", ".join(where))}; {escape(scalars)}</p>'
        '<div class="scroll" role="region" aria-label="Counterexample" tabindex="0">'
        f'<table class="bits"><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody>'
        "</table></div>"
    )


def _reproduction(report: Findings) -> str:
    text = reproduction(report)
    if not text:
        return ""
    if len(text) > SHOWN:
        return (
            "<p>The case is too large to show; <code>--reproduction FILE</code> writes it as a "
            "program.</p>"
        )
    return (
        "<details><summary>Reproduce it: one Python file, which exits with 1 while the port is "
        f'wrong</summary><pre tabindex="0">{escape(text)}</pre></details>'
    )
