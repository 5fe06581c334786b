"""The page of choices has a section for each choice of SPEC C16."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from lion_ref import Semantics

pytestmark = pytest.mark.clause("C16")

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "choices.md"


def test_every_choice_has_its_place() -> None:
    headings = re.findall(r"^## .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    named = [name for heading in headings for name in re.findall(r"`(\w+)`", heading)]
    assert sorted(named) == sorted(field.name for field in fields(Semantics))
