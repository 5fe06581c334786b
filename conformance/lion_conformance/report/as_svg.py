"""The matrix as a picture for a README: SVG without scripts, in the light and in the dark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from textwrap import wrap
from typing import Final

from lion_conformance.report.findings import Findings
from lion_conformance.report.style import CLASSES, COLOURS, MARKS
from lion_conformance.report.table import COLUMNS, Cell, general, heads, row, shares
from lion_conformance.verdict.verdict import Verdict

LINE, PAD, LETTER = 24, 10, 6.7
"""Pixels: the height of a row, the space beside words, and how wide a letter is taken to be."""

RULES: Final = """
text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--ink); }
.soft { fill: var(--soft); } .head { font-weight: 600; }
.paper { fill: var(--paper); } .rule { stroke: var(--rule); }
.exact { fill: var(--exact); } .exact-as { fill: var(--exact-as); } .none { fill: none; }
.accepted { fill: var(--accepted); } .rejected { fill: var(--rejected); }
.not-run { fill: var(--not-run); } .short { stroke: var(--red); stroke-width: 2; }
"""


def render(reports: Sequence[Findings]) -> str:
    """The picture: a row for every port and door, a column for every dtype."""
    table: list[tuple[str | Cell, ...]] = [(*heads(x)[:2], *row(x)) for x in reports]
    names = [name for name in COLUMNS if name != "device"]
    widths = [
        _width([name, *(_words(line[column]) for line in table)])
        for column, name in enumerate(names)
    ]
    width = sum(widths)
    said = [*_key(reports), *general(reports), *shares(reports)]
    below = [line for text in said for line in wrap(text, int((width - 2 * PAD) / LETTER))]
    height = LINE * (len(table) + 1 + len(below)) + PAD
    title = f"Lion conformance: {len(reports)} ports judged bit for bit"
    body = "\n".join([*_head(names, widths), *_rows(table, widths), *_lines(below, len(table) + 1)])
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" \
width="{width}" height="{height}" role="img" aria-labelledby="title">
<title id="title">{escape(title)}</title>
<style>{COLOURS}{RULES}</style>
<rect class="paper" width="{width}" height="{height}"/>
{body}
</svg>
"""


def _head(names: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    for name, left in zip(names, _lefts(widths), strict=True):
        yield _text(left, 0, name, "head")
    yield f'<line class="rule" x1="0" x2="{sum(widths)}" y1="{LINE}" y2="{LINE}"/>'


def _rows(table: Sequence[tuple[str | Cell, ...]], widths: Sequence[int]) -> Iterator[str]:
    for line, cells in enumerate(table, start=1):
        for cell, left, width in zip(cells, _lefts(widths), widths, strict=True):
            if isinstance(cell, Cell):
                yield (
                    f'<rect class="{_class(cell)}" x="{left + 1}" y="{line * LINE + 1}" '
                    f'width="{width - 2}" height="{LINE - 2}" rx="3"/>'
                )
            yield _text(left, line, _words(cell), "soft" if left == widths[0] else "")


def _lines(texts: Sequence[str], first: int) -> Iterator[str]:
    for line, text in enumerate(texts, start=first):
        yield _text(0, line, text, "soft")


def _key(reports: Sequence[Findings]) -> list[str]:
    """What the marks say that are in the picture."""
    meanings = {
        Verdict.BIT_EXACT: "every bit is the reference's",
        Verdict.BIT_EXACT_AS: "every bit is what the port declares; flush: subnormals count as 0",
        Verdict.ACCEPTED: "bits differ, each within its derived accepted set",
        Verdict.REJECTED: "not a rounding of Lion",
        Verdict.NOT_RUN: "the report says why",
    }
    seen = {cell.verdict for report in reports for cell in row(report)}
    return [
        f"{MARKS[verdict]} {verdict.value.removeprefix('bit-exact ')}: {meaning}"
        for verdict, meaning in meanings.items()
        if verdict in seen
    ]


def _class(cell: Cell) -> str:
    if cell.verdict is None:
        return "none"
    short = not cell.ok and cell.verdict is not Verdict.NOT_RUN
    return CLASSES[cell.verdict] + (" short" if short else "")


def _words(cell: str | Cell) -> str:
    if isinstance(cell, str):
        return cell
    if cell.verdict is None:
        return cell.text
    short = "" if cell.ok or cell.verdict is Verdict.NOT_RUN else " (!)"
    return f"{MARKS[cell.verdict]} {cell.text.removeprefix('bit-exact ')}{short}"


def _width(texts: Sequence[str]) -> int:
    return round(max(map(len, texts)) * LETTER) + 2 * PAD


def _lefts(widths: Sequence[int]) -> list[int]:
    return [sum(widths[:column]) for column in range(len(widths))]


def _text(left: int, line: int, text: str, kind: str) -> str:
    chosen = f' class="{kind}"' if kind else ""
    return f'<text{chosen} x="{left + PAD}" y="{line * LINE + 16}">{escape(text)}</text>'
