"""Every program under examples/ runs to its end."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.repo.preloaded import Program, Ran, run

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PRELOADED = {"tf": ["keras", "tensorflow"], "torch": ["torch._dynamo"]}
"""By the first word of a program's name. Nothing of JAX: it warns of a process that forks."""


@cache
def ran(framework: str) -> dict[Path, Ran]:
    """The programs of one framework, each in a process of its own."""
    programs = [path for path in EXAMPLES if path.stem.partition("_")[0] == framework]
    left = run([Program([str(path)]) for path in programs], PRELOADED.get(framework, []))
    return dict(zip(programs, left, strict=True))


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("program", EXAMPLES, ids=lambda path: path.stem)
def test_it_runs_and_says_something(program: Path) -> None:
    done = ran(program.stem.partition("_")[0])[program]
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip()


@pytest.mark.parametrize("last", ["raise SystemExit('broken')", "raise SystemExit(3)", "broken"])
def test_a_program_that_fails_is_seen(tmp_path: Path, last: str) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text(f"print('so far')\n{last}\n")
    (done,) = run([Program([str(broken)])], [])
    assert done.returncode != 0
    assert done.stdout == "so far\n"
