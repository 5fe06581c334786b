"""pytest compiles lion_port.cu and judges its kernel, and the program: each check is a test."""

import shutil
import subprocess
from pathlib import Path

import lion_conformance
import pytest
from lion_conformance.ports.pipe import Program
from lion_conformance.ptx import kernel_file

HERE = Path(__file__).parent
# --fmad=false: nvcc otherwise rounds a product and a sum as one.
TO_PTX = ["nvcc", "-ptx", "-arch=sm_80", "--fmad=false", "lion_port.cu"]
COMPILE = ["nvcc", "-O2", "--fmad=false", "lion_port.cu", "-o", "lion_port"]


def run(command: list[str]) -> None:
    """Run nvcc; where there is none, skip."""
    if shutil.which("nvcc") is None:
        pytest.skip("not run: there is no nvcc")
    subprocess.run(command, cwd=HERE, check=True)


class TestLionKernel(lion_conformance.PortTests):
    """The kernel; it needs no GPU. Options are class attributes: dtypes, max_examples, seed."""

    def port(self) -> lion_conformance.Port:
        """The kernel as kernel.toml has it launched."""
        run(TO_PTX)
        return kernel_file.load(HERE / "kernel.toml")


class TestLionPort(lion_conformance.PortTests):
    """The program, on a GPU."""

    def port(self) -> lion_conformance.Port:
        """What the program says of itself, as a port to judge."""
        run(COMPILE)
        return Program([str(HERE / "lion_port")]).port
