"""Reports as one self-contained page: readable on a phone, in print and without colour."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from lion_conformance.report.cell import matrix_cell, parts
from lion_conformance.report.findings import Findings
from lion_conformance.report.opening import example, verdicts, with_capital
from lion_conformance.report.reproduction import SHOWN, reproduction
from lion_conformance.report.style import SHEET
from lion_conformance.report.table import COLUMNS, HEADS, facts, general, row, shares, totals
from lion_conformance.report.told import port_name
from lion_conformance.verdict.cause import Kind
from lion_conformance.verdict.verdict import Verdict


def render(reports: Sequence[Findings]) -> str:
    """The whole page."""
    first = reports[0] if len(reports) == 1 else None
    alone = first is not None
    title = "Lion conformance" if first is None else port_name(first)
    matrix = "" if alone else _matrix(reports)
    ports = "\n".join(
        _port(number, x, alone=alone) for number, x in enumerate(reports) if not x.not_run
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}: Lion conformance</title>
<style>{SHEET}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p class="verdict">{escape(_summary(reports))}</p>
<p class="soft">An implementation of the optimizer Lion, judged bit for bit against the reference
lion_ref.</p>
{matrix}
{ports}
<details><summary>Environment</summary><dl>{_environment(reports)}</dl></details>
</main>
</body>
</html>
"""


def _matrix(reports: Sequence[Findings]) -> str:
    header = "".join(f'<th scope="col">{escape(name)}</th>' for name in COLUMNS)
    unrun = (f"{port_name(x)}: not run: {x.not_run}" for x in reports if x.not_run)
    listed = "".join(f"<li>{escape(text)}</li>" for text in (*unrun, *general(reports)))
    body = "\n".join(_row(number, report) for number, report in enumerate(reports))
    return f"""<div class="scroll" role="region" aria-label="Verdicts" tabindex="0">
<table class="matrix">
<caption>For each dtype of the parameter on adversarial cases, on the gradients of a recorded
training run, and a run that is handed over.</caption>
<thead><tr>{header}</tr></thead>
<tbody>
{body}
</tbody>
</table></div>
<p>{escape(with_capital(totals(reports)))}</p>
{f"<ul>{listed}</ul>" if listed else ""}"""


def _summary(reports: Sequence[Findings]) -> str:
    if len(reports) == 1 and not reports[0].not_run:
        return _of_one(reports[0])
    not_run = sum(bool(report.not_run) for report in reports)
    short = sum(report.fell_short for report in reports)
    summary = "Every port keeps to what it declares."
    if len(reports) == not_run:
        return "Nothing was judged."
    if short:
        ports = "port falls" if short == 1 else "ports fall"
        summary = f"{short} of {len(reports)} {ports} short."
    return summary + (f" {not_run} could not be run." if not_run else "")


def _of_one(report: Findings) -> str:
    """The worst verdict, as someone needs it who asks whether to use the port."""
    if report.verdict is Verdict.REJECTED:
        kinds = {result.cause.kind for result in report.results if result.cause is not None}
        if kinds == {Kind.CONTRACT}:
            return "Rejected: it breaks what a step promises beside its numbers."
        always = kinds <= {Kind.MISTAKE} and not any(
            x.counterexample and x.counterexample.run for x in report.results
        )
        return f"Rejected: it does not {'' if always else 'always '}compute Lion."
    if report.fell_short:
        return "It falls short of what it declares."
    if report.verdict is Verdict.BIT_EXACT:
        return "Bit-exact: it gives the reference's bits."
    if report.verdict is Verdict.NOT_RUN:
        return "Nothing was judged."
    return "Accepted: it computes Lion, with roundings of its own."


def _port(number: int, report: Findings, *, alone: bool) -> str:
    """What is wrong, one counterexample, how to reproduce it; then everything, folded."""
    declared = report.declared
    said = "declares nothing" if declared is None else f"declares “{declared.describe()}”"
    listed = "".join(f"<li>{escape(text)}</li>" for text in (*facts(report), *shares([report])))
    unseen = ' class="unseen"' if alone else ""  # the page's title says it already
    return (
        f"<section><h2{unseen}>{escape(port_name(report))}</h2>"
        f'{verdicts(report)}<div class="sides">{example(report)}<div>{_reproduction(report)}'
        f"<h3>What was judged</h3><p>{escape(with_capital(totals([report])))}</p>"
        + (f"<ul>{listed}</ul>" if listed else "")
        + f'</div></div><h3>In full</h3><p class="soft">The port {escape(said)}.</p>'
        f"{parts(number, report)}</section>"
    )


def _reproduction(report: Findings) -> str:
    text = reproduction(report)
    if not text:
        return ""
    head = "<h3>How to reproduce it</h3>"
    if report.origin.command:
        head += f'<pre tabindex="0">{escape(report.origin.command)}</pre>'
    if len(text) > SHOWN:
        return (
            f"{head}<p>The case is too large to show; <code>--reproduction FILE</code> writes it "
            "as a program.</p>"
        )
    return (
        f"{head}<details><summary>One Python file, which exits with 1 while the port is wrong"
        f'</summary><pre tabindex="0">{escape(text)}</pre></details>'
    )


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
