"""Reports as Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from lion_conformance.report.findings import Findings
from lion_conformance.report.reproduction import SHOWN, reproduction
from lion_conformance.report.table import (
    COLUMNS,
    heads,
    meaning,
    notes,
    refused,
    row,
    shortfalls,
    totals,
    width_in_words,
)


def render(reports: Sequence[Findings]) -> str:
    """The matrix as a table, then notes, each cell in words, shortfalls and versions."""
    lines = ["# Lion conformance", "", "| " + " | ".join(COLUMNS) + " |"]
    lines.append("|" + "---|" * len(COLUMNS))
    for report in reports:
        cells = [cell.text + ("" if cell.ok else " **(!)**") for cell in row(report)]
        lines.append("| " + " | ".join([*map(_escaped, heads(report)), *cells]) + " |")
    lines += ["", *(f"- {_escaped(note)}" for note in notes(reports))]
    in_words = [line for report in reports for line in _cells(report)]
    if in_words:
        lines += ["", "## Each cell in words", "", *in_words]
    fell_short = shortfalls(reports)
    if fell_short:
        lines += ["", "## Fell short", "", "```text", *fell_short, "```"]
    for report in reports:
        lines += _reproduction(report)
    lines += ["", totals(reports) + ".", ""]
    if reports:
        listed = ", ".join(f"{name} {version}" for name, version in reports[0].versions.items())
        lines.append(f"Seed {reports[0].seed}, {reports[0].max_examples} cases a dtype. {listed}.")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """A name as text: whatever Markdown or HTML would make of its characters."""
    return re.sub(r"([\\`*|\[])", r"\\\1", html.escape(text, quote=False))


def _cells(report: Findings) -> Iterator[str]:
    for result in report.results:
        label = _escaped(f"{report.port} ({report.door}, {report.device}), {result.dtype}")
        yield f"- **{label}**: {report.words(result.verdict)}. {_escaped(meaning(report, result))}."
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in result.reasons.items())
        if reasons:
            yield f"  - results that differ: {reasons}"
        yield from (f"  - {_escaped(line)}" for line in refused(result))
        if result.width is not None:
            yield f"  - {width_in_words(result.width)}"


def _reproduction(report: Findings) -> list[str]:
    text = reproduction(report)
    if not text or len(text) > SHOWN:
        return []
    title = "## Reproduce " + _escaped(f"{report.port} ({report.door})")
    return ["", title, "", "```python", *text.rstrip().split("\n"), "```"]
