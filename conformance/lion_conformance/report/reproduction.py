"""A failure as one Python file: the port, the case, the bits, and an exit status that says it all.

The file holds everything as numbers and asks nothing of lion_ref; run it until it exits with 0. A
failure that no single case shows (one of many steps, or of a port that keeps something between
calls) becomes a file that has lion_conformance judge the port once more.
"""

from __future__ import annotations

import base64
import inspect
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lion_conformance.report import replay, replay_pipe, shown
from lion_conformance.report.counterexample import Counterexample
from lion_conformance.report.findings import Findings
from lion_conformance.report.told import said
from lion_conformance.verdict.accepted_set import AcceptedSet, accepted_sets
from lion_ref.arithmetic import Array, bits

WORDS = 32
"""Numbers that are written as words; more are packed."""

SHOWN = 24_000
"""Characters of a reproduction that a report shows; a longer one is only written to a file."""

COLUMNS = 88
"""Characters a line of packed numbers."""

CASE_PACKAGES = ("python", "numpy", "ml_dtypes")


def reproduction(report: Findings) -> str:
    """The file for the first part of a report whose bits fell short; empty if none did."""
    if not report.bits_fell_short:
        return ""
    short = [r for r in report.results if not r.as_promised]
    failed = short[0] if short else None
    found = None if failed is None else failed.counterexample
    title = _title(report)
    parts = [_head(report, title, found)]
    if found is not None and found.case is not None and found.alone:
        parts += [report.origin.load_port(report.port, report.door, report.device)]
        others = [r.dtype for r in short[1:]]
        parts += [_case(found, report, others, title), *_machinery(report.origin.kind)]
        parts += ["sys.exit(replay(CASE, load_port))\n"]
    else:
        parts += [_judged_again(report, [x for r in short for x in r.triples] or ["float32"])]
    return "\n\n".join(parts)


def write(reports: Sequence[Findings], path: Path | None, folder: Path) -> list[Path]:
    """Write a file for each report that fell short; the paths written.

    The first goes to path where one is given, and the others beside it, numbered; else each goes
    into folder, under `file_name`.
    """
    written: list[Path] = []
    for report in reports:
        text = reproduction(report)
        if not text:
            continue
        to = folder / file_name(report) if path is None else path
        if to in written:
            to = to.with_stem(f"{to.stem}-{len(written) + 1}")
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(text, encoding="utf-8")
        written.append(to)
    return written


def file_name(report: Findings) -> str:
    """A name for the file that says which port it is about.

    >>> import lion_ref, lion_conformance
    >>> report = lion_conformance.verify(lion_ref.step, dtypes=["float32"], max_examples=1)
    >>> file_name(report)
    'reproduce-lion_ref-update-step.py'
    """
    door = "" if report.door == "step(...)" else f" {report.door}"
    words = re.sub(r"[^A-Za-z0-9_]+", "-", report.port + door).strip("-")
    return f"reproduce-{words or 'port'}.py"


def _title(report: Findings) -> str:
    """The verdict and what is wrong, in one line."""
    return next((x.line(report) for x in said(report) if not x.ok), "")


def _head(report: Findings, title: str, found: Counterexample | None) -> str:
    told = next((x.more for x in said(report) if not x.ok), ())
    lines = [title, *(f"    {text}" for text in told), ""]
    if found is not None:
        lines += [*shown.lines(found), ""]
    if report.origin.command:
        lines += ["Found by", "", f"    {report.origin.command}", ""]
    lines += [
        "Run this file from the folder in which that ran. It exits with 1 while the port is wrong,",
        "with 0 once it is right, and with 2 if the port cannot be had.",
        "",
    ]
    facts = (f"{name} {version}" for name, version in report.versions.items())
    lines += [f"Seed {report.seed}, {report.max_examples} cases a dtype. Found with:"]
    lines += [f"    {fact}" for fact in facts]
    commented = (f"# {part}".rstrip() for line in lines for part in line.split("\n"))
    return "\n".join(commented)


def _case(found: Counterexample, report: Findings, others: list[str], title: str) -> str:
    case = found.case
    if case is None:
        raise ValueError("a counterexample without its case cannot be replayed")
    arrays = zip(replay.NAMES, case.arrays, strict=True)
    fields = {
        "title": repr(title),
        "scalars": repr(dict(case.scalars)),
        "shape": repr(tuple(case.param.shape)),
        "layout": repr(found.layout),
        **{name: f"({x.dtype.name!r}, {_text(x, 8)})" for name, x in arrays},
    }
    results = zip(replay.NAMES[:2], found.results(), strict=True)
    fields["expected"] = _dict({name: _text(x, 12) for name, x in results}, 8)
    fields["accepted"] = fields["outcomes"] = "None"
    if found.promised is None:
        sets = dict(zip(replay.NAMES[:2], accepted_sets(case), strict=True))
        fields["accepted"] = _dict({name: _intervals(x) for name, x in sets.items()}, 8)
        fields["outcomes"] = _dict({name: _outcomes(x) for name, x in sets.items()}, 8)
    known = {name: report.versions[name] for name in CASE_PACKAGES if name in report.versions}
    fields["versions"] = repr(known)
    fields["others"] = repr(others)
    return (
        "# Numbers are bit patterns. A result is right if it is expected, or lies in one of the\n"
        "# accepted intervals, ends included; of the outcomes, 1 says where one is accepted.\n"
        f"CASE = {_dict(fields, 4)}\n"
    )


def _dict(fields: dict[str, str], indent: int) -> str:
    if not fields:
        return "{}"
    blank = " " * indent
    lines = "".join(f"{blank}{name!r}: {text},\n" for name, text in fields.items())
    return "{\n" + lines + blank[4:] + "}"


def _text(array: Array, indent: int) -> str:
    """A Python string of the bits of numbers, or of unsigned integers."""
    flat = array.reshape(-1)
    width = 2 * flat.dtype.itemsize
    patterns = flat if flat.dtype.kind == "u" else bits(flat)
    if flat.size <= WORDS:
        return repr(" ".join(f"{int(x):0{width}x}" for x in patterns))
    octets = patterns.astype(patterns.dtype.newbyteorder("<")).tobytes()
    packed = "zlib " + base64.b85encode(zlib.compress(octets, 9)).decode()
    pieces = [packed[i : i + COLUMNS] for i in range(0, len(packed), COLUMNS)]
    blank = "\n" + " " * indent
    return "(" + "".join(f"{blank}{piece!r}" for piece in pieces) + ")"


def _intervals(accepted: AcceptedSet) -> str:
    rows = [
        f"({_text(low, 16)}, {_text(high, 16)})"
        for low, high in zip(accepted.lows, accepted.highs, strict=True)
        if not np.isnan(low).all()
    ]
    return "[" + ", ".join(rows) + "]"


def _outcomes(accepted: AcceptedSet) -> str:
    found = accepted.outcomes
    masks = {"nan": found.nan, "inf": found.positive, "-inf": found.negative}
    return _dict(
        {name: _text_of_mask(mask) for name, mask in masks.items() if mask.any()}, indent=12
    )


def _text_of_mask(mask: NDArray[np.bool_]) -> str:
    return _text(mask.astype(np.uint8), 16)


def _machinery(kind: str) -> list[str]:
    modules = [replay, replay_pipe] if kind == "exec" else [replay]
    return [_source(module) for module in modules]


def _source(module: Any) -> str:
    """A module's text from its first import on."""
    text = inspect.getsource(module)
    return text[text.index("\nimport ") + 1 :]


def _judged_again(report: Findings, dtypes: list[str]) -> str:
    origin = report.origin
    if origin.kind == "exec":
        loading = "from lion_conformance.ports.pipe import Program\n"
        subject = f"Program({origin.name!r}, timeout={origin.timeout!r}).port"
    else:
        loading = "\n" + origin.load_port(report.port, report.door, report.device)
        subject = "load_port()"
    return f"""# No case alone shows it: lion_conformance judges the port once more.
import sys

from lion_conformance import Port, from_callable
from lion_conformance.report.as_text import render
from lion_conformance.runner import Options, judge_port
from lion_conformance.runs.tape import load

{loading}

try:
    found = {subject}
    port = found if isinstance(found, Port) else from_callable(found)
except KeyboardInterrupt:
    raise
except BaseException as error:
    print(f"the port cannot be had: {{error}}", file=sys.stderr)
    sys.exit(2)
options = Options(max_examples={report.max_examples}, seed={report.seed})
report = judge_port(port, {dtypes!r}, options, load())
print(render([report]))
sys.exit(1 if report.fell_short else 0 if report.ok else 2)
"""
