"""Reports as one self-contained page: readable on a phone, in print and without colour."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from lion_conformance.judge import Verdict
from lion_conformance.report import plot
from lion_conformance.report.table import COLUMNS, Cell, notes, row, shortfalls, totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lion_conformance.report.model import Report

_CLASSES = {
    Verdict.BIT_EXACT: "exact",
    Verdict.BIT_EXACT_AS: "exact-as",
    Verdict.ACCEPTED: "accepted",
    Verdict.REJECTED: "rejected",
    Verdict.NOT_RUN: "not-run",
}
_MARKS = {
    Verdict.BIT_EXACT: "✓",
    Verdict.BIT_EXACT_AS: "✓",
    Verdict.ACCEPTED: "≈",
    Verdict.REJECTED: "✗",
    Verdict.NOT_RUN: "?",
}

_STYLE = """
:root { color-scheme: light dark; --ink: #1a1d21; --paper: #fff; --rule: #d5d9de; --soft: #5a626b;
  --exact: #d7f0dd; --exact-as: #dcebfa; --accepted: #fdf1cf; --rejected: #fbdcdc;
  --not-run: #eceef0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --paper: #15181c; --rule: #3a4048;
  --soft: #a3abb5; --exact: #17402a; --exact-as: #173a5c; --accepted: #4d3f10; --rejected: #5c1f1f;
  --not-run: #2b3036; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 72rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; max-width: 46rem; } .soft { color: var(--soft); }
.verdict { font-size: 1.1rem; font-weight: 600; }
.scroll { overflow-x: auto; margin: 1.25rem 0; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { text-align: left; padding: .5rem .6rem; border-bottom: 1px solid var(--rule);
  vertical-align: top; }
thead th { font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 600; } td.door { color: var(--soft); }
td.exact { background: var(--exact); } td.exact-as { background: var(--exact-as); }
td.accepted { background: var(--accepted); } td.rejected { background: var(--rejected); }
td.not-run { background: var(--not-run); } td.short { outline: 2px solid; outline-offset: -2px; }
pre { overflow-x: auto; border: 1px solid var(--rule); border-radius: .4rem; padding: .75rem;
  font-size: .85rem; line-height: 1.45; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: .9rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 1rem 0 2rem; } figcaption { color: var(--soft); font-size: .9rem; }
figure > svg { width: 100%; max-width: 44rem; display: block; font: 12px system-ui, sans-serif; }
svg text { fill: var(--soft); } svg .tick { text-anchor: middle; }
svg .left { text-anchor: end; } svg .axis { stroke: var(--rule); fill: none; }
svg .band { fill: var(--accepted); } .key { white-space: nowrap; margin-right: .75rem; }
.key svg { vertical-align: -2px; }
@media (max-width: 45rem) {
  thead { position: absolute; clip-path: inset(50%); }
  table, caption, tbody, tr, th, td { display: block; }
  tr { border: 1px solid var(--rule); border-radius: .4rem; margin-bottom: .9rem;
    overflow: hidden; }
  tbody th { background: var(--not-run); }
  td::before { content: attr(data-column) ": "; color: var(--soft); }
}
"""


def render(reports: Sequence[Report]) -> str:
    """The whole page."""
    not_run = sum(bool(report.not_run) for report in reports)
    short = sum(report.fell_short for report in reports)
    summary = "Every port keeps to what it declares."
    if short:
        summary = f"{short} of {len(reports)} ports fall short of what they declare."
    if not_run:
        summary += f" {not_run} could not be run."
    header = "".join(f'<th scope="col">{escape(name)}</th>' for name in COLUMNS)
    body = "\n".join(_row(report) for report in reports)
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes(reports))
    fell_short = shortfalls(reports)
    details = ""
    if fell_short:
        details = f"<h2>Fell short</h2><pre>{escape(chr(10).join(fell_short))}</pre>"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lion conformance</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>Lion conformance</h1>
<p class="verdict">{escape(summary)}</p>
<p class="soft">{escape(totals(reports))}.</p>
<div class="scroll"><table>
<caption>Each port against the reference, bit for bit: for each dtype of the parameter on
adversarial cases, and on the gradients of a recorded training run.</caption>
<thead><tr>{header}</tr></thead>
<tbody>
{body}
</tbody>
</table></div>
<ul>{listed}</ul>
{details}
{_pictures(reports)}
<h2>Environment</h2>
<dl>{_environment(reports)}</dl>
</main>
</body>
</html>
"""


def _pictures(reports: Sequence[Report]) -> str:
    drawn = "".join(
        plot.svg(result.differences, f"{report.port} ({report.door}), {result.dtype}")
        for report in reports
        for result in report.results
    )
    return f"<h2>Where bits differ</h2>{drawn}" if drawn else ""


def _row(report: Report) -> str:
    cells = "".join(_cell(name, cell) for name, cell in zip(COLUMNS[2:], row(report), strict=True))
    return (
        f'<tr><th scope="row">{escape(report.port)}</th>'
        f'<td class="door" data-column="door">{escape(report.door)}</td>{cells}</tr>'
    )


def _cell(column: str, cell: Cell) -> str:
    if cell.verdict is None:
        return f'<td data-column="{escape(column)}">{escape(cell.text)}</td>'
    classes = _CLASSES[cell.verdict] + ("" if cell.ok else " short")
    text = f"{_MARKS[cell.verdict]} {cell.text}" + ("" if cell.ok else " (falls short)")
    return f'<td class="{classes}" data-column="{escape(column)}">{escape(text)}</td>'


def _environment(reports: Sequence[Report]) -> str:
    if not reports:
        return ""
    facts = {"seed": str(reports[0].seed), "cases a dtype": str(reports[0].max_examples)}
    facts |= reports[0].versions
    return "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
