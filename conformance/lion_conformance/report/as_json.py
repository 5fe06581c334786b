"""Reports as JSON: one object of strings, numbers and lists, as the schema in `data` says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from lion_conformance.report.counterexample import Accepted, Counterexample
from lion_conformance.report.findings import DtypeResult, Findings
from lion_conformance.report.operations import operations_of
from lion_conformance.report.reproduction import SHOWN, reproduction
from lion_conformance.report.shown import remarks
from lion_conformance.report.table import meaning
from lion_conformance.verdict.cause import Cause
from lion_ref import SPEC_VERSION, Semantics

SCHEMA_VERSION = 6
SCHEMA = "lion-report.schema.json"


def dumps(reports: Sequence[Findings]) -> str:
    """All reports as JSON text; numbers that JSON lacks (NaN, inf) appear as strings."""
    document = {
        "format": "lion-report",
        "schema_version": SCHEMA_VERSION,
        "spec_version": SPEC_VERSION,
        "ok": not any(report.fell_short or report.not_run for report in reports),
        "reports": [as_dict(report) for report in reports],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_dict(report: Findings) -> dict[str, Any]:
    """One report as plain values."""
    program = reproduction(report)
    return {
        "port": report.port,
        "door": report.door,
        "device": report.device,
        "declared": _choices(report.declared),
        "verdict": report.verdict.value,
        "verdict_in_words": report.words(report.verdict),
        "ok": report.ok,
        "semantics": _choices(report.semantics),
        "cause": _cause(report.cause),
        "sentence": report.sentence or None,
        "not_run": report.not_run or None,
        "not_offered": list(report.not_offered),
        "mixed_unasked": report.mixed_unasked,
        "seed": report.seed,
        "max_examples": report.max_examples,
        "command": report.origin.command or None,
        "dtypes": [_dtype(report, result) for result in report.results],
        "real_gradients": None
        if report.tape is None
        else {
            "verdict": report.tape.verdict.value,
            "as_promised": report.tape.as_promised,
            "steps": report.tape.steps,
            "recorded": report.tape.recorded,
            "elements": report.tape.elements,
            "why": report.tape.why or None,
        },
        "hand_over": None
        if report.hand_over is None
        else {
            "verdict": report.hand_over.verdict.value,
            "as_promised": report.hand_over.as_promised,
            "dtypes": list(report.hand_over.dtypes),
            "elements": report.hand_over.elements,
            "why": report.hand_over.why or None,
        },
        "machine_code": None
        if report.assembly is None
        else {"lines": list(report.assembly.lines), "beyond": list(report.assembly.beyond)},
        "reproduction": program if 0 < len(program) <= SHOWN else None,
        "versions": report.versions,
    }


def _choices(semantics: Semantics | None) -> dict[str, Any] | None:
    return None if semantics is None else semantics.differences()


def _cause(cause: Cause | None) -> dict[str, Any] | None:
    if cause is None:
        return None
    return asdict(cause) | {"kind": cause.kind.value, "evidence": list(cause.evidence)}


def _dtype(report: Findings, result: DtypeResult) -> dict[str, Any]:
    found = result.counterexample
    return {
        "dtype": result.dtype,
        "triples": list(result.triples),
        "not_taken": result.not_taken,
        "refusals": [asdict(x) | {"declared": x not in result.undeclared} for x in result.refusals],
        "verdict": result.verdict.value,
        "as_promised": result.as_promised,
        "cases": result.cases,
        "share": result.share,
        "elements": result.elements,
        "port_seconds": result.port_seconds,
        "judge_seconds": result.judge_seconds,
        "reasons": result.reasons,
        "events": result.events,
        "semantics": _choices(result.semantics),
        "cause": _cause(result.cause),
        "sentence": meaning(report, result),
        "example": list(result.example),
        "accepted_width": None if result.width is None else asdict(result.width),
        "differences": [asdict(x) for x in result.differences],
        "counterexample": None if found is None else _counterexample(found),
    }


def _counterexample(found: Counterexample) -> dict[str, Any]:
    return {
        "why": found.why,
        "dtypes": found.dtypes,
        "scalars": dict(found.scalars),
        "shape": list(found.shape),
        "layout": found.layout,
        "element": found.index,
        "alone": found.alone,
        "run": list(found.run),
        "inputs": {name: asdict(x) for name, x in found.inputs.items()},
        "expected": {name: asdict(x) for name, x in found.expected.items()},
        "accepted": {name: _accepted(x) for name, x in found.accepted.items()},
        "operations": [asdict(x) for x in operations_of(found)],
        "remarks": remarks(found),
        "got": {name: asdict(x) for name, x in found.got.items()},
        "again": {name: asdict(x) for name, x in found.again.items()},
    }


def _accepted(found: Accepted) -> dict[str, Any]:
    return {
        "intervals": [{"low": asdict(low), "high": asdict(high)} for low, high in found.intervals],
        "outcomes": list(found.outcomes),
    }
