"""The Triton kernel and what launches it, in Triton's interpreter.

Its bits prove the algorithm (which elements, which order, which scalars); test_triton_ptx.py
the rounding of what is compiled. The interpreter cannot do bfloat16.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.repo.preloaded import Program, run

pytest.importorskip("triton", reason="pip install triton")
WAYS = ("none", "blocks", "none flush", "tininess flush")


@cache
def printed() -> dict[str, list[str]]:
    """The lines that are printed of the kernel without a mistake, and with one."""
    program = str(Path(__file__).with_name("interpreted.py"))
    programs = [Program([program, *way.split()], {"TRITON_INTERPRET": "1"}) for way in WAYS]
    left = run(programs, ["torch._dynamo"])
    assert not any(ran.returncode for ran in left), left
    return {way: ran.stdout.splitlines() for way, ran in zip(WAYS, left, strict=True)}


@pytest.mark.clause("C4", "C5", "C7", "C8", "C12")
def test_the_kernel_has_the_reference_bits() -> None:
    assert printed()["none"] == ["done"]


@pytest.mark.clause("C18", "C33")
def test_the_kernel_flushes_as_the_reference_does() -> None:
    assert printed()["none flush"] == ["done"]


@pytest.mark.clause("C33")
@pytest.mark.parametrize("way", ["blocks", "tininess flush"])
def test_a_kernel_that_is_wrong_is_found(way: str) -> None:
    assert len(printed()[way]) > 1
