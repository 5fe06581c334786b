"""Whose threads the kernel may work in: another library's, where it has some and they are there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import lion_cpu
from lion_cpu import library


def test_no_library_no_team(tmp_path: Path) -> None:
    assert lion_cpu.team_of(str(tmp_path / "libnone.so")) is None


def test_a_library_without_openmp_has_no_team() -> None:
    if lion_cpu.missing():
        pytest.skip(f"not run: {lion_cpu.missing()}")
    assert lion_cpu.team_of(str(library.library_path())) is None


FORKED = """
import os, torch, lion_cpu
library = torch._C.__file__
assert lion_cpu.team_of(library)
child = os.fork()
if not child:
    os._exit(0 if lion_cpu.team_of(library) is None else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert lion_cpu.team_of(library)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="not run: torch's OpenMP may be another here")
def test_a_forked_process_has_no_team() -> None:
    """OpenMP would wait for ever there, for threads of the process before."""
    # Not in this process: where other frameworks have begun threads, forking warns.
    ran = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
