"""What a port is called, and what it says, is text in every report: no markup, no cell's end."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from lion_conformance import Report, from_callable, verify
from lion_conformance.report import as_html, as_markdown, as_survey
from lion_conformance.report.origin import Origin

pytestmark = pytest.mark.clause("C29")

EVIL = "<script>alert(1)</script>|`x`|<img src=x onerror=alert(1)> [a](javascript:b) ```"


def _still(param: Any, momentum: Any, _: Any, **__: Any) -> Any:
    return param.copy(), momentum.copy()


def _raises(param: Any, momentum: Any, grad: Any, **_: Any) -> Any:
    raise RuntimeError(f"{EVIL}\n```\n{EVIL}")


def _raises_at_zero(param: Any, momentum: Any, grad: Any, *, lr: float, **_: Any) -> Any:
    if lr == 0:
        raise RuntimeError(EVIL)
    return param.copy(), momentum.copy()


def _drifts() -> Callable[..., Any]:
    """Its bits are others when it is called again, and its words stand beside a run."""
    calls = iter(range(10**9))

    def step(param: Any, momentum: Any, _: Any, **__: Any) -> Any:
        return param + np.float32(next(calls)), momentum.copy()

    return step


def _refuses_dtype(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    raise TypeError(EVIL)


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    steps: list[Callable[..., Any]] = [_still, _raises, _raises_at_zero, _drifts(), _refuses_dtype]
    judged = [
        verify(from_callable(step, name=EVIL), dtypes=["float32"], max_examples=1) for step in steps
    ]
    unjudged = Report(EVIL, EVIL, EVIL, None, (), 0, 1, {EVIL: EVIL}, not_run=EVIL)
    origin = Origin("import", "m:f", command=f"lion-conformance verify '{EVIL}'")
    return [*(replace(x, origin=origin, door=EVIL) for x in judged), unjudged]


class _Page(HTMLParser):
    """What a browser would take for elements, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def html_faults(page: str) -> list[str]:
    parsed = _Page(page)
    active = sorted(parsed.tags & {"script", "img", "iframe", "object"})
    foreign = [x for x in parsed.links if not x.startswith("#")]
    return [*active, *foreign, *(x for x in sorted(parsed.attributes) if x.startswith("on"))]


def markdown_faults(text: str) -> list[str]:
    """Markup that is neither ours nor in a block of code; cells that end too soon."""
    faults, fence, width = [], "", 0
    for line in text.split("\n"):
        opening = re.match(r" {0,3}(`{3,})", line)
        if fence:
            fence = "" if re.fullmatch(rf" {{0,3}}{fence}`*\s*", line) else fence
            continue
        if opening:
            fence = opening[1]
            continue
        plain = re.sub(r"\\[\\`*|\[]", "", line)
        faults += re.findall(r"<(?!/?(?:details|summary|br)>)\w+", plain)
        faults += re.findall(r"\]\(javascript:", re.sub(r"\\\[[^\]]*\]", "", line))
        cells = plain.count("|")
        if not plain.startswith("|"):
            width = 0
        elif width and cells != width:
            faults.append(f"{cells} cell borders in a table of {width}")
        else:
            width = cells
    return faults + ([f"a block that {fence} opens is not closed"] if fence else [])


def _surveyed(reports: list[Report]) -> str:
    """Published ports have names that are written here; their words are their own."""
    return as_survey.render(
        [replace(x, port="a port", door="a door", versions={}) for x in reports]
    )


RENDERED: dict[str, Callable[[list[Report]], str]] = {
    "markdown": as_markdown.render,
    "survey": _surveyed,
    "html": as_html.render,
}


@pytest.mark.parametrize("form", RENDERED)
def test_a_port_s_words_are_text(reports: list[Report], form: str) -> None:
    faults = html_faults if form == "html" else markdown_faults
    for some in (reports, *([report] for report in reports)):
        page = RENDERED[form](some)
        assert faults(page) == []
    assert "alert(1)" in RENDERED[form](reports)


def test_a_port_s_words_stand_on_the_page_as_they_are(reports: list[Report]) -> None:
    assert EVIL in "".join(_Page(as_html.render(reports)).words)


@pytest.mark.parametrize("form", RENDERED)
def test_what_is_not_escaped_is_found(
    reports: list[Report], form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = {"markdown": as_markdown, "survey": as_survey, "html": as_html}[form]
    name = "escape" if form == "html" else "escaped"
    monkeypatch.setattr(module, name, lambda text, *_, **__: text)
    faults = html_faults if form == "html" else markdown_faults
    assert faults(RENDERED[form](reports))


FINE = "&lt;b \\[a](javascript:b)\n```\n<b>\n```\n| a |\n| \\|b |"


@pytest.mark.parametrize(
    "text", ["<b>", "| a | b |\n| c |", "```\nx", "[a](javascript:b)", "\\[a](javascript:b) <i>"]
)
def test_the_reader_of_markdown_finds_each_fault(text: str) -> None:
    assert markdown_faults(text)
    assert markdown_faults(FINE) == []
