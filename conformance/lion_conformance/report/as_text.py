"""On a terminal, coloured there: the verdict, what is wrong, one counterexample, and no more.

Lines are as long as the terminal is wide; what is left out here stands in the other formats.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lion_conformance.report import shown
from lion_conformance.report.findings import Findings
from lion_conformance.report.table import COLUMNS, HEADS, Cell, heads, notes, row, totals
from lion_conformance.report.told import Said, said, shown_first
from lion_conformance.verdict.verdict import Verdict
from lion_ref import SPEC_VERSION

_MARKS = {
    Verdict.BIT_EXACT: "=",
    Verdict.BIT_EXACT_AS: "=",
    Verdict.ACCEPTED: "~",
    Verdict.REJECTED: "x",
    Verdict.NOT_RUN: "?",
    Verdict.NOT_TAKEN: "–",
}
WIDEST, USUAL, INDENT = 120, 100, "    "


@dataclass(frozen=True, slots=True)
class _Line:
    """A line before it is wrapped; a table is not."""

    text: str = ""
    hanging: str = ""
    style: str = ""
    whole: bool = False

    def wrapped(self, width: int) -> list[str]:
        indent = self.text[: len(self.text) - len(self.text.lstrip())]
        if self.whole or len(self.text) <= width:
            return [self.text]
        return textwrap.wrap(
            self.text,
            width,
            initial_indent=indent,
            subsequent_indent=indent + self.hanging,
            break_long_words=False,
            break_on_hyphens=False,
        )


def render(reports: Sequence[Findings], width: int | None = None) -> str:
    """Plain lines: of several ports the matrix, then for each what was found."""
    table = _matrix(reports) if len(reports) > 1 else []
    lines = (text for line in _lines(reports) for text in line.wrapped(width or _width()))
    return "\n".join(line.rstrip() for line in [*table, *lines])


def _width() -> int:
    return min(WIDEST, shutil.get_terminal_size((USUAL, 24)).columns)


def _matrix(reports: Sequence[Findings]) -> list[str]:
    table = [list(COLUMNS)]
    table += [[*heads(report), *map(_plain, row(report))] for report in reports]
    widths = [max(len(line[i]) for line in table) for i in range(len(COLUMNS))]
    lines = ["  ".join(x.ljust(w) for x, w in zip(line, widths, strict=True)) for line in table]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:], ""]


def _lines(reports: Sequence[Findings]) -> Iterator[_Line]:
    """A single port has all its verdicts told; of several, those that a cell is too short for."""
    several = len(reports) > 1
    for report in reports:
        told = [x for x in said(report) if x.verdict is not Verdict.NOT_TAKEN]
        if several:
            told = [x for x in told if not _in_the_matrix(report, x)]
        yield from _of_port(report, told)
    yield from (_Line(note, "  ") for note in notes(reports))
    yield _Line()
    yield _Line(f"{totals(reports)}; by SPEC.md of version {SPEC_VERSION}.")
    if any(report.results for report in reports):
        more = "Every dtype, its counts and counterexamples in full: --html FILE, or --json FILE."
        yield _Line(more, style="dim")


def _in_the_matrix(report: Findings, one: Said) -> bool:
    """Whether its cell, or a note beside the matrix, says it all."""
    known = one.verdict is Verdict.BIT_EXACT or report.declared is not None
    return one.ok and known


def _of_port(report: Findings, told: list[Said]) -> Iterator[_Line]:
    if not told:
        return
    for one in told:
        style = "green" if one.ok else "bold red"
        yield _Line(one.line(report), INDENT, style)
        yield from (_Line(f"{INDENT}{text}", "  ") for text in one.lines)
    first = shown_first(report)
    if first is not None:
        dtype, found = first
        yield _Line()
        yield _Line(f"One counterexample, in {dtype}:")
        for text in shown.lines(found):
            yield _Line(f"  {text}", "  ", whole=text.startswith("  "))
    yield _Line()


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
            from rich.text import Text
        except ModuleNotFoundError:
            pass
        else:
            console = Console()
            if len(reports) > 1:
                # In 80 columns a verdict breaks between its words, never within one.
                width = 18 if console.width >= 130 else 9
                grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold")
                grid.add_column("port, door, device")
                for column in COLUMNS[len(HEADS) :]:
                    grid.add_column(column, width=width)
                for report in reports:
                    where = f"{escape(report.door)}, {escape(report.device)}"
                    label = f"{escape(report.port)}\n[dim]{where}[/dim]"
                    grid.add_row(label, *(_styled(cell) for cell in row(report)))
                console.print(grid)
            for line in _lines(reports):
                for text in line.wrapped(_width()):
                    console.print(Text(text, style=line.style), soft_wrap=True)
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
