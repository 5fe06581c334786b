"""pytest compiles lion_port.c and judges the program: each check is a test of its own."""

import subprocess
from pathlib import Path

import lion_conformance
from lion_conformance.ports.pipe import Program

HERE = Path(__file__).parent
# -ffp-contract=off: a compiler may otherwise round a product and a sum as one.
COMPILE = ["cc", "-std=c99", "-O2", "-ffp-contract=off", "lion_port.c", "-o", "lion_port"]


class TestLionPort(lion_conformance.PortTests):
    """Options are class attributes: dtypes, max_examples, seed."""

    def port(self) -> lion_conformance.Port:
        """What the program says of itself, as a port to judge."""
        subprocess.run(COMPILE, cwd=HERE, check=True)
        return Program([str(HERE / "lion_port")]).port
