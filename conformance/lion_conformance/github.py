"""What GitHub Actions is told of a judging: annotations, the job's summary, the step's outputs.

Outside of a workflow there is neither summary nor output, and the annotations are plain lines.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from lion_conformance.report import as_annotations
from lion_conformance.report.report import Report
from lion_conformance.report.told import said
from lion_conformance.verdict.verdict import Verdict

SUMMARY, OUTPUT, WORKSPACE = "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_WORKSPACE"


def tell(reports: Sequence[Report], render: Callable[[Sequence[Report]], str]) -> bool:
    """Tell what was found, with the summary as `render` makes it; False if a file refused it."""
    root = Path(os.environ.get(WORKSPACE) or Path.cwd())
    print(as_annotations.render(reports, root), end="")
    return _append(render(reports), _verdict(reports), *_cause(reports))


def tell_not_run(why: str) -> bool:
    """Tell why nothing was judged; False if a file refused it."""
    print(as_annotations.not_run("lion-conformance", why), end="")
    return _append(f"# Lion conformance\n\nnot run: {why}\n", Verdict.NOT_RUN.value)


def _verdict(reports: Sequence[Report]) -> str:
    """One for all, as the exit status has it: what falls short, then what was not run, then."""
    short = next((report for report in reports if report.fell_short), None)
    if short is not None:
        return said(short)[0].label
    judged = [report.verdict for report in reports if report.results]
    if not judged or any(report.not_run for report in reports):
        return Verdict.NOT_RUN.value
    return max(judged, key=lambda verdict: verdict.rank).value


def _cause(reports: Sequence[Report]) -> tuple[str, str]:
    """The first that is named: its sentence, and its code; empty where nothing is."""
    cause = next((report.cause for report in reports if report.cause), None)
    return ("", "") if cause is None else (cause.line(), cause.code.value)


def _append(summary: str, verdict: str, cause: str = "", code: str = "") -> bool:
    """Append to the files that the workflow names; True if each that it names took it."""
    outputs = "".join(
        _output(*pair) for pair in (("verdict", verdict), ("cause", cause), ("code", code))
    )
    complete = True
    for variable, text in ((SUMMARY, f"{summary}\n"), (OUTPUT, outputs)):
        path = os.environ.get(variable)
        if not path:
            continue
        try:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            print(
                f"lion-conformance: --github: {variable}={path} was not written: {error.strerror}",
                file=sys.stderr,
            )
            complete = False
    return complete


def _output(name: str, value: str) -> str:
    """An output whose value ends where nothing in it can."""
    end = uuid.uuid4().hex
    return f"{name}<<{end}\n{value}\n{end}\n"
