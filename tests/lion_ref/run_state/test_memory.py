"""A run that is larger than memory is written and read, a tensor at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.clause("C34")

PROGRAM = """
import resource, sys
from collections.abc import Mapping
import numpy as np
from lion_ref.run_state import Group, Unfinished, load, save

path, count, size, whole = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "whole"

class Made(Mapping):
    shape, dtype = (size // 4,), np.dtype(np.float32)
    def __init__(self, number=None): self.number = number
    def __len__(self): return count
    def __iter__(self): return (f"w{i}" for i in range(count))
    def __getitem__(self, name): return Made(float(name[1:])), Made(-float(name[1:]))
    def __array__(self, *_, **__): return np.full(self.shape, self.number, np.float32)

def peak():  # of this process alone, where Linux says so: what a parent had counts in the other
    try:
        line, = (x for x in open("/proc/self/status") if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

np.full(10, 1.0, np.float32)
before = peak()
save(path, Made(), step=0, groups=Group(lr=0.1))
saved = peak() - before
held = []
for name, (param, momentum) in load(path).tensors.items():
    number = float(name[1:])
    assert (param == number).all() and (momentum == -number).all(), name
    if whole:
        held.append((param.copy(), momentum.copy()))
print(saved, peak() - before)
"""


def peaks(path: Path, count: int, size: int, how: str = "") -> tuple[float, float]:
    """How far memory rose while saving, and then while loading, in tensors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, path, str(count), str(size), how],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert path.stat().st_size > 2 * count * size
    path.unlink()
    saved, loaded = map(int, done.stdout.split())
    return saved / size, loaded / size


@pytest.mark.parametrize(
    ("count", "size"),
    [
        pytest.param(16, 8 << 20, id="256 MiB"),
        pytest.param(80, 64 << 20, id="10 GiB", marks=pytest.mark.slow),
    ],
)
def test_no_more_than_a_parameter_is_in_memory(tmp_path: Path, count: int, size: int) -> None:
    saved, loaded = peaks(tmp_path / "run", count, size)
    assert saved < 2.4  # a tensor, and its copy in the file
    assert loaded < 3.4  # θ and m, as both are held here, and what the allocator keeps of one


def test_a_load_that_holds_all_would_be_found(tmp_path: Path) -> None:
    assert peaks(tmp_path / "run", 8, 8 << 20, "whole")[1] > 8
