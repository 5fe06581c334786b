"""A folder for the files of a test, and the bytes of a run to damage."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lion_ref.run_state.files import small


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return small(tmp_path_factory.mktemp("run") / "run.safetensors").read_bytes()
