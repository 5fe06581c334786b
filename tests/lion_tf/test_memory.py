"""A step needs no temporary of a variable's size: the peak of a process of its own says so."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.repo.preloaded import Program, run

PROGRAM = Path(__file__).with_name("memory_program.py")
MODES = ("eager", "function", "xla")
CASES = [*(("lion_tf", mode) for mode in MODES), ("unordered", "eager"), ("unordered", "xla")]


@cache
def growths() -> dict[tuple[str, str], float]:
    """By how many variables a process grows while it steps one."""
    processes = run([Program([str(PROGRAM), *case]) for case in CASES], ["keras", "tensorflow"])
    assert not any(process.returncode for process in processes), processes
    return {case: float(x.stdout) for case, x in zip(CASES, processes, strict=True)}


@pytest.mark.parametrize("mode", MODES)
def test_a_step_needs_no_temporary_of_a_variables_size(mode: str) -> None:
    assert growths()["lion_tf", mode] < 0.25


@pytest.mark.parametrize("mode", ["eager", "xla"])
def test_loops_that_nothing_orders_need_one(mode: str) -> None:
    assert growths()["unordered", mode] >= 1.0 - 0.05
