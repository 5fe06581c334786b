"""Reports as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lion_conformance.report.table import COLUMNS, notes, row, shortfalls, totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lion_conformance.report.model import Report


def render(reports: Sequence[Report]) -> str:
    """The matrix as a table, then notes, shortfalls and versions."""
    lines = ["# Lion conformance", "", "| " + " | ".join(COLUMNS) + " |"]
    lines.append("|" + "---|" * len(COLUMNS))
    for report in reports:
        cells = [cell.text + ("" if cell.ok else " **(!)**") for cell in row(report)]
        lines.append("| " + " | ".join([report.port, report.door, *cells]) + " |")
    lines += ["", *(f"- {note}" for note in notes(reports))]
    fell_short = shortfalls(reports)
    if fell_short:
        lines += ["", "## Fell short", "", "```text", *fell_short, "```"]
    lines += ["", totals(reports) + ".", ""]
    if reports:
        listed = ", ".join(f"{name} {version}" for name, version in reports[0].versions.items())
        lines.append(f"Seed {reports[0].seed}, {reports[0].max_examples} cases a dtype. {listed}.")
    return "\n".join(lines) + "\n"
