"""What tests of the built wheel share: a look inside, and an interpreter that sees nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def read(wheel: Path, file: str) -> str:
    """A file of the wheel's metadata."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(f".dist-info/{file}"))
        return archive.read(name).decode()


def run_python(
    *arguments: str | Path, check: bool = True, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run this interpreter."""
    ran = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False, env=env
    )
    assert not check or ran.returncode == 0, ran.stdout + ran.stderr
    return ran


def run_isolated(path: list[Path], program: str) -> subprocess.CompletedProcess[str]:
    """Run `program` with `path` and the standard library, and nothing of the environment.

    -I leaves out the current folder, PYTHONPATH and the user's packages; -S leaves out
    site-packages, and with it the .pth of the editable install.
    """
    setup = f"import sys; sys.path[:0] = {list(map(str, path))!r}\n"
    return run_python("-I", "-S", "-c", setup + program, check=False)
