"""Vectors and answers that are damaged or hostile end in a verdict, or in one line of words."""

from __future__ import annotations

import copy
import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion_conformance.cli import main
from lion_conformance.vectors import sound
from lion_conformance.vectors.document import DATA, FORMAT, VECTORS, load
from lion_ref import SPEC_VERSION
from tests.hostile import BETRAYED, as_json, damaged, damaged_bytes, examples

pytestmark = pytest.mark.clause("C32")

KINDS = ("steps-1", "canary-momentum_fused=gradient", "trajectory", "long")


def _small() -> dict[str, Any]:
    """A group of each kind, in float32, with few cases."""
    document = load(DATA / VECTORS, FORMAT)
    names = [f"float32-float32-float32/{kind}" for kind in KINDS]
    document["groups"] = [group for group in document["groups"] if group["id"] in names]
    assert len(document["groups"]) == len(KINDS)
    for group in document["groups"]:
        if group["kind"] in ("steps", "trajectory"):
            rows = "cases" if group["kind"] == "steps" else "steps"
            del group[rows][2:]
    return document


SMALL = _small()
CASES = SMALL["groups"][0]["cases"]
ANSWERS = {
    "format": "lion-answers",
    "version": SMALL["version"],
    "spec_version": SPEC_VERSION,
    "port": "mine",
    "dtypes": [["float32", "float32", "float32"]],
    "semantics": {},
    "answers": {
        SMALL["groups"][0]["id"]: [f"{x['new_param']} {x['new_momentum']}" for x in CASES],
        **{
            group["id"]: [
                f"{x['param_sha256']} {x['momentum_sha256']}" for x in group["checkpoints"]
            ]
            for group in SMALL["groups"]
            if group["kind"] == "long"
        },
    },
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def checked(vectors: bytes, answers: bytes) -> tuple[int, str, str]:
    """The exit status of the command, and what it wrote in UTF-8, which has no lone surrogates."""
    Path("vectors.json").write_bytes(vectors)
    Path("answers.json").write_bytes(answers)
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
        status = main(["vectors", "check", "vectors.json", "--answers", "answers.json"])
    out, err = (_written(stream) for stream in streams)
    assert not Path(BETRAYED).exists(), "input was run as code"
    return status, out, err


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def ends_in_words(vectors: bytes, answers: bytes) -> None:
    status, out, err = checked(vectors, answers)
    assert status in (0, 1, 2)
    if err:
        assert status == 2
        assert err.startswith("lion-conformance: ")
        assert err.count("\n") == 1
        assert len(err) < 2_000
        assert "legal" in err or " is no JSON" in err, err
    else:
        assert " groups: " in out.splitlines()[-1]


@examples(120)
@given(damaged(ANSWERS))
def test_damaged_answers_end_in_words(answers: Any) -> None:
    ends_in_words(as_json(SMALL), as_json(answers))


@examples(120)
@given(damaged(SMALL))
def test_damaged_vectors_end_in_words(vectors: Any) -> None:
    ends_in_words(as_json(vectors), as_json(ANSWERS))


@examples(120)
@given(damaged_bytes(as_json(SMALL)), damaged_bytes(as_json(ANSWERS)), st.booleans())
def test_damaged_bytes_end_in_words(vectors: bytes, answers: bytes, which: bool) -> None:
    ends_in_words(vectors if which else as_json(SMALL), as_json(ANSWERS) if which else answers)


def test_the_fuzz_finds_what_takes_a_file_s_parts_for_granted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("fault_of_form", "fault"):
        monkeypatch.setattr(f"lion_conformance.vectors.document.{name}", lambda *_: "")
    with pytest.raises((Exception, ExceptionGroup)):
        test_damaged_vectors_end_in_words()


@pytest.mark.slow
@examples(10_000)
@given(damaged(SMALL), damaged(ANSWERS), st.booleans())
def test_many_damaged_files_end_in_words(vectors: Any, answers: Any, which: bool) -> None:
    ends_in_words(as_json(vectors if which else SMALL), as_json(ANSWERS if which else answers))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (
            ("groups", 0, "cases", 0, "param"),
            1,
            "groups[0].cases[0].param is 1; legal: type string",
        ),
        (("size",), 10.0, "size is 10.0; legal: type integer"),
        (("groups", 0, "kind"), "others", "groups[0].kind is 'others'; legal: const steps"),
        (("groups",), [], "groups is a list of 0; legal: minItems 1"),
    ],
)
def test_what_the_schema_forbids_is_said_with_its_place(
    place: tuple[Any, ...], value: Any, message: str
) -> None:
    document = copy.deepcopy(SMALL)
    part = document
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value
    status, _, err = checked(as_json(document), as_json(ANSWERS))
    assert status == 2
    assert err == f"lion-conformance: vectors.json is damaged: {message}\n"


def test_without_jsonschema_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    status, _, err = checked(as_json(SMALL), as_json(ANSWERS))
    assert status == 2
    assert "jsonschema: pip install 'lion-ref[conformance]'" in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": "lion-vectors", "format": "x"}', "an object has the key 'format' twice"),
        ('{"size": NaN}', "is no JSON: NaN is no number"),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5_000, "is no JSON: Exceeds the limit (4300 digits)"),
        ('{"format": ', "is no JSON: Expecting value"),
        ("[]", 'legal: a JSON object with "format": "lion-vectors", "version": 5'),
    ],
)
def test_what_is_no_document_is_refused(text: str, message: str) -> None:
    status, out, err = checked(text.encode(), as_json(ANSWERS))
    assert (status, out) == (2, "")
    assert err.startswith("lion-conformance: vectors.json is ")
    assert message in err


@pytest.mark.parametrize("version", [SPEC_VERSION + 1, 0, True, float(SPEC_VERSION), "1", None])
@pytest.mark.parametrize("name", ["vectors", "answers"])
def test_a_file_of_another_version_of_the_specification_is_refused(version: Any, name: str) -> None:
    files = {"vectors": SMALL, "answers": ANSWERS}
    files[name] = files[name] | {"spec_version": version}
    status, out, err = checked(*map(as_json, files.values()))
    assert (status, out) == (2, "")
    assert err == (
        f'lion-conformance: {name}.json has "spec_version": {version!r}; legal: {SPEC_VERSION}, '
        "the version of SPEC.md that this lion-ref has (docs/reference/versions.md)\n"
    )


def _spoilt(kind: str, **changes: Any) -> dict[str, Any]:
    document = copy.deepcopy(SMALL)
    group = next(x for x in document["groups"] if x["kind"] == kind)
    group |= changes
    return document


LONG = next(x for x in SMALL["groups"] if x["kind"] == "long")
NARROW = {"param": "float16", "momentum": "float32", "grad": "float64"}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (SMALL | {"groups": SMALL["groups"][:1] * 2}, "steps-1' is there twice; legal: once"),
        (_spoilt("steps", dtypes=NARROW), "dtypes float16/float32/float64 are not legal"),
        (
            _spoilt("steps", dtypes=NARROW | {"grad": "float16"}),
            f"param '{CASES[0]['param']}' is not legal; legal: 4 digits",
        ),
        (
            _spoilt("steps", scalars=SMALL["groups"][0]["scalars"] | {"lr": "f" * 16}),
            "lr=nan is not legal; legal: a finite number >= 0",
        ),
        (_spoilt("trajectory", momentum=["00000000"]), "its lists of numbers differ in length"),
        (_spoilt("long", elements=9), "elements and schedule are not legal"),
        (_spoilt("long", checkpoints=LONG["checkpoints"][:2]), "checkpoints of steps (1, 10) are"),
        (_spoilt("long", betas=dict.fromkeys(LONG["betas"], "0" * 16)), "betas are not legal"),
        (
            _spoilt("canary", others=[CASES[0] | {"semantics": {"colour": 1}}]),
            "choice 'colour' is not legal",
        ),
    ],
)
def test_what_a_schema_cannot_say_is_said(document: dict[str, Any], message: str) -> None:
    assert message in sound.fault(document)
    assert sound.fault(SMALL) == ""
