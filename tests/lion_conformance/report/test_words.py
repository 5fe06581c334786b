"""What is printed is read by someone who does not know us: short sentences, the verdict first."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from lion_conformance import Report, verify
from lion_conformance.checks import Check, words
from lion_conformance.report import as_text, shown
from lion_conformance.report.told import said, shown_first
from lion_conformance.verdict.sentences import LONGEST
from tests.lion_conformance.mutants.catalogue import Mutant, load

pytestmark = pytest.mark.clause("C29")

SAMPLE = (
    "betas swapped",
    "decay coupled",
    "parameters unchanged",
    "decay doubled",
    "clipped by value",
    "ascent",
)
"""Mutants that are rejected at once, each for something else."""


@pytest.fixture(scope="module", params=SAMPLE)
def report(request: pytest.FixtureRequest) -> Report:
    mutants: dict[str, Mutant] = {x.name: x for x in load()}
    mutant = mutants[request.param]
    return verify(mutant.port(), dtypes=["float32/float32/float32"], max_examples=1)


def printed(report: Report) -> Iterator[str]:
    """Every line of every text, unwrapped; a program's code aside, which is read by a machine."""
    program, _, _ = report.reproduction().partition("\ndef load_port")
    markdown = "".join(report.to_markdown().split("```")[::2])
    for text in (as_text.render([report], width=10**6), words(report, Check.SEMANTICS), markdown):
        yield from text.splitlines()
    yield from program.splitlines()


def sentences(line: str) -> list[str]:
    """A line's sentences; rows of a table are none, nor is the list of what was found with what."""
    if line.startswith(("|", "<")) or re.match(r"#?\s+(accepted|python|\S+ 0x)", line):
        return []
    return re.split(r"[.;:] ", line)


def test_no_sentence_is_long_and_none_unreadable(report: Report) -> None:
    seen = 0
    for line in printed(report):
        if line.startswith(("Seed ", "to reproduce")):
            continue
        for text in sentences(line):
            seen += 1
            assert len(text) <= LONGEST, text
            assert "Semantics(" not in text
            assert "None" not in text
    assert seen > 20


def test_the_verdict_comes_first_then_what_is_wrong_then_one_counterexample(
    report: Report,
) -> None:
    lines = as_text.render([report], width=100).splitlines()
    assert lines[0].startswith(f"rejected  {report.port}, float32: ")
    first = shown_first(report)
    assert first is not None
    assert lines.index("One counterexample, in float32:") < 12
    assert sum("One counterexample" in line for line in lines) == 1
    assert shown.lines(first[1])[0] in report.to_markdown()
    comment = report.reproduction().splitlines()[0]
    assert comment == f"# {said(report)[0].line(report)}"
    shows = words(report, Check.SEMANTICS).splitlines()
    assert shows[1].startswith("rejected: ")
    page = report.to_html()
    order = [page.index(x) for x in ('class="said', "One counterexample", "<h3>In full")]
    assert order == sorted(order)
    assert "<details open" not in page


@pytest.mark.parametrize("width", [80, 120])
def test_lines_are_as_long_as_the_terminal_is_wide_but_for_tables(
    report: Report, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = as_text.render([report]).splitlines()
    assert all(
        len(x) <= width for x in lines if not re.match(r"    \S+ .*0x|\s+reference|    acc", x)
    )


def test_dtypes_of_which_the_same_is_to_be_said_are_named_together() -> None:
    def ascends(param: object, momentum: object, grad: object, **scalars: float) -> object:
        raise RuntimeError("no kernel")

    report = verify(ascends, dtypes=["float16", "float32"], max_examples=1)
    (one,) = said(report)
    assert one.parts == ("float16", "float32")
    assert "RuntimeError: no kernel" in one.what
    (first, *_) = as_text.render([report], width=10**6).splitlines()
    assert first.endswith(", float16, float32: " + one.what)
