"""Reports: one content in every format, nothing hidden, valid and self-contained."""

from __future__ import annotations

import json
from functools import partial
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

import lion_ref
from lion_conformance import Report, from_callable, verify
from lion_conformance.report import as_html, as_markdown, as_text
from lion_conformance.runner import Options, judge_port
from lion_conformance.tape import load
from lion_ref import CANONICAL, Semantics

pytestmark = pytest.mark.clause("C29")


def judged(step: Any, declared: Semantics | None) -> Report:
    port = from_callable(step, name="a <port>", declared=declared)
    return judge_port(port, ["float32"], Options(max_examples=3), load())


def two_semantics_at_once(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A rounding of Lion in every element, but of no one Semantics in all."""
    plain = lion_ref.step(param, momentum, grad, **scalars)
    fused = lion_ref.step(
        param, momentum, grad, **scalars, semantics=Semantics(momentum_fused="gradient")
    )
    return plain[0], np.where(np.signbit(grad), fused[1], plain[1])


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    flushed = Semantics(subnormals="flush")
    missing = Report("torch", "–", "cpu", None, (), 0, 3, {}, not_run="torch is not installed")
    return {
        "exact": judged(lion_ref.step, CANONICAL),
        "exact as": judged(partial(lion_ref.step, semantics=flushed), flushed),
        "accepted": judged(two_semantics_at_once, None),
        "diagnosed": judged(partial(lion_ref.step, semantics=Semantics(decay="factor")), None),
        "rejected": judged(lambda p, m, g, **_: (p.copy(), m.copy()), CANONICAL),
        "not run": missing,
    }


def test_ok_says_whether_the_promise_is_kept(reports: dict[str, Report]) -> None:
    assert [report.ok for report in reports.values()] == [True, True, True, True, False, False]


def test_the_words_are_the_clause_s(reports: dict[str, Report]) -> None:
    words = [report.words(report.verdict) for report in reports.values()]
    assert words == [
        "bit-exact",
        "bit-exact as subnormals flushed",
        "accepted",
        "bit-exact as θ' = θ·(1-ηλ) - η·u, 1-ηλ formed in binary64",
        "rejected",
        "not run: torch is not installed",
    ]


def test_every_format_says_the_same(reports: dict[str, Report]) -> None:
    listed = list(reports.values())
    for text in (as_text.render(listed), as_markdown.render(listed), as_html.render(listed)):
        for needle in ("bit-exact as flush", "accepted", "rejected", "torch is not installed"):
            assert needle in text
        assert "subnormals flushed" in text
        assert "outside the accepted set" in text


def test_what_falls_short_is_marked_in_words(reports: dict[str, Report]) -> None:
    kept, broken = [reports["exact"]], [reports["rejected"]]
    for render, mark in (
        (as_text.render, "(!)"),
        (as_markdown.render, "**(!)**"),
        (as_html.render, "(falls short)"),
    ):
        assert mark not in render(kept)
        assert mark in render(broken)


def test_json_holds_the_counterexample_in_decimal_and_hex(reports: dict[str, Report]) -> None:
    document = json.loads(reports["rejected"].to_json())
    found = document["reports"][0]["dtypes"][0]["counterexample"]
    for value in (*found["inputs"].values(), *found["expected"].values(), *found["got"].values()):
        pattern = np.uint32(int(value["hex"], 16))
        assert np.float32(value["decimal"]).view(np.uint32) == pattern or "nan" in value["decimal"]


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_self_contained_and_escaped(reports: dict[str, Report]) -> None:
    page = _Page()
    text = as_html.render(list(reports.values()))
    page.feed(text)
    assert page.open == []
    assert page.links == []
    assert "a &lt;port&gt;" in text
    assert "a <port>" not in text


def test_nothing_judged_is_not_ok() -> None:
    report = verify(lion_ref.step, dtypes=[], max_examples=1)
    assert report.verdict.value == "not run"
    assert not report.ok
    assert not report.fell_short
