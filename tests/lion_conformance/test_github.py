"""What a workflow is told beside annotations: the summary of the job, the outputs of the step."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lion_conformance import Report, Verdict, github
from lion_conformance.report import as_markdown
from lion_conformance.report.findings import DtypeResult
from tests.lion_conformance.report.test_as_annotations import rejected


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[Report]], str]:
    """Tells reports to a workflow, and gives its files as one text."""

    def tell(reports: Sequence[Report]) -> str:
        for name in (github.SUMMARY, github.OUTPUT):
            monkeypatch.setenv(name, str(tmp_path / name))
            (tmp_path / name).write_text("before\n", encoding="utf-8")
        assert github.tell(reports, as_markdown.render)
        return (tmp_path / github.OUTPUT).read_text(encoding="utf-8")

    return tell


def outputs(text: str) -> dict[str, str]:
    """The outputs of a step as GitHub's runner reads them."""
    found = re.findall(r"^(\w+)<<(\w+)\n(.*?)\n\2$", text, re.DOTALL | re.MULTILINE)
    return {name: value for name, _, value in found}


NOT_RUN = Report("b", "–", "cpu", None, (), 0, 1, {}, not_run="no GPU")
RIGHT = replace(
    rejected(), results=(DtypeResult("float32", Verdict.ACCEPTED, True, 1, 1, 0.0, 0.0),)
)
SHORT = replace(
    rejected(), results=(DtypeResult("float32", Verdict.BIT_EXACT, False, 1, 1, 0.0, 0.0),)
)


@pytest.mark.parametrize(
    ("reports", "verdict", "cause"),
    [
        ([RIGHT], "accepted", ""),
        ([NOT_RUN], "not run", ""),
        ([RIGHT, NOT_RUN], "not run", ""),
        ([NOT_RUN, rejected(), RIGHT], "rejected", "the decay is left out (SPEC C10)"),
        ([SHORT], "falls short", ""),
        ([], "not run", ""),
    ],
)
def test_the_outputs_are_one_verdict_and_its_cause(
    reports: list[Report], verdict: str, cause: str, told: Callable[[Sequence[Report]], str]
) -> None:
    text = told(reports)
    assert text.startswith("before\n"), "what other steps wrote stays"
    code = "decay-left-out" if cause else ""
    assert outputs(text) == {"verdict": verdict, "cause": cause, "code": code}


def test_an_output_ends_where_nothing_in_it_can(told: Callable[[Sequence[Report]], str]) -> None:
    sentence = "a\nEOF\nverdict=bit-exact"
    found = outputs(told([rejected(sentence=sentence)]))
    assert found["cause"] == f"{sentence} (SPEC C10)"
    assert found["verdict"] == "rejected"


def test_a_summary_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(github.SUMMARY, str(tmp_path))
    monkeypatch.delenv(github.OUTPUT, raising=False)
    assert not github.tell([RIGHT], as_markdown.render)
    said = (
        f"lion-conformance: --github: {github.SUMMARY}={tmp_path} was not written: Is a directory\n"
    )
    assert capsys.readouterr().err == said
