"""Reports as one self-contained page: readable on a phone, in print and without colour."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from lion_conformance.report.cell import details, matrix_cell
from lion_conformance.report.findings import Findings
from lion_conformance.report.style import SHEET
from lion_conformance.report.table import COLUMNS, HEADS, notes, row, totals


def render(reports: Sequence[Findings]) -> str:
    """The whole page."""
    header = "".join(f'<th scope="col">{escape(name)}</th>' for name in COLUMNS)
    body = "\n".join(_row(number, report) for number, report in enumerate(reports))
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes(reports))
    in_full = "\n".join(
        details(number, report) for number, report in enumerate(reports) if not report.not_run
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lion conformance</title>
<style>{SHEET}</style>
</head>
<body>
<main>
<h1>Lion conformance</h1>
<p class="verdict">{escape(_summary(reports))}</p>
<p class="soft">{escape(totals(reports))}.</p>
<div class="scroll" role="region" aria-label="Verdicts" tabindex="0"><table class="matrix">
<caption>Each port against the reference, bit for bit: for each dtype of the parameter on
adversarial cases, and on the gradients of a recorded training run.</caption>
<thead><tr>{header}</tr></thead>
<tbody>
{body}
</tbody>
</table></div>
{f"<ul>{listed}</ul>" if listed else ""}
{f"<h2>Each cell in full</h2>{in_full}" if in_full else ""}
<h2>Environment</h2>
<dl>{_environment(reports)}</dl>
</main>
</body>
</html>
"""


def _summary(reports: Sequence[Findings]) -> str:
    not_run = sum(bool(report.not_run) for report in reports)
    short = sum(report.fell_short for report in reports)
    summary = "Every port keeps to what it declares."
    if len(reports) == not_run:
        return "Nothing was judged."
    if short:
        ports = "port falls" if short == 1 else "ports fall"
        summary = f"{short} of {len(reports)} {ports} short."
    return summary + (f" {not_run} could not be run." if not_run else "")


def _row(number: int, report: Findings) -> str:
    columns = zip(COLUMNS[len(HEADS) :], row(report), strict=True)
    cells = "".join(matrix_cell(number, report, column, cell) for column, cell in columns)
    return (
        f'<tr><th scope="row">{escape(report.port)}</th>'
        f'<td class="head" data-column="door">{escape(report.door)}</td>'
        f'<td class="head" data-column="device">{escape(report.device)}</td>{cells}</tr>'
    )


def _environment(reports: Sequence[Findings]) -> str:
    if not reports:
        return ""
    facts = {"seed": str(reports[0].seed), "cases a dtype": str(reports[0].max_examples)}
    commands = dict.fromkeys(x.origin.command for x in reports if x.origin.command)
    if commands:
        facts["found by"] = "; ".join(commands)
    facts |= reports[0].versions
    return "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
