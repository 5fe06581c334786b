"""lion_cpu.step has the reference's bits: all 43 triples, any length, any address, any threads."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

import lion_cpu
import lion_ref
from tests.lion_cpu.conversions import wrong_narrowings, wrong_widenings
from tests.lion_cpu.environments import flushing
from tests.lion_cpu.kernels import INSTRUCTIONS, TARGET, WITHOUT, built, need, taken
from tests.lion_cpu.steps import SHARED, Case, differences, stepped, tails
from tests.lion_cpu.teams import Team, all_at_once, alone, over_and_over

# The compute dtypes, elements of every width, and those that are converted.
WIDTHS = [
    ("float32", "float32", "float32"),
    ("bfloat16", "float32", "float16"),
    ("float16", "bfloat16", "float32"),
    ("float64", "float64", "float64"),
    ("float64", "bfloat16", "float32"),
]
SLOW = partial(pytest.param, marks=pytest.mark.slow)
TEAMS = (all_at_once, alone, over_and_over)


def test_there_is_a_kernel_where_there_is_a_compiler() -> None:
    """Without it lion_torch would have the same bits, and nobody would notice."""
    if TARGET is None:
        pytest.skip(f"not run: {WITHOUT}")
    assert lion_cpu.missing() == ""


@pytest.mark.clause("C12", "C15")
def test_the_one_that_is_there_has_the_reference_s_bits() -> None:
    """As it was built with the package, and chooses its instructions itself."""
    if lion_cpu.missing():
        pytest.skip(f"not run: {lion_cpu.missing()}")
    assert list(tails([0])) == []
    assert differences(Case(WIDTHS[0], SHARED), threads=3) == []


@pytest.mark.clause("C1", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11", "C12")
def test_every_triple_at_every_length(kernel: str) -> None:
    """Nothing is written beside, either."""
    assert list(tails(range(3))) == []


@pytest.mark.clause("C12", "C18", "C33")
def test_every_triple_with_subnormals_flushed(kernel: str) -> None:
    assert list(tails(range(3), flush=True)) == []


@pytest.mark.clause("C18", "C33")
@pytest.mark.parametrize("instructions", [INSTRUCTIONS[0], *map(SLOW, INSTRUCTIONS[1:])])
def test_every_triple_flushed_by_comparisons(instructions: str, kernels: Path) -> None:
    """As on Arm, whose processors' own mode decides what is tiny before it rounds."""
    need(instructions)
    with taken(built(kernels, instructions, flags=("-DLION_COMPARES",))):
        assert list(tails(range(3), flush=True)) == []
        assert [*wrong_widenings(flush=True), *wrong_narrowings(seed=0, flush=True)] == []
        assert differences(Case(WIDTHS[0], SHARED, flush=True), around=flushing()) == []


@pytest.mark.slow
@pytest.mark.clause("C5", "C12", "C18", "C33")
@pytest.mark.parametrize("flush", [False, True])
def test_every_triple_at_every_length_widely(kernel: str, flush: bool) -> None:
    seeds = np.random.SeedSequence().generate_state(40).tolist()
    assert list(tails(seeds, flush=flush)) == []


@pytest.mark.clause("C12")
@pytest.mark.parametrize("dtypes", WIDTHS, ids="-".join)
def test_however_many_threads_share_a_step(kernel: str, dtypes: tuple[str, str, str]) -> None:
    case = Case(dtypes, SHARED)
    for threads in (-1, 0, 1, 2, 3, 300):
        assert differences(case, threads=threads) == []
    for obey in TEAMS:
        team = Team(obey)
        assert differences(case, threads=3, team=team) == []
        assert team.asked == [3]


@pytest.mark.slow
@pytest.mark.clause("C12")
def test_however_many_threads_share_a_step_of_any_dtypes(kernel: str) -> None:
    for dtypes in lion_ref.legal_triples():
        for threads in (1, 2, 5):
            assert differences(Case(dtypes, SHARED), threads=threads) == []


@pytest.mark.clause("C12")
@pytest.mark.parametrize(
    "sizes",
    # A quarter of each thread's share, and the most that there is in a chunk.
    [(700_001, 3, 600_000), pytest.param((1_048_577, 3, 8_400_000), marks=pytest.mark.slow)],
)
def test_chunks_of_any_size(sizes: tuple[int, ...]) -> None:
    if lion_cpu.missing():
        pytest.skip(f"not run: {lion_cpu.missing()}")
    assert differences(Case(WIDTHS[0], sizes), threads=2) == []


def test_small_steps_start_no_threads() -> None:
    """65,536 elements for each thread, at the least, whatever they are parts of."""
    if lion_cpu.missing():
        pytest.skip(f"not run: {lion_cpu.missing()}")
    team = Team(alone)
    sizes = [(3,), (65_536,), (131_071,), (131_072,), (100_000, 200_000), (1,) * 200, (700_000,)]
    asked = []
    for some in sizes:
        before = len(team.asked)
        assert differences(Case(WIDTHS[0], some), threads=8, team=team) == []
        asked.append(team.asked[before:])
    assert asked == [[], [], [], [2], [4], [], [8]]


def test_a_step_of_nothing() -> None:
    if lion_cpu.missing():
        pytest.skip(f"not run: {lion_cpu.missing()}")
    nothing = np.zeros(0, np.float32)
    assert stepped([(nothing, nothing, nothing)], (0.0,) * 6)[1] == []
