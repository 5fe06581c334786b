"""pytest judges the kernel's PTX, and my_lion.port: each check is a test of its own."""

from pathlib import Path

import lion_conformance
from lion_conformance.ptx import kernel_file

from my_lion import port, ptx

HERE = Path(__file__).parent


class TestMyPtx(lion_conformance.PortTests):
    """What Triton's compiler makes of the kernel; it needs no GPU."""

    def port(self) -> lion_conformance.Port:
        """The kernel as kernel.toml has it launched."""
        (HERE / "my_lion.ptx").write_text(ptx())
        return kernel_file.load(HERE / "kernel.toml")


class TestMyLion(lion_conformance.PortTests):
    """The launch, on a GPU. Options are class attributes: dtypes, max_examples, seed."""

    port = port
    max_examples = 5  # Triton's interpreter is slow
