"""The Triton kernel and what launches it, in Triton's interpreter.

Its bits prove the algorithm (which elements, which order, which scalars); test_triton_code.py
proves the rounding. The interpreter cannot do bfloat16.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="pip install triton")


def interpreted(mistake: str) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.lion_torch.interpreted", mistake],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TRITON_INTERPRET": "1"},
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.clause("C4", "C5", "C7", "C8", "C12")
def test_the_kernel_has_the_reference_bits() -> None:
    assert interpreted("none") == ["done"]


def test_a_kernel_that_is_wrong_is_found() -> None:
    assert len(interpreted("blocks")) > 1
