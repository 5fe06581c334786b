"""Every code of a cause has a page, and what is printed there is what the judge prints."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

from lion_conformance.diagnosis.alternatives.absences import absences
from lion_conformance.diagnosis.alternatives.alternative import Alternative
from lion_conformance.diagnosis.alternatives.calls import OfCalls, kept_between_calls
from lion_conformance.diagnosis.alternatives.events import OCCASIONS, after_event, casts, cuts
from lion_conformance.diagnosis.alternatives.hidden import hidden, known_by_place
from lion_conformance.diagnosis.alternatives.lists import lists
from lion_conformance.diagnosis.alternatives.restores import restores
from lion_conformance.diagnosis.alternatives.schedules import schedules
from lion_conformance.diagnosis.alternatives.sharing import sharing
from lion_conformance.diagnosis.alternatives.steps import Change, changes
from lion_conformance.diagnosis.mistakes.altered import Alteration
from lion_conformance.diagnosis.mistakes.catalogue import catalogue
from lion_conformance.verdict.code import Code
from tests.lion_conformance.diagnosis.cause_pages import (
    FOLDER,
    INDEX,
    PageError,
    cause_of_port,
    edits,
    faults,
    port_of,
    right_program,
    spoiled,
    text_of,
)

pytestmark = pytest.mark.clause("C29")

TITLES = {path.stem: path.read_text(encoding="utf-8").splitlines()[0] for path in FOLDER.iterdir()}
CASE = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1}


def nameable() -> Iterator[Alteration | Alternative | Change | OfCalls]:
    """What the diagnosis may find, but for what it measures."""
    yield from catalogue()
    yield from changes()
    yield from (*lists(), *schedules(), *restores(), *cuts(), *casts(), *known_by_place())
    yield from (*sharing(restores=True), *absences([1]), *hidden("bfloat16", "bfloat16"))
    yield from (x for event in OCCASIONS for x in after_event(event))
    yield from kept_between_calls(CASE)  # type: ignore[arg-type]  # a TypedDict of these four


def test_whatever_has_a_name_has_a_code() -> None:
    found = list(nameable())
    assert len(found) > 400
    assert all(type(x.code) is Code for x in found)


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    """That a code is used is what the judging of its page shows."""
    assert set(TITLES) - {"index"} == set(Code)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in Code)


def test_the_index_has_a_line_for_each() -> None:
    rows = re.findall(r"^\| \[(.+)\]\((.+)\.md\) \| (.+) \|$", INDEX, re.MULTILINE)
    assert [code for code, _, _ in rows] == list(Code)
    assert rows == [(code, code, TITLES[code].removeprefix("# ")) for code in Code]


@pytest.mark.parametrize("code", Code)
def test_a_page_says_what_the_judge_says(code: Code) -> None:
    with np.errstate(all="ignore"):
        assert faults(code, text_of(code)) == []


@pytest.mark.parametrize("name", ["my_lion.step", "my_lion.lion", "my_lion.lion_with_events"])
def test_the_port_of_the_pages_is_right(name: str) -> None:
    """So what a page shows comes of its wrong lines."""
    assert cause_of_port(port_of(name, "float32", right_program()), "float32") is None


PAGE = text_of("decay-scaled")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("(u + 2 * weight", "(u + 3 * weight", "λ is multiplied by 3"),
        ("the decay is doubled: 2·λ (SPEC C10)", "the decay is halved: λ/2 (SPEC C10)", "doubled"),
        ("explain decay-scaled", "explain decay-twice", "explain decay-scaled"),
        ("[C10, ", "[C1, ", "C10 is not linked"),
    ],
)
def test_a_page_that_is_wrong_is_found(old: str, new: str, fault: str) -> None:
    assert old in PAGE
    assert fault in "\n".join(faults("decay-scaled", PAGE.replace(old, new)))


def test_a_page_of_another_code_is_found() -> None:
    assert faults("decay-twice", PAGE) == ["the code is decay-scaled"]


@pytest.mark.parametrize(("old", "new"), [("right   new", "right   old"), ("right   ", "")])
def test_a_page_about_lines_that_are_none_is_found(old: str, new: str) -> None:
    with pytest.raises(PageError):
        (spoiled(right_program(), edits(PAGE.replace(old, new))[0]),)
