"""float16 and bfloat16 are read exactly and rounded once, for every pattern (SPEC C3, C9, C11)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lion_ref.arithmetic import bits, round_to
from lion_ref.dtypes import STORAGE_DTYPES
from tests.comparison import compared
from tests.lion_cpu.conversions import (
    HALVES,
    all_patterns,
    around_ties,
    every_float32,
    stratified,
    wrong_narrowings,
    wrong_widenings,
    wrongly_converted,
)
from tests.lion_cpu.kernels import INSTRUCTIONS, built, not_run, taken


@pytest.mark.clause("C3", "C6", "C11")
def test_every_16_bit_pattern_is_widened_exactly(kernel: str) -> None:
    assert list(wrong_widenings()) == []


@pytest.mark.clause("C6", "C9", "C11")
def test_what_is_stored_is_rounded_once(kernel: str) -> None:
    assert list(wrong_narrowings(seed=0)) == []


@pytest.mark.clause("C18", "C33")
def test_what_is_widened_and_stored_is_flushed(kernel: str) -> None:
    """float16's subnormals are not. A result is tiny in the precision in which it is stored."""
    assert [*wrong_widenings(flush=True), *wrong_narrowings(seed=0, flush=True)] == []


@pytest.mark.slow
@pytest.mark.clause("C6", "C9", "C11")
@pytest.mark.parametrize("half", HALVES)
def test_every_float32_is_rounded_to_16_bits(half: str, kernels: Path) -> None:
    """All 2^32, on the way from float32 and on the way from float64, by every kernel."""
    paths = [built(kernels, name) for name in INSTRUCTIONS if not not_run(name)]
    assert paths
    for values in every_float32():
        with np.errstate(all="ignore"):
            wanted = round_to(values, STORAGE_DTYPES[half])
        for path in paths:
            with taken(path):
                for compute in ("float32", "float64"):
                    assert wrongly_converted(values, compute, half, wanted) == [], path


def test_what_rounds_twice_or_cuts_off_is_found() -> None:
    """The checks above can fail: the values tell one rounding to nearest even from its like."""
    for half in HALVES:
        dtype = STORAGE_DTYPES[half]
        values = around_ties(all_patterns(half), "float64")
        with np.errstate(all="ignore"):
            twice = round_to(values.astype(np.float32), dtype)
        assert compared(half, twice, round_to(values, dtype))
    for values in (stratified(0), around_ties(all_patterns("bfloat16"), "float32")):
        cut = (bits(values) >> 16).astype(np.uint16).view(STORAGE_DTYPES["bfloat16"])
        assert compared("bfloat16", cut, round_to(values, cut.dtype))
    assert stratified(0).size == 2**20
