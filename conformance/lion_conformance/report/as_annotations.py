"""Reports as workflow commands of GitHub Actions: an annotation for all that is not as declared.

The format: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lion_conformance.report.findings import Findings
from lion_conformance.report.told import port_name, said
from lion_conformance.verdict.verdict import Verdict


def render(reports: Sequence[Findings], root: Path) -> str:
    """A line for each verdict that falls short, at the port's source, and for what was not run.

    root: the repository's folder, from which an annotation names a file.
    """
    judged = any(report.results for report in reports)
    return "".join(line for x in reports for line in _lines(x, root, judged=judged))


def not_run(what: str, why: str) -> str:
    """The line of what could not be judged: a warning, since nothing is known to be wrong."""
    return _command("warning", {"title": f"{what}: not run"}, why)


def _lines(report: Findings, root: Path, *, judged: bool) -> Iterator[str]:
    if report.not_run or not judged:
        yield not_run(port_name(report), report.words(Verdict.NOT_RUN).removeprefix("not run: "))
    place = _place(report, root)
    for one in said(report):
        if not one.ok:
            title = f"{one.label}: {port_name(report)}, {', '.join(one.parts)}"
            yield _command("error", {**place, "title": title}, "\n".join([one.what, *one.lines]))


def _place(report: Findings, root: Path) -> dict[str, str]:
    """Where the port begins, if that is in the repository."""
    found = report.origin.place()
    if found is None:
        return {}
    file, line = found
    try:
        inside = file.resolve().relative_to(root.resolve())
    except ValueError:
        return {}
    return {"file": inside.as_posix(), "line": str(line)}


def _command(name: str, properties: dict[str, str], message: str) -> str:
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{name} {listed}::{_data(message)}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
