"""The page about the command line is what the command line says of itself."""

from __future__ import annotations

import argparse

import pytest

from tests.repo.command_line import PAGE, page


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.repo.command_line"


def test_another_option_makes_another_page(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = argparse.ArgumentParser("lion-conformance")
    parser.add_subparsers().add_parser("verify").add_argument("--brand-new")
    monkeypatch.setattr("tests.repo.command_line.command_parser", lambda: parser)
    assert "## lion-conformance verify" in page()
    assert "--brand-new" in page()
