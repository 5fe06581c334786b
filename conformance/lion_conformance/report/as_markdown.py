"""Reports as Markdown: the verdict, what is wrong, one counterexample; the rest is folded."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from lion_conformance.report import shown
from lion_conformance.report.counterexample import Counterexample, Value
from lion_conformance.report.findings import Findings
from lion_conformance.report.reproduction import SHOWN, reproduction
from lion_conformance.report.table import (
    COLUMNS,
    heads,
    meaning,
    notes,
    refused,
    row,
    totals,
    width_in_words,
)
from lion_conformance.report.told import port_name, said, shown_first
from lion_conformance.verdict.sentences import headline


def render(reports: Sequence[Findings]) -> str:
    """Of several ports the matrix, then each with what is wrong; counts and programs folded."""
    lines = ["# Lion conformance", ""]
    if len(reports) > 1:
        lines += [*_matrix(reports), ""]
    for report in reports:
        lines += _port(report)
    lines += [*(f"- {escaped(note)}" for note in notes(reports)), "", totals(reports) + ".", ""]
    in_words = [line for report in reports for line in _cells(report)]
    if in_words:
        lines += _folded("Each dtype in words", in_words)
    for report in reports:
        lines += _reproduction(report)
    if reports:
        known = reports[0].versions.items()
        listed = escaped(", ".join(f"{name} {version}" for name, version in known))
        lines.append(f"Seed {reports[0].seed}, {reports[0].max_examples} cases a dtype. {listed}.")
    return "\n".join(lines) + "\n"


def _matrix(reports: Sequence[Findings]) -> Iterator[str]:
    yield "| " + " | ".join(COLUMNS) + " |"
    yield "|" + "---|" * len(COLUMNS)
    for report in reports:
        cells = [cell.text + ("" if cell.ok else " **(!)**") for cell in row(report)]
        yield "| " + " | ".join([*map(escaped, heads(report)), *cells]) + " |"


def escaped(text: str) -> str:
    """A name as text: whatever Markdown or HTML would make of its characters."""
    return re.sub(r"([\\`*|\[])", r"\\\1", html.escape(text, quote=False))


def _folded(title: str, lines: Sequence[str]) -> list[str]:
    return [f"<details><summary>{escaped(title)}</summary>", "", *lines, "", "</details>", ""]


def _port(report: Findings) -> Iterator[str]:
    """A line for each verdict, then one counterexample."""
    for one in said(report):
        label = f"{port_name(report)}, {', '.join(one.parts)}"
        yield f"- **{one.label}** {escaped(label)}: {escaped(one.what)}"
        yield from (f"  - {escaped(text)}" for text in one.lines)
    yield ""
    first = shown_first(report)
    if first is not None:
        yield from _counterexample(*first)


def _counterexample(dtype: str, found: Counterexample) -> Iterator[str]:
    yield from (f"One counterexample, in {dtype}: {escaped(found.why)}", "")
    if found.run:
        yield from ("```text", *found.run, "```", "")
    yield from (f"{escaped(shown.settings(found))}", "")
    table = shown.rows(found)
    heads = ["", "", "dtype", "reference", ""]
    heads += ["the port", ""] if found.got else []
    heads += ["called again", ""] if found.again else []
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for one in table:
        values = [one.value, one.got, one.again][: (len(heads) - 3) // 2]
        cells = [one.name, one.formula, one.dtype, *(x for v in values for x in _both(v))]
        yield "| " + " | ".join(cells) + " |"
    yield ""
    told = [f"accepted for {name}: {words}" for name, words in shown.accepted(found)]
    yield from (f"- {text}" for text in [*told, *shown.remarks(found)])
    yield ""


def _both(value: Value | None) -> tuple[str, str]:
    return ("", "") if value is None else (f"`{value.hex}`", value.decimal)


def _cells(report: Findings) -> Iterator[str]:
    for result in report.results:
        label = escaped(f"{port_name(report)}, {result.dtype}")
        what, more = headline(meaning(report, result))
        yield f"- **{label}**: {report.words(result.verdict)}. {escaped(what)}."
        yield from (f"  - {escaped(text)}" for text in more)
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in result.reasons.items())
        if reasons:
            yield f"  - results that differ: {reasons}"
        yield from (f"  - {escaped(line)}" for line in [*result.example, *refused(result)])
        if result.cause is not None:
            yield from (f"  - {escaped(line)}" for line in result.cause.evidence)
        if result.width is not None:
            yield from (f"  - {line}" for line in width_in_words(result.width))


def _reproduction(report: Findings) -> list[str]:
    text = reproduction(report)
    if not text or len(text) > SHOWN:
        return []
    program = ["```python", *text.rstrip().split("\n"), "```"]
    return _folded(f"Reproduce {port_name(report)}: a program that exits with 1", program)
