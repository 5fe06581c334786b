"""The matrix on a terminal, coloured there, or as plain aligned lines."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lion_conformance.report.findings import Findings
from lion_conformance.report.table import (
    COLUMNS,
    HEADS,
    Cell,
    heads,
    notes,
    row,
    shortfalls,
    totals,
)
from lion_conformance.verdict.verdict import Verdict

_MARKS = {
    Verdict.BIT_EXACT: "=",
    Verdict.BIT_EXACT_AS: "=",
    Verdict.ACCEPTED: "~",
    Verdict.REJECTED: "x",
    Verdict.NOT_RUN: "?",
    Verdict.NOT_TAKEN: "–",
}


def render(reports: Sequence[Findings]) -> str:
    """Plain lines: the matrix, what it leaves out, what falls short, how much was judged."""
    table = [list(COLUMNS)]
    table += [[*heads(report), *map(_plain, row(report))] for report in reports]
    widths = [max(len(line[i]) for line in table) for i in range(len(COLUMNS))]
    lines = [
        "  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)) for line in table
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    lines += ["", *notes(reports)]
    fell_short = shortfalls(reports)
    if fell_short:
        lines += ["", "Fell short:", *fell_short]
    return "\n".join(line.rstrip() for line in [*lines, "", totals(reports)])


def _plain(cell: Cell) -> str:
    if cell.verdict is None:
        return cell.text
    return f"{_MARKS[cell.verdict]} {cell.text}" + ("" if cell.ok else " (!)")


def show(reports: Sequence[Findings]) -> None:
    """Print for a person: with rich and colour on a terminal, else as plain lines."""
    if sys.stdout.isatty():
        try:
            from rich import box
            from rich.console import Console
            from rich.markup import escape
            from rich.table import Table
        except ModuleNotFoundError:
            pass
        else:
            console = Console()
            # In 80 columns a verdict breaks between its words, never within one.
            width = 18 if console.width >= 130 else 9
            grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold")
            grid.add_column("port, door, device")
            for column in COLUMNS[len(HEADS) :]:
                grid.add_column(column, width=width)
            for report in reports:
                where = f"{escape(report.door)}, {escape(report.device)}"
                name = f"{escape(report.port)}\n[dim]{where}[/dim]"
                grid.add_row(name, *(_styled(cell) for cell in row(report)))
            console.print(grid)
            for line in [*notes(reports), *shortfalls(reports), totals(reports)]:
                console.print(line, markup=False, highlight=False)
            return
    print(render(reports))


def _styled(cell: Cell) -> str:
    if cell.verdict is None:
        return cell.text
    if cell.verdict is Verdict.NOT_TAKEN:
        return f"[dim]{cell.text}[/dim]"
    colour = "green" if cell.ok else ("yellow" if cell.verdict is Verdict.NOT_RUN else "red")
    text = cell.text + ("" if cell.ok else " (!)")
    return f"[{colour}]{text}[/{colour}]"
