"""One version of the package and one of SPEC.md, each in one place and the same everywhere."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import lion_ref
from lion_conformance import Report, verify
from lion_conformance.report import as_json
from lion_conformance.report.as_text import render
from lion_conformance.report.findings import versions
from lion_conformance.vectors.document import ANSWERS_SCHEMA, DATA, SCHEMA, VECTORS
from lion_conformance.vectors.document import VERSION as VECTORS_VERSION
from tests.repo.wheels import ROOT, read

pytestmark = pytest.mark.clause("C32")

SPEC = (ROOT / "SPEC.md").read_text(encoding="utf-8")


def spec_version(spec: str) -> int | None:
    """The version that a specification says it has, in a line of its own under its title."""
    found = re.match(r"# SPEC: .*\n\nVersion (\d+)\. ", spec)
    return int(found[1]) if found else None


def test_the_specification_s_version_is_the_code_s() -> None:
    assert spec_version(SPEC) == lion_ref.SPEC_VERSION
    assert spec_version(SPEC.replace("Version 1.", "Version 2.")) == 2
    assert spec_version(SPEC.replace("Version 1.", "")) is None


def test_the_package_s_version_is_written_once() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert config["project"]["dynamic"] == ["version"]
    assert "version" not in config["project"]
    assert config["tool"]["hatch"]["version"]["path"] == "lion_ref/__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+", lion_ref.__version__)


def test_the_wheel_has_it(wheel: Path) -> None:
    assert f"\nVersion: {lion_ref.__version__}\n" in read(wheel, "METADATA")


def test_a_checkout_that_is_not_installed_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another lion-ref may be installed beside a checkout on PYTHONPATH: the code's own counts."""
    monkeypatch.setattr("importlib.metadata.version", lambda _: "9.9.9")
    assert versions()["lion-ref"] == lion_ref.__version__
    assert versions()["SPEC.md"] == str(lion_ref.SPEC_VERSION)
    assert versions()["numpy"] == "9.9.9"


@pytest.fixture(scope="module")
def report() -> Report:
    def still(param: Any, momentum: Any, _: Any, **__: Any) -> Any:
        return param.copy(), momentum.copy()

    return verify(still, dtypes=["float32"], max_examples=1)


def test_every_report_says_by_which_specification(report: Report) -> None:
    version = lion_ref.SPEC_VERSION
    assert json.loads(report.to_json())["spec_version"] == version
    assert render([report], 1_000).count(f"; by SPEC.md of version {version}.") == 1
    assert f"lion-ref {lion_ref.__version__}, SPEC.md {version}, " in report.to_markdown()
    assert f"<dt>SPEC.md</dt><dd>{version}</dd>" in report.to_html()
    assert f"#     SPEC.md {version}\n" in report.reproduction()


def test_every_schema_has_the_version_of_its_format() -> None:
    schemas = {name: json.loads((DATA / name).read_text()) for name in _FORMATS}
    for name, (key, version) in _FORMATS.items():
        assert schemas[name]["properties"][key] == {"const": version}
        assert {key, "spec_version"} <= set(schemas[name]["required"])
    assert json.loads((DATA / VECTORS).read_text())["spec_version"] == lion_ref.SPEC_VERSION


def test_the_changelog_names_the_versions_of_the_formats() -> None:
    words = f"Vectors and answers are of version {VECTORS_VERSION}, reports of version "
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert text.count(f"{words}{as_json.SCHEMA_VERSION}: both have `spec_version`") == 1


_FORMATS = {
    SCHEMA: ("version", VECTORS_VERSION),
    ANSWERS_SCHEMA: ("version", VECTORS_VERSION),
    as_json.SCHEMA: ("schema_version", as_json.SCHEMA_VERSION),
}
