"""pytest compiles lion_port.cu and judges the program: each check is a test of its own."""

import shutil
import subprocess
from pathlib import Path

import lion_conformance
import pytest
from lion_conformance.ports.pipe import Program

HERE = Path(__file__).parent
# --fmad=false: nvcc otherwise rounds a product and a sum as one.
COMPILE = ["nvcc", "-O2", "--fmad=false", "lion_port.cu", "-o", "lion_port"]


class TestLionPort(lion_conformance.PortTests):
    """Options are class attributes: dtypes, max_examples, seed."""

    def port(self) -> lion_conformance.Port:
        """What the program says of itself, as a port to judge."""
        if shutil.which("nvcc") is None:
            pytest.skip("not run: there is no nvcc")
        subprocess.run(COMPILE, cwd=HERE, check=True)
        return Program([str(HERE / "lion_port")]).port
