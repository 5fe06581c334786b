"""What GitHub Actions reads: lines that it takes for commands, whatever a port's name holds."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import lion_ref
from lion_conformance import Report, Verdict, from_callable, verify
from lion_conformance.report import as_annotations
from lion_conformance.report.findings import DtypeResult
from lion_conformance.report.origin import Origin
from lion_conformance.verdict.cause import Cause, Kind
from lion_conformance.verdict.code import Code

COMMAND = re.compile(r"::(\w+) ((?:\w+=[^:,\r\n]*,?)*)::([^\r\n]*)\n")
ESCAPED = {"%0A": "\n", "%0D": "\r", "%3A": ":", "%2C": ",", "%25": "%"}

PORT = """
import functools
import lion_ref
from lion_conformance import from_callable

def with_another_name(function):
    @functools.wraps(function)
    def wrapped(*arrays, **scalars):
        return function(*arrays, **scalars)
    return wrapped

@with_another_name
def step(param, momentum, grad, **scalars):
    return param.copy(), momentum.copy()

port = from_callable(step)

class Still:
    def __call__(self, param, momentum, grad, **scalars):
        return param.copy(), momentum.copy()

still = Still()
"""


def read(text: str) -> list[tuple[str, dict[str, str], str]]:
    """The commands of a text as GitHub's runner reads them; all of the text has to be commands."""

    def plain(value: str) -> str:
        return re.sub("%0A|%0D|%3A|%2C|%25", lambda x: ESCAPED[x[0]], value)

    assert COMMAND.sub("", text) == ""
    return [
        (name, dict(x.split("=", 1) for x in map(plain, listed.split(","))), plain(data))
        for name, listed, data in COMMAND.findall(text)
    ]


def rejected(port: str = "my_lion.step", sentence: str = "the decay is left out") -> Report:
    """A report as of a port that is wrong."""
    cause = Cause(
        Kind.MISTAKE, Code.DECAY_LEFT_OUT, sentence, "C10", evidence=("put right, it is right",)
    )
    wrong = DtypeResult("float32", Verdict.REJECTED, False, 1, 1, 0.0, 0.0, cause=cause)
    return Report(port, "step(...)", "cpu", None, (wrong,), 0, 1, {})


@pytest.fixture
def still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of ports that stand still."""
    folder = tmp_path / "repository" / "source"
    folder.mkdir(parents=True)
    (folder / "still.py").write_text(PORT, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "still", raising=False)
    return folder.parent


def test_what_falls_short_is_an_error_with_its_cause() -> None:
    assert as_annotations.render([rejected()], Path()) == (
        "::error title=rejected%3A my_lion.step%2C float32::the decay is left out (SPEC C10)%0A"
        "put right, it is right%0Amore: lion-conformance explain decay-left-out\n"
    )


def test_what_is_as_declared_is_not_annotated() -> None:
    report = verify(lion_ref.step, dtypes=["float16"], max_examples=1)
    assert as_annotations.render([report], Path()) == ""


def test_what_is_not_run_is_a_warning() -> None:
    port = replace(from_callable(lion_ref.step, name="mine"), unavailable="no GPU: 50% of, it")
    assert as_annotations.render([verify(port)], Path()) == (
        "::warning title=mine%3A not run::no GPU: 50%25 of, it\n"
    )


@pytest.mark.parametrize("text", ["a, b=c", "50%0A", "::error::x", "two\r\nlines", "%3A"])
def test_nothing_in_a_name_or_a_sentence_is_taken_for_more(text: str) -> None:
    ((name, properties, data),) = read(
        as_annotations.render([rejected(port=text, sentence=text)], Path())
    )
    assert name == "error"
    assert properties == {"title": f"rejected: {text}, float32"}
    assert data.startswith(text)


@pytest.mark.parametrize(
    ("name", "line"), [("step", 12), ("port", 1), ("still", 1), ("Still", 18), ("gone", None)]
)
def test_an_annotation_stands_where_the_port_begins(
    name: str, line: int | None, still: Path
) -> None:
    report = replace(rejected(), origin=Origin("import", f"still:{name}"))
    ((_, properties, _),) = read(as_annotations.render([report], still))
    place = {} if line is None else {"file": "source/still.py", "line": str(line)}
    assert {k: v for k, v in properties.items() if k != "title"} == place


@pytest.mark.parametrize("kind", ["exec", "object", "backend"])
def test_of_what_has_no_file_in_the_repository_none_is_named(kind: str, still: Path) -> None:
    report = rejected()
    elsewhere = replace(report, origin=Origin("import", "still:step"))
    nowhere = replace(report, origin=Origin(kind, "./program"))
    for found, root in ((elsewhere, still / "source" / "other"), (nowhere, still)):
        assert "file=" not in as_annotations.render([found], root)
