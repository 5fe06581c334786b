"""The matrix as a picture: what a README shows of a run."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from lion_conformance import Report, verify
from lion_conformance.report import as_svg
from lion_conformance.report.style import DARK, LIGHT
from lion_conformance.report.table import COLUMNS
from lion_ref import CANONICAL, Semantics, step

pytestmark = pytest.mark.clause("C29")

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def exact() -> Report:
    return replace(verify(step, dtypes=["float32"], max_examples=1), port="a <port>")


def words(picture: str) -> list[str]:
    return [text.text or "" for text in ET.fromstring(picture).iter(f"{SVG}text")]


def test_a_row_has_the_port_its_door_and_a_cell_for_every_column(exact: Report) -> None:
    missing = Report("torch", "step()", "cpu", None, (), 0, 3, {}, not_run="it is not installed")
    picture = as_svg.render([exact, missing])
    told = words(picture)
    names = [name for name in COLUMNS if name != "device"]
    assert told[: len(names)] == names
    assert (
        told[len(names) : 2 * len(names)]
        == ["a <port>", exact.door, "–", "–", "✓ bit-exact"] + ["–"] * 3
    )
    assert told[2 * len(names) : 3 * len(names)] == ["torch", "step()", *["? not run"] * 6]
    assert told[3 * len(names) :] == [
        "✓ bit-exact: every bit is the reference's",
        "? not run: the report says why",
        "–: the port does not take this dtype or offer this run, or was not asked for it",
    ]


def test_what_is_declared_is_said_in_short(exact: Report) -> None:
    flushed = replace(exact, declared=Semantics(subnormals="flush"))
    (result,) = flushed.results
    (as_declared,) = (x for x in type(result.verdict) if x.value == "bit-exact as")
    report = replace(flushed, results=(replace(result, verdict=as_declared),))
    assert "✓ as flush" in words(as_svg.render([report]))


def test_it_is_in_the_light_and_in_the_dark_and_holds_nothing_else(exact: Report) -> None:
    picture = as_svg.render([exact])
    for colour in (*LIGHT.values(), *DARK.values()):
        assert colour in picture
    assert "@media (prefers-color-scheme: dark)" in picture
    assert not re.search(r"<script|url\(|href|@import|http(?!://www.w3.org/2000/svg)", picture)


def test_no_words_leave_the_picture(exact: Report) -> None:
    long = replace(exact, port="a" * 40, declared=CANONICAL)
    root = ET.fromstring(as_svg.render([long, exact]))
    width, height = (float(root.attrib[name]) for name in ("width", "height"))
    for text in root.iter(f"{SVG}text"):
        left, top = float(text.attrib["x"]), float(text.attrib["y"])
        assert left + 6 * len(text.text or "") <= width
        assert top <= height
