"""The kernels that nvcc has made of wrong/wrong.cu, and of the example with the wrong options."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import lion_ref
from lion_conformance import Port
from lion_conformance.diagnosis import canaries
from lion_conformance.ports.protocol import run_once
from lion_conformance.ptx.port import ptx_port
from lion_ref import Semantics
from lion_ref.arithmetic import same_bits
from tests.lion_conformance.ptx.kernels import ARGUMENTS

WRONG: Final = Path(__file__).with_name("wrong")
MIXED: Final = (("bfloat16", "float32", "bfloat16"),)
LAUNCHES: Final[dict[str, dict[str, Any]]] = {
    "stored_twice": {"dtypes": MIXED},
    "truncated": {"dtypes": MIXED},
    "overlapping": {"elements_per_program": 255},
    "misaligned": {"elements_per_program": 1024},
    "through_shared": {"elements_per_program": 512},
    "without_barrier": {"elements_per_program": 512},
    "unwritten_word": {"elements_per_program": 512},
}
"""What is launched otherwise than with 256 threads for as many elements of float32."""


def kernel(entry: str, file: str = "wrong.ptx", *, declared: Semantics | None = None) -> Port:
    """A kernel as a port, whether it is wrong or not."""
    usual: dict[str, Any] = {"arguments": ARGUMENTS, "threads": 256, "elements_per_program": 256}
    launch = usual | LAUNCHES.get(entry, {})
    return ptx_port(WRONG / file, entry=entry, declared=declared, **launch)


def has_bits(port: Port, semantics: Semantics) -> bool:
    """Whether a port has the bits of a semantics, where any single choice would show."""
    for case in canaries.cases(port.triples[0][0]):
        arrays = [x.astype(d) for x, d in zip(case.arrays, port.triples[0], strict=True)]
        got = run_once(port, *arrays, **case.scalars)
        expected = lion_ref.step(*arrays, **case.scalars, semantics=semantics)
        if not all(same_bits(a, b).all() for a, b in zip(got, expected, strict=True)):
            return False
    return True
