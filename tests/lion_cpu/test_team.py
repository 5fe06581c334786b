"""Whose threads the kernel may work in: another library's, where it has some and they are there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

import lion_cpu
from lion_cpu import library

TORCH: str = torch._C.__file__


def test_no_library_no_team(tmp_path: Path) -> None:
    assert lion_cpu.team_of(str(tmp_path / "libnone.so")) is None


def test_a_library_without_openmp_has_no_team() -> None:
    if lion_cpu.missing():
        pytest.skip(f"not run: {lion_cpu.missing()}")
    assert lion_cpu.team_of(str(library.library_path())) is None


@pytest.mark.skipif(sys.platform != "linux", reason="not run: torch's OpenMP may be another here")
def test_a_forked_process_has_no_team() -> None:
    """OpenMP would wait for ever there, for threads of the process before."""
    assert lion_cpu.team_of(TORCH)
    child = os.fork()
    if not child:
        os._exit(0 if lion_cpu.team_of(TORCH) is None else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert lion_cpu.team_of(TORCH)
