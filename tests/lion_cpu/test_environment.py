"""A step computes in the default environment, and leaves its threads what they have."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.lion_cpu.environments import Rounding, flushes, flushing
from tests.lion_cpu.steps import SHARED, Case, differences
from tests.lion_cpu.teams import Team

CASE = Case(("float32", "float32", "float32"), SHARED)
WIDE = Case(("float64", "float16", "float64"), SHARED)
FLUSHED = (replace(CASE, flush=True), Case(("float64", "bfloat16", "float64"), SHARED, flush=True))

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="not run: Windows names its C library's modes otherwise"
)


@pytest.mark.clause("C6", "C12", "C33")
@pytest.mark.parametrize("threads", [1, 3])
def test_a_caller_that_flushes_subnormals(kernel: str, threads: int) -> None:
    for case in (CASE, WIDE, *FLUSHED):
        assert differences(case, threads=threads, around=flushing()) == []


@pytest.mark.clause("C5", "C9", "C12")
@pytest.mark.parametrize("threads", [1, 3])
def test_a_caller_that_rounds_upward(kernel: str, threads: int) -> None:
    for case in (CASE, WIDE, *FLUSHED):
        assert differences(case, threads=threads, around=Rounding().upward()) == []


@pytest.mark.clause("C12", "C18", "C33")
@pytest.mark.parametrize("threads", [1, 3])
def test_a_caller_that_keeps_subnormals(kernel: str, threads: int) -> None:
    """A step that flushes leaves the thread as it was: also one of a team."""
    left: list[bool] = []

    def in_a_thread(task: Callable[[], None], _: int) -> None:
        def kept() -> None:
            task()
            left.append(flushes())

        thread = threading.Thread(target=kept)
        thread.start()
        thread.join()

    for case in FLUSHED:
        assert differences(case, threads=threads) == []
        assert not flushes()
        assert differences(case, threads=3, team=Team(in_a_thread)) == []
    assert left == [False, False]


@pytest.mark.clause("C6", "C12", "C33")
def test_other_threads_of_a_team_that_flush_and_round_upward(kernel: str) -> None:
    left: list[tuple[int, bool]] = []

    def elsewhere(task: Callable[[], None], _: int) -> None:
        """All of it in a thread that is not the caller's."""

        def otherwise() -> None:
            with flushing(), Rounding().upward():
                task()
                left.append((Rounding().mode, flushes()))

        thread = threading.Thread(target=otherwise)
        thread.start()
        thread.join()

    cases = (CASE, WIDE, *FLUSHED)
    for case in cases:
        assert differences(case, threads=3, team=Team(elsewhere)) == []
    assert [mode != 0 and flushed for mode, flushed in left] == [True] * len(cases)
