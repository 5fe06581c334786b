"""pytest judges lion_port.mjs in Node.js: each check is a test of its own."""

from pathlib import Path

import lion_conformance
from lion_conformance.ports.pipe import Program

HERE = Path(__file__).parent


class TestLionPort(lion_conformance.PortTests):
    """Options are class attributes: dtypes, max_examples, seed."""

    def port(self) -> lion_conformance.Port:
        """What the program says of itself, as a port to judge."""
        return Program(["node", str(HERE / "lion_port.mjs")]).port
