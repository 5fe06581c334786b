"""Where an engine is missing, its tests say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.site.engines import BROWSERS, found


def test_a_program_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pytest.skip.Exception) as skipped:
        found(*BROWSERS)
    assert str(skipped.value) == "not run: no chromium or google-chrome on PATH"


def test_the_first_that_is_there_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "google-chrome"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert found(*BROWSERS) == str(program)
