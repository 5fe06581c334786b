"""Programs behind a pipe for the tests, and what is said of their answers."""

from __future__ import annotations

import sys
import textwrap

import numpy as np
import pytest

from lion_conformance import PortError
from lion_conformance.ports.pipe import Program
from lion_conformance.ports.protocol import run_once

SCALARS = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.0}
F32 = "dtypes float32 float32 float32"
TWO = np.ones(2, np.float32)


def program(body: str, *, greeting: str = f"lion-pipe 1\n{F32}\nready") -> list[str]:
    """A program that greets and then runs body."""
    script = f"import sys\nprint({greeting!r}, flush=True)\n" + textwrap.dedent(body)
    return [sys.executable, "-ES", "-c", script]  # -E: whatever PYTHONUNBUFFERED is here


ANSWER = """
for line in sys.stdin:
    n = int(line.split()[4])
    rows = [sys.stdin.readline().split() for _ in range(n)]
    print(*(f"{theta} {m}" for theta, m, g in rows), "end", sep="\\n", flush=True)
"""


def refusal(command: list[str], *, ones: int = 2, timeout: float = 0.5, after: int = 0) -> str:
    """What is said of a program's answer, the first or one after others."""
    array = np.ones(ones, np.float32)
    with Program(command, timeout=timeout) as running:
        for _ in range(after):
            run_once(running.port, array, array, array, **SCALARS)
        with pytest.raises(PortError) as error:
            run_once(running.port, array, array, array, **SCALARS)
    assert "\n" not in str(error.value)
    return str(error.value)
