"""What a cause means, offline: at the command line, behind its sentence in every format."""

from __future__ import annotations

import html
import json
import re
import sys
from typing import Any

import pytest

import lion_ref
from lion_conformance import Report, verify
from lion_conformance.cli import main
from lion_conformance.report import as_text
from lion_conformance.report.explanation import explanation, show
from lion_conformance.verdict.code import Code

pytestmark = pytest.mark.clause("C29")

MORE = "more: lion-conformance explain decay-scaled"


def doubled(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    decay = 2 * scalars.pop("weight_decay")
    return lion_ref.step(param, momentum, grad, **scalars, weight_decay=decay)


@pytest.fixture(scope="module")
def rejected() -> Report:
    triples = ["float32/float32/float32", "float64/float64/float64"]
    return verify(doubled, dtypes=triples, max_examples=1)


def test_every_format_says_how_to_learn_more_once_a_cause(rejected: Report) -> None:
    assert len(rejected.results) == 2
    for text in (as_text.render([rejected]), rejected.to_markdown()):
        assert text.count(MORE) == 1
    lines = as_text.render([rejected], width=120).splitlines()
    assert lines[0].endswith("float32, float64: the decay is doubled: 2·λ (SPEC C10)")
    assert lines[2] == f"    {MORE}"


def test_json_has_the_code(rejected: Report) -> None:
    (report,) = json.loads(rejected.to_json())["reports"]
    assert report["cause"]["code"] == "decay-scaled"
    assert {x["cause"]["code"] for x in report["dtypes"]} == {"decay-scaled"}


def test_the_page_holds_the_explanation_itself(rejected: Report) -> None:
    """A link would need this package, or a network."""
    page = html.unescape(rejected.to_html())
    assert "<summary>More of decay-scaled</summary>" in page
    assert page.count(explanation(Code.DECAY_SCALED)) == 1


def test_of_a_right_port_there_is_nothing_to_explain() -> None:
    report = verify(lion_ref.step, dtypes=["float32/float32/float32"], max_examples=1)
    for text in (as_text.render([report]), report.to_markdown(), report.to_html()):
        assert "explain" not in text
        assert "More of" not in text


@pytest.mark.parametrize("code", Code)
def test_a_page_is_plain_text_where_there_is_no_terminal(
    code: Code, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", code]) == 0
    text = capsys.readouterr().out
    assert text == f"{explanation(code)}\n"
    assert not re.search(r"^#|```|\]\(|\.md|\x1b", text, re.MULTILINE)
    assert "SPEC clause" in text


def test_on_a_terminal_it_is_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    show(Code.BETAS_SWAPPED)
    text = capsys.readouterr().out
    assert "β1 and β2 are swapped" in text
    assert not re.search(r"^#|```|\]\(", text, re.MULTILINE)


def test_without_a_code_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == list(Code)
    assert lines[0] == "The two interpolations"
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("betas-swaped", "near it: betas-swapped"),
        ("decay_scaled", "near it: decay-scaled"),
        ("xyzzy", ""),
        ("index", ""),
        ("../verdicts", ""),
    ],
)
def test_an_unknown_code_names_those_near_it(
    name: str, near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", name]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"lion-conformance: code='{name}' is not legal; {near}")
    assert error.endswith("legal: one of those that `lion-conformance explain` lists\n")
    assert error.count("\n") == 1
    assert ("near it" in error) == bool(near)
