"""The committed pictures are what their program draws."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ASSETS = Path(__file__).parents[2] / "docs" / "assets"
NUMBER = re.compile(r"-?\d+\.\d+")


def shape(svg: str) -> list[str]:
    """What stands between the numbers, and the numbers to a tenth of a point."""
    svg = re.sub(r'(?:id="|href="#|url\(#)[\w.-]+', "", svg)
    return NUMBER.sub(lambda found: f"{float(found[0]):.1f}", svg).splitlines()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("matplotlib", reason="not run: matplotlib is not installed")
    spec = importlib.util.spec_from_file_location("pictures", ASSETS / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    to = tmp_path_factory.mktemp("pictures")
    pictures.draw(to)
    return to


@pytest.mark.parametrize("name", ["tolerance.svg", "accepted-set.svg"])
def test_a_picture_is_what_its_program_draws(name: str, drawn: Path) -> None:
    committed = (ASSETS / name).read_text(encoding="utf-8")
    assert shape((drawn / name).read_text(encoding="utf-8")) == shape(committed), (
        "python docs/assets/pictures.py draws it anew"
    )


@pytest.mark.parametrize("name", sorted(path.name for path in ASSETS.glob("*.svg")))
def test_a_picture_holds_no_date_and_fetches_nothing(name: str) -> None:
    svg = (ASSETS / name).read_text(encoding="utf-8")
    assert "<dc:date>" not in svg
    assert not re.search(r"(?:href|src)=\"(?:https?:)?//", svg)


@pytest.mark.parametrize(
    ("old", "new"), [("-1.3e-07", "-1.4e-07"), ("refused", "accepted"), ("#3b82c4", "#3b82c5")]
)
def test_another_picture_is_told(old: str, new: str) -> None:
    svg = (ASSETS / "accepted-set.svg").read_text(encoding="utf-8")
    assert old in svg
    assert shape(svg.replace(old, new)) != shape(svg)
    moved = re.sub(r'(<use [^>]*x=")(\d+)', lambda found: f"{found[1]}{int(found[2]) + 1}", svg)
    assert shape(moved) != shape(svg)
