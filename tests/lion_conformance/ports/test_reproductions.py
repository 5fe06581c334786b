"""The pages that show a mistake of another project: the program gives what the page says."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lion_conformance.ports.published import FAMILIES
from lion_conformance.ports.published.known import MISTAKES

FOLDER = Path(__file__).parents[3] / "docs" / "reproductions"
PAGES = sorted(path.stem for path in FOLDER.glob("*.md"))


def program_and_output(page: str) -> tuple[str, str]:
    """What a page has the reader run, and what it prints."""
    program, output = re.findall(
        r"```(?:python|text)[^\n]*\n(.*?)```", (FOLDER / f"{page}.md").read_text("utf-8"), re.DOTALL
    )
    return program, output


def test_each_mistake_has_a_page_and_each_page_a_mistake() -> None:
    assert {mistake.page for mistake in MISTAKES} == set(PAGES)
    assert {name for mistake in MISTAKES for name in mistake.families} <= FAMILIES.keys()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_what_differs_and_names_no_part_of_this_project(page: str) -> None:
    program, output = program_and_output(page)
    assert "lion_ref" not in program
    got_and_expected = re.findall(r"got (.+) expected (?:about )?(.+)", output)
    assert any(got != expected for got, expected in got_and_expected)


# DeepSpeed compiles its kernel at first use, for minutes.
@pytest.mark.parametrize(
    "page", [pytest.param(x, marks=[pytest.mark.slow] if x == "deepspeed" else []) for x in PAGES]
)
def test_a_program_prints_what_its_page_says(page: str, tmp_path: Path) -> None:
    program, output = program_and_output(page)
    for name in re.findall(r"^ *(?:import|from) (\w+)", program, re.MULTILINE):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"not run: {name} is not installed")
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.stdout == output, ran.stderr
