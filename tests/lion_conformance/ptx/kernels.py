"""The kernel of docs/reference/causes, of which every line is right, and what is made of it."""

from __future__ import annotations

from typing import Any, Final

from lion_conformance import Port
from lion_conformance.ptx.port import ptx_port
from tests.lion_conformance.diagnosis.cause_pages import block

PTX: Final = block("my_lion.ptx")
TOML: Final = block("my_lion.toml")

ARGUMENTS: Final = (
    "param",
    "momentum",
    "grad",
    "size",
    "lr",
    "beta1",
    "one_minus_beta1",
    "beta2",
    "one_minus_beta2",
    "weight_decay",
)


def kernel(source: str = PTX, **fields: Any) -> Port:
    """The kernel as a port, but for what is given."""
    usual = {"arguments": ARGUMENTS, "threads": 128, "elements_per_program": 256}
    return ptx_port(source, **{**usual, **fields})


def with_line(right: str, wrong: str) -> str:
    """The kernel with another line in the place of one that it has once."""
    if PTX.count(right) != 1:
        raise ValueError(f"not a line of the kernel: {right}")
    return PTX.replace(right, wrong)
