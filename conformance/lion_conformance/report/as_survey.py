"""Reports on the Lions of other projects as a page of documentation: docs/ports.md."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lion_conformance.cases.case import ORDINARY_IN_WORDS
from lion_conformance.report.findings import DtypeResult, Findings
from lion_conformance.verdict.verdict import Verdict
from lion_ref import STORAGE_DTYPES

INTRODUCTION: Final = """\
# Published Lions

<!-- Written by `make ports`; an edit by hand is lost at the next run. -->

What the Lions of other projects do to the last bit, as `lion-conformance ports` found it on {date}.
Each is driven through its own public door, with its momenta set before the step, and declares
nothing: the sentences below are the diagnosis ([how it is found](diagnosis.md)), in the notation of
[SPEC.md](../SPEC.md), Part II. A library that differs is not wrong for it, unless it is named
another algorithm; it differs from the others here, which is what a user who moves a run between
frameworks will see. *Ordinarily* is with {ordinary}.
[adding-ports.md](adding-ports.md) tells how to add one.
"""

FLAGS: Final = ("avx2", "fma", "avx512f", "asimd")
EXACT, EXPLAINED = "bit-exact", "bit-exact as said below"
OTHER = "another algorithm"
ORDINARILY = "ordinarily as said below: accepted", "ordinarily as said below: rejected"
UNEXPLAINED = "not explained: accepted", "not explained: rejected"


def render(reports: Sequence[Findings]) -> str:
    """The page: a summary, a row for each port and door, the sentences, then how it was made."""
    now = datetime.now(UTC)
    lines = [INTRODUCTION.format(date=now.date().isoformat(), ordinary=ORDINARY_IN_WORDS)]
    counted = Counter(outcome(r) for report in reports for r in report.results)
    judged = [report for report in reports if report.results]
    summary = ", ".join(f"{counted[kind]} {kind}" for kind in _KINDS if counted[kind])
    doors = f"{len({r.port for r in judged})} libraries, {len(judged)} doors"
    lines += [f"{doors}, each with its dtypes {counted.total()} in all: {summary or 'none'}.", ""]
    lines += [
        f"| port | door | {' | '.join(STORAGE_DTYPES)} |",
        "|---|---|" + "---|" * len(STORAGE_DTYPES),
    ]
    lines += [_row(report) for report in judged]
    for port in dict.fromkeys(report.port for report in judged):
        lines += ["", f"## {port}", ""]
        lines += [line for report in judged if report.port == port for line in _sentences(report)]
    missing = [f"- {r.port} ({r.door}): not run, {r.not_run}" for r in reports if r.not_run]
    lines += ["", *missing, *([""] if missing else [])]
    lines += _made_with(reports)
    return "\n".join(lines) + "\n"


def outcome(result: DtypeResult) -> str:
    """What became of one dtype, for the summary and the table."""
    if result.verdict is Verdict.BIT_EXACT:
        return EXACT
    if result.semantics is None:
        kinds = UNEXPLAINED if result.ordinarily is None else ORDINARILY
        return kinds[result.verdict is Verdict.REJECTED]
    return OTHER if result.semantics.is_other_algorithm else EXPLAINED


_KINDS: Final = (EXACT, EXPLAINED, OTHER, *ORDINARILY, *UNEXPLAINED)


def _row(report: Findings) -> str:
    """What became of each dtype of θ; – where the port does not take it."""
    found = {result.dtype: outcome(result) for result in report.results}
    cells = report.port, report.door, *(found.get(dtype, "–") for dtype in STORAGE_DTYPES)
    return "| " + " | ".join(cells) + " |"


def _sentences(report: Findings) -> Iterator[str]:
    """The sentence of each outcome, with the dtypes that share it."""
    shared: dict[tuple[str, str], list[str]] = {}
    for result in report.results:
        shared.setdefault((outcome(result), _sentence(result)), []).append(result.dtype)
    for (kind, sentence), dtypes in shared.items():
        yield f"- {report.door}, {', '.join(dtypes)}: *{kind}*: {sentence}."


def _sentence(result: DtypeResult) -> str:
    if result.verdict is Verdict.BIT_EXACT:
        return "equals the reference"
    found = result.counterexample
    if result.semantics is None and found is not None:
        return f"{result.sentence}; {found.why}"
    return result.sentence


def _made_with(reports: Sequence[Findings]) -> list[str]:
    lines = ["## Made with", "", f"- {processor()}"]
    if reports:
        first = reports[0]
        lines += [
            f"- {first.max_examples} random cases a dtype beside the fixed ones, seed {first.seed}",
            "- " + ", ".join(f"{name} {version}" for name, version in first.versions.items()),
        ]
    return lines


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The machine and the instructions that decide what its libraries fuse.

    >>> processor(Path("/nowhere")) == platform.machine()
    True
    """
    try:
        text = cpuinfo.read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    flags = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")
    return ", ".join([platform.machine(), *(x for x in FLAGS if x in flags.split())])
