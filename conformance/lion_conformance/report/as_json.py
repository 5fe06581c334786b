"""Reports as JSON: one object, made of strings, numbers and lists alone."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lion_conformance.report.model import Report

SCHEMA_VERSION = 1


def dumps(reports: Sequence[Report]) -> str:
    """All reports as JSON text; numbers that JSON lacks (NaN, inf) appear as strings."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "ok": not any(report.fell_short or report.not_run for report in reports),
        "reports": [as_dict(report) for report in reports],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_dict(report: Report) -> dict[str, Any]:
    """One report as plain values."""
    return {
        "port": report.port,
        "door": report.door,
        "device": report.device,
        "declared": None if report.declared is None else report.declared.differences(),
        "verdict": report.verdict.value,
        "verdict_in_words": report.words(report.verdict),
        "ok": report.ok,
        "semantics": None if report.semantics is None else report.semantics.differences(),
        "sentence": report.sentence or None,
        "not_run": report.not_run or None,
        "not_offered": list(report.not_offered),
        "seed": report.seed,
        "max_examples": report.max_examples,
        "dtypes": [
            {
                "dtype": result.dtype,
                "verdict": result.verdict.value,
                "as_promised": result.as_promised,
                "cases": result.cases,
                "elements": result.elements,
                "port_seconds": result.port_seconds,
                "judge_seconds": result.judge_seconds,
                "reasons": result.reasons,
                "events": result.events,
                "semantics": None if result.semantics is None else result.semantics.differences(),
                "sentence": result.sentence or None,
                "differences": [asdict(x) for x in result.differences],
                "counterexample": _counterexample(result.counterexample),
            }
            for result in report.results
        ],
        "real_gradients": None
        if report.tape is None
        else {
            "verdict": report.tape.verdict.value,
            "as_promised": report.tape.as_promised,
            "steps": report.tape.steps,
            "elements": report.tape.elements,
            "why": report.tape.why or None,
        },
        "versions": report.versions,
    }


def _counterexample(found: Any) -> dict[str, Any] | None:
    return None if found is None else asdict(found)
