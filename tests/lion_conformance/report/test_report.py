"""Reports: one content in every format, nothing hidden, valid and self-contained."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from functools import partial
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import lion_ref
from lion_conformance import Report, Verdict, from_callable, verify
from lion_conformance.report import as_html, as_json, as_markdown, as_svg, as_text
from lion_conformance.report.as_json import SCHEMA
from lion_conformance.report.style import CLASSES, DARK, LIGHT, MARKS
from lion_conformance.runner import Options, judge_port
from lion_conformance.runs.tape import load
from lion_conformance.vectors.document import DATA
from lion_ref import CANONICAL, Semantics

pytestmark = pytest.mark.clause("C29")


def judged(step: Any, declared: Semantics | None) -> Report:
    port = from_callable(step, name="a <port>", declared=declared)
    return judge_port(port, ["float32"], Options(max_examples=1), load())


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
        "diagnosed": judged(
            partial(lion_ref.step, semantics=Semantics(sign_fused="momentum")), None
        ),
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
        "bit-exact as c = fma(β1, m, (1-β1)·g)",
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
    """In the matrix, which there is where several ports were judged."""
    kept = [reports["exact"], reports["exact as"]]
    broken = [reports["exact"], reports["rejected"]]
    for render, mark in (
        (as_text.render, "(!)"),
        (as_markdown.render, "**(!)**"),
        (as_html.render, "(falls short)"),
        (as_svg.render, "(!)"),
    ):
        assert mark not in render(kept)
        assert mark in render(broken)


def test_json_holds_the_counterexample_in_decimal_and_hex(reports: dict[str, Report]) -> None:
    document = json.loads(reports["rejected"].to_json())
    found = document["reports"][0]["dtypes"][0]["counterexample"]
    for value in (*found["inputs"].values(), *found["expected"].values(), *found["got"].values()):
        pattern = np.uint32(int(value["hex"], 16))
        assert np.float32(value["decimal"]).view(np.uint32) == pattern or "nan" in value["decimal"]


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((DATA / SCHEMA).read_text(encoding="utf-8")))


def test_json_follows_its_schema(
    reports: dict[str, Report], schema: jsonschema.Draft202012Validator
) -> None:
    jsonschema.Draft202012Validator.check_schema(schema.schema)
    document = json.loads(as_json.dumps(list(reports.values())))
    schema.validate(document)
    assert document["reports"][4]["reproduction"].startswith("# rejected  a <port>, float32: ")


def test_of_bits_that_vary_every_format_shows_both(
    schema: jsonschema.Draft202012Validator,
) -> None:
    calls = itertools.count(1)

    def counts(param: Any, momentum: Any, grad: Any, **_: Any) -> Any:
        return np.full_like(param, next(calls)), momentum.copy()

    report = verify(counts, dtypes=["float32"], max_examples=1, explain=False)
    document = json.loads(report.to_json())
    schema.validate(document)
    found = document["reports"][0]["dtypes"][0]["counterexample"]
    first, second = (found[kind]["param"] for kind in ("got", "again"))
    assert float(second["decimal"]) == float(first["decimal"]) + 1
    for text in (as_text.render([report]), report.to_markdown(), report.to_html()):
        assert first["hex"] in text
        assert second["hex"] in text
        assert "no single call" not in text
        assert "Alone, this case is right" not in text


@pytest.mark.parametrize(
    "spoil",
    [
        lambda report: report.pop("verdict"),
        lambda report: report.update(verdict="passed"),
        lambda report: report.update(extra=1),
        lambda report: report["dtypes"][0].update(dtype="float8"),
        lambda report: report["dtypes"][0]["counterexample"]["inputs"]["param"].update(hex="0x1"),
        lambda report: report["dtypes"][0]["counterexample"].pop("accepted"),
        lambda report: report["dtypes"][0]["accepted_width"].update(ambiguous=1.5),
    ],
)
def test_the_schema_refuses_what_is_no_report(
    reports: dict[str, Report], schema: jsonschema.Draft202012Validator, spoil: Any
) -> None:
    document = json.loads(reports["rejected"].to_json())
    spoil(document["reports"][0])
    assert not schema.is_valid(document)


def test_every_format_has_the_accepted_set_and_a_program_to_reproduce_it(
    reports: dict[str, Report],
) -> None:
    listed = [reports["rejected"], reports["exact"]]
    for text, width in (
        (as_markdown.render(listed), "in nine of ten"),
        (unescape(as_html.render(listed)), "in nine of ten"),
        (as_json.dumps(listed), "param_ninth_decile"),
    ):
        for needle in ("def load_port():", width, "quals the reference"):
            assert needle in text


VOID = ("meta", "br")


class _Page(HTMLParser):
    """What a page is made of, as far as a reader or a machine depends on it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.headings: list[int] = []
        self.unscoped = 0
        self.pictures: list[dict[str, str | None]] = []
        self.words: list[str] = []
        self.cells: list[tuple[str, str]] = []
        self.lang = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        self.ids += [given["id"] or ""] if "id" in given else []
        self.lang = given.get("lang") or self.lang
        self.unscoped += tag == "th" and "scope" not in given
        if tag in ("h1", "h2", "h3", "h4"):
            self.headings.append(int(tag[1]))
        if tag == "svg" and given.get("aria-hidden") != "true":
            self.pictures.append(given)
        if tag == "td":
            self.cells.append((given.get("class") or "", ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open and self.cells:
            kind, text = self.cells[-1]
            self.cells[-1] = (kind, text + data)


def test_the_page_is_well_formed_self_contained_and_escaped(reports: dict[str, Report]) -> None:
    text = as_html.render(list(reports.values()))
    page = _Page(text)
    assert page.open == []
    assert page.links
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids), (
        "links stay in the page"
    )
    assert len(set(page.ids)) == len(page.ids)
    assert "url(" not in text
    assert "<script" not in text
    assert "a &lt;port&gt;" in text
    assert "a <port>" not in text


def test_markdown_takes_no_name_for_its_own(reports: dict[str, Report]) -> None:
    """Code apart, which shows characters as they are."""
    *parts, _ = as_markdown.render(list(reports.values())).split("```")
    prose = "".join(parts[::2])
    assert "a &lt;port&gt;" in prose
    assert "<port>" not in prose


def test_the_page_can_be_heard(reports: dict[str, Report]) -> None:
    """No meaning by colour alone; headings in order, table heads with a scope, pictures named."""
    page = _Page(as_html.render(list(reports.values())))
    assert page.lang == "en"
    assert page.headings[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(page.headings))
    assert page.unscoped == 0
    assert page.pictures
    assert all(x.get("role") == "img" and x.get("aria-label") for x in page.pictures)
    words = {verdict.value for verdict in Verdict}
    coloured = [text for kind, text in page.cells if kind.split(" ")[0] in CLASSES.values()]
    assert len(coloured) == 5 * 2 + 6
    for text in coloured:
        assert any(word in text for word in words)
        assert text[0] in MARKS.values()


def _luminance(colour: str) -> float:
    def linear(channel: float) -> float:
        return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_words_and_marks_stand_out(colours: dict[str, str]) -> None:
    """WCAG 2.1: 4.5 for words, 3 for what is drawn."""
    grounds = ("paper", "code", "band", *CLASSES.values())
    for ground in grounds:
        for ink in ("ink", "soft"):
            assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    for mark in ("blue", "orange", "green", "violet", "teal", "red", "grey"):
        for ground in ("paper", "band"):
            assert _contrast(colours[mark], colours[ground]) >= 3, (mark, ground)


BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)


@pytest.mark.skipif(not BROWSER, reason="no Chromium is installed to show the page in")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_the_page(reports: dict[str, Report], tmp_path: Path, width: int) -> None:
    """Nothing is wider than the window, on a phone too, and the verdicts are in the picture."""
    page = as_html.render(list(reports.values()))
    page = page.replace("</main>", f"</main>{MEASURE}")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    # The narrowest window that Chromium opens is wider than a phone, so the page is put in a frame.
    frame = f'<iframe src="page.html" width="{width}" height="3000" style="border:0"></iframe>'
    (tmp_path / "frame.html").write_text(frame + LISTEN, encoding="utf-8")
    ran = subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--no-first-run", "--disable-quic"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--window-size=1400,3100", "--virtual-time-budget=5000", "--dump-dom"),
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--screenshot={tmp_path / 'page.png'}",
            (tmp_path / "frame.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert f"widths {width} {width}" in ran.stdout, ran.stdout[-500:] + ran.stderr[-500:]


MEASURE = """<script>parent.postMessage(
"widths " + innerWidth + " " + document.documentElement.scrollWidth, "*")</script>"""
LISTEN = """<script>addEventListener("message", (e) => { document.title = e.data; })</script>"""


def test_nothing_judged_is_not_ok() -> None:
    report = judge_port(from_callable(lion_ref.step), [], Options(max_examples=1), load())
    assert report.verdict.value == "not run"
    assert not report.ok
    assert not report.fell_short
