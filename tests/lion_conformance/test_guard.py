"""The command `lion-conformance`: a port that ends its process has no verdict, least of all 0."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.clause("C29")

RIGHT = """
import os
import lion_ref

def step(*arrays, **scalars):
    return lion_ref.step(*arrays, **scalars)
"""
LEAVES_WHEN_ASKED = RIGHT.replace("    return", "    os._exit(0)\n    return")
LEAVES_WHEN_IMPORTED = RIGHT + "\nos._exit(0)\n"
STANDS_STILL = RIGHT.replace("return lion_ref.step(*arrays, **scalars)", "return arrays[:2]")

VERIFY = ["verify", "port:step", "--dtype", "float32", "--max-examples", "1"]


def command(
    folder: Path, port: str, *arguments: str, stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """The command as it is installed, in a folder with a port."""
    (folder / "port.py").write_text(port)
    program = "import sys; from lion_conformance.guard import main; sys.exit(main())"
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env=os.environ | paths,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("port", [LEAVES_WHEN_ASKED, LEAVES_WHEN_IMPORTED])
@pytest.mark.parametrize("arguments", [VERIFY, ["diagnose", "port:step", "--dtype", "float32"]])
def test_a_port_that_ends_the_process_has_not_passed(
    port: str, arguments: list[str], tmp_path: Path
) -> None:
    ran = command(tmp_path, port, *arguments)
    assert ran.returncode == 2
    assert ran.stderr == (
        "lion-conformance: the process ended with status 0 and without a verdict; legal: a port "
        "that lets the process go on\n"
    )


@pytest.mark.parametrize(
    ("port", "arguments", "status", "said"),
    [
        (RIGHT, VERIFY, 0, "bit-exact"),
        (STANDS_STILL, VERIFY, 1, "rejected"),
        (RIGHT, ["verify", "port:other"], 2, "has no attribute 'other'"),
        (RIGHT, ["--help"], 0, "Judge ports of the Lion optimizer"),
        (RIGHT, ["judge"], 2, "invalid choice: 'judge'"),
    ],
)
def test_the_status_of_the_command_is_that_of_the_judge(
    port: str, arguments: list[str], status: int, said: str, tmp_path: Path
) -> None:
    ran = command(tmp_path, port, *arguments)
    assert ran.returncode == status, ran.stderr
    assert said in ran.stdout + ran.stderr


def test_a_reader_that_leaves_early_is_no_end_of_the_process(tmp_path: Path) -> None:
    """As `lion-conformance explain | head -1`, whose reader has gone before the rest is written."""
    reading, writing = os.pipe()
    os.close(reading)
    ran = command(tmp_path, RIGHT, "explain", stdout=writing)
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (2, "")
