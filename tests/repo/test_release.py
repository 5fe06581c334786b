"""The checklist of a release finds what does not fit, and says what could not be had."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

import release
from lion_ref import SPEC_VERSION, __version__
from release import OK, Result
from tests.repo.test_wheel import EXTRAS as EXTRAS_OF_THE_PACKAGE
from tests.repo.test_wheel import PACKAGES
from tests.repo.wheels import ROOT

pytestmark = pytest.mark.clause("C32")

FILES = (
    *("lion_ref/__init__.py", "CHANGELOG.md", "CITATION.cff", "SPEC.md"),
    "docs/how-to/add-it-to-ci.md",
)
DATE = "2026-11-28"


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """The files that a release has a version in, as they are on its day."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    change(tmp_path / "CHANGELOG.md", "## [Unreleased]", f"## [{__version__}] - {DATE}")
    change(tmp_path / "CITATION.cff", "license:", f'date-released: "{DATE}"\nlicense:')
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_what_is_released_has_one_version(released: Path) -> None:
    assert list(release.version_faults(released)) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        (
            "lion_ref/__init__.py",
            f'"{__version__}"',
            '"9.9.9"',
            f"CHANGELOG.md begins with [{__version__}]; legal: [9.9.9], with its date",
        ),
        (
            "CHANGELOG.md",
            f"[{__version__}] - ",
            "[Unreleased] ",
            f"CHANGELOG.md begins with [Unreleased]; legal: [{__version__}], with its date",
        ),
        ("CHANGELOG.md", DATE, "2026-11-29", f"dated '{DATE}', CHANGELOG.md '2026-11-29'; legal:"),
        (
            "CITATION.cff",
            f'version: "{__version__}"',
            'version: "0.0.9"',
            f"CITATION.cff has version '0.0.9'; legal: '{__version__}'",
        ),
        (
            "docs/how-to/add-it-to-ci.md",
            f"lion-ref@v{__version__}",
            "lion-ref@v0.0.9",
            f"add-it-to-ci.md asks for v0.0.9; legal: v{__version__}",
        ),
        (
            "SPEC.md",
            f"Version {SPEC_VERSION}.",
            "Version 7.",
            f"SPEC.md has version '7', lion_ref.SPEC_VERSION is '{SPEC_VERSION}'",
        ),
        (
            "CHANGELOG.md",
            f"version {SPEC_VERSION} of SPEC.md",
            "a specification",
            f"CHANGELOG.md does not say 'version {SPEC_VERSION} of SPEC.md'",
        ),
    ],
)
def test_another_version_somewhere_is_found(
    released: Path, file: str, old: str, new: str, fault: str
) -> None:
    change(released / file, old, new)
    assert fault in "; ".join(release.version_faults(released))


GOOD = (
    *(f"lion_ref-{__version__}.tar.gz", f"lion_ref-{__version__}-py3-none-any.whl"),
    f"lion-vectors-{__version__}.zip",
)


@pytest.mark.parametrize(
    ("names", "faults"),
    [
        ((*GOOD, "SHA256SUMS"), []),
        (GOOD[:1], ["there is no .whl file", "there is no .zip file"]),
        (
            (*GOOD, "lion_ref-0.0.9.tar.gz"),
            [f"lion_ref-0.0.9.tar.gz is not of version {__version__}"],
        ),
        ((*GOOD, "notes.txt"), [f"notes.txt is not of version {__version__}"]),
    ],
)
def test_a_folder_with_another_release_in_it_is_found(
    names: tuple[str, ...], faults: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(release.file_faults(names, __version__)) == faults
    for name in names:
        (tmp_path / name).write_bytes(b"abc")
    assert release.main(["--sums", str(tmp_path)]) == (1 if faults else 0)
    assert capsys.readouterr().out.splitlines() == faults
    if not faults:
        digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        written = (tmp_path / "SHA256SUMS").read_text().splitlines()
        assert written == [f"{digest}  {name}" for name in sorted(GOOD)]


def test_the_extras_and_packages_are_the_package_s() -> None:
    assert {*release.EXTRAS, "all", "dev"} == EXTRAS_OF_THE_PACKAGE | {""}
    assert {*release.ALWAYS, *(x for some in release.EXTRAS.values() for x in some)} == PACKAGES


def test_an_interpreter_that_is_not_there_is_said_to_be_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mute = tmp_path / "python3.98"
    mute.write_text("#!/bin/sh\nexit 1\n")
    mute.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert release.interpreters(["3.98", "3.99"]) == {"3.98": None, "3.99": None}
    version = "{}.{}.{}".format(*sys.version_info[:3])
    assert release.version_of(Path(sys.executable)) == version


def test_a_build_for_gpus_is_not_downloaded() -> None:
    plan = {"install": [{"metadata": {"name": x}} for x in ("torch", "nvidia-cublas", "numpy")]}
    assert release.too_large(json.dumps(plan)) == ["nvidia-cublas"]
    assert release.too_large('{"install": []}') == []


def test_doctests_that_fail_are_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take seconds to import
    python = Path(sys.executable)
    (tmp_path / "good.py").write_text('""">>> 1 + 1\n2\n"""')
    (tmp_path / "bad.py").write_text('""">>> 1 + 1\n3\n"""')
    assert release.doctests(python, ["./good.py"], tmp_path) == Result("ok", "1 passed")
    assert release.doctests(python, ["./bad.py"], tmp_path).word == "failed"
    (tmp_path / "none.py").write_text("")
    assert release.doctests(python, ["./none.py"], tmp_path).word == "failed", "nothing was run"


def test_the_table_says_what_was_not_run_and_why() -> None:
    rows = {
        "": {"3.11.7": Result("ok", "9 passed"), "3.13": Result("not run", "no such interpreter")},
        "jax": {"3.11.7": Result("failed", "E"), "3.13": OK},
    }
    assert release.table(rows).splitlines() == [
        "| installed from the wheel | 3.11.7 | 3.13 |",
        "|---|---|---|",
        "| `lion-ref` | 9 passed | not run |",
        "| `lion-ref[jax]` | failed | ok |",
        "",
        "- `lion-ref` on 3.13: not run: no such interpreter",
        "- `lion-ref[jax]` on 3.11.7: failed: E",
    ]


@pytest.mark.parametrize(
    ("words", "status"),
    [(("ok", "ok"), 0), (("ok", "not run"), 2), (("failed", "not run"), 1)],
)
def test_what_was_not_run_does_not_count_as_done(words: tuple[str, str], status: int) -> None:
    assert release.status([Result(word) for word in words]) == status


def test_the_citation_says_what_the_package_is() -> None:
    """CITATION.cff, by the parts that the Citation File Format 1.2.0 requires."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(cited)
    assert cited["version"] == __version__
    assert cited["title"].startswith("lion-ref: ")
    assert cited["license"] == "Apache-2.0"
    (paper,) = cited["references"]
    assert paper["title"] == "Symbolic Discovery of Optimization Algorithms"
    assert paper["identifiers"][0]["value"] == "arXiv:2302.06675"
    assert all({"family-names", "given-names"} == set(x) for x in paper["authors"])
