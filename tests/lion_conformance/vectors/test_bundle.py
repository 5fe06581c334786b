"""The archive of vectors: all that somebody without Python needs, in the same bytes every time."""

from __future__ import annotations

import importlib.metadata
import json
import re
import zipfile
from pathlib import Path

import pytest

import lion_ref
from lion_conformance.cli import main
from lion_conformance.vectors import bundle, document

TOP = f"lion-vectors-{lion_ref.__version__}"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle.export(tmp_path_factory.mktemp("bundle"))


def test_the_command_writes_the_archive_alone(
    tmp_path: Path, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new"
    assert main(["vectors", "export", str(folder), "--zip"]) == 0
    assert capsys.readouterr().out == f"written: {folder / f'{TOP}.zip'}\n"
    assert [x.name for x in folder.iterdir()] == [archive.name]
    assert (folder / archive.name).read_bytes() == archive.read_bytes(), "the same bytes each time"


def test_it_holds_the_files_of_the_package_and_no_clock(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        members = {x.filename: opened.read(x) for x in opened.infolist()}
        assert {x.date_time for x in opened.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {x.compress_type for x in opened.infolist()} == {zipfile.ZIP_STORED}
        assert list(members) == sorted(members)
    names = (document.VECTORS, document.SCHEMA, document.ANSWERS_SCHEMA)
    expected = {f"{TOP}/{name}": (document.DATA / name).read_bytes() for name in names}
    expected[f"{TOP}/README.md"] = bundle.PAGE.read_bytes()
    license_text = members.pop(f"{TOP}/LICENSE")
    assert members == expected
    assert b"Apache License" in license_text


def test_without_a_license_there_is_no_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.metadata, "files", lambda _: None)
    assert main(["vectors", "export", str(tmp_path), "--zip"]) == 2
    assert "lion-ref has no LICENSE beside it" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_archive_has_the_vectors_of_the_package_and_no_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["vectors", "export", str(tmp_path), "--zip", "--size", "5"]) == 2
    assert capsys.readouterr().err == (
        "lion-conformance: --size 5 is not legal with --zip; legal: 10\n"
    )
    assert list(tmp_path.iterdir()) == []


# The page by itself: a reader of it alone, in integers, is right in every case


def test_the_page_names_the_keys_that_there_are() -> None:
    page = bundle.PAGE.read_text(encoding="utf-8")
    groups = json.loads((document.DATA / document.VECTORS).read_text(encoding="utf-8"))["groups"]
    group = next(x for x in groups if x["kind"] == "steps")
    named = set(re.findall(r"`(\w+)`", page))
    assert {*group["scalars"], *group["cases"][0], *group["dtypes"]} - {"flags"} <= named | {
        "beta1",
        "beta2",
    }
    assert {"steps", "canary", "trajectory", "long"} == {x["kind"] for x in groups}
    assert all(kind in page for kind in ("`steps`", "`canary`", "`trajectory`", "`long`"))


def test_the_page_names_what_an_answer_has_to_have() -> None:
    page = bundle.PAGE.read_text(encoding="utf-8")
    schema = json.loads((document.DATA / document.ANSWERS_SCHEMA).read_text(encoding="utf-8"))
    assert [key for key in schema["required"] if f'"{key}": ' not in page] == []


def is_nan(text: str, dtype: str) -> bool:
    """As the page says it."""
    infinity = {"float16": 0x7C00, "bfloat16": 0x7F80, "float32": 0x7F800000}
    bits, width = int(text, 16), 4 * len(text)
    return bits & ~(1 << (width - 1)) > infinity.get(dtype, 0x7FF0000000000000)


def test_a_nan_is_told_from_its_digits_as_the_page_says() -> None:
    assert is_nan("7e00", "float16")
    assert is_nan("ffc1", "bfloat16")
    assert not is_nan("7f800000", "float32")
    assert not is_nan("fff0000000000000", "float64")
