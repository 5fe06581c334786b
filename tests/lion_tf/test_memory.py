"""A step needs no temporary of a variable's size: the peak of a process of its own says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("memory_program.py")


def growth(kind: str, mode: str) -> float:
    """By how many variables the process grows while it steps one."""
    process = subprocess.run(
        [sys.executable, str(PROGRAM), kind, mode],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return float(process.stdout)


@pytest.mark.parametrize("mode", ["eager", pytest.param("function", marks=pytest.mark.slow), "xla"])
def test_a_step_needs_no_temporary_of_a_variables_size(mode: str) -> None:
    assert growth("lion_tf", mode) < 0.25


@pytest.mark.parametrize("mode", ["eager", pytest.param("xla", marks=pytest.mark.slow)])
def test_loops_that_nothing_orders_need_one(mode: str) -> None:
    assert growth("unordered", mode) >= 1.0 - 0.05
