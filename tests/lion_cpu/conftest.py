"""Every test that asks for `kernel` runs with each set of instructions that update.cpp is for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lion_cpu.kernels import INSTRUCTIONS, built, need, taken


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is built."""
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture(params=INSTRUCTIONS, ids=lambda name: name.removeprefix("updates_"))
def kernel(request: pytest.FixtureRequest, kernels: Path) -> Iterator[str]:
    """lion_cpu takes the kernel with these instructions, and no others."""
    instructions: str = request.param
    need(instructions)
    with taken(built(kernels, instructions)):
        yield instructions
