"""Kernels that are wrong on purpose are found, by the checks that the right one passes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from tests.lion_cpu.conversions import wrong_narrowings, wrong_widenings
from tests.lion_cpu.environments import flushes, flushing
from tests.lion_cpu.kernels import Edit, built, need, taken
from tests.lion_cpu.steps import SHARED, Case, differences, tails
from tests.lion_cpu.teams import Team, over_and_over


class Wrong(NamedTuple):
    """A mistake in the sources or in how they are compiled, and what finds it."""

    found: str
    edits: tuple[Edit, ...] = ()
    flags: tuple[str, ...] = ("-O0",)  # compiled in half the time
    instructions: str = "updates_baseline"


def in_(file: str, old: str, new: str, found: str, instructions: str = "updates_baseline") -> Wrong:
    """A mistake in one place of a source file."""
    return Wrong(found, (Edit(file, old, new),), instructions=instructions)


def comparing(old: str, new: str) -> Wrong:
    """A mistake in the flush by comparisons."""
    edits = (Edit("flushing.h", old, new),)
    return Wrong("flushed", edits, flags=("-O0", "-DLION_COMPARES"))


NEAREST = "(bits + 0x7fff + ((bits >> 16) & 1)) >> 16"
ENTERED = "__builtin_ia32_ldmxcsr(mode ? 0x1f80 | FLUSH_TO_ZERO | DENORMALS_ARE_ZEROS : 0x1f80);"
LAST = "first + step.chunk : step.total;"

WRONG = {
    "contraction": Wrong(
        "tails", flags=("-ffp-contract=fast", "-mfma"), instructions="updates_avx2"
    ),
    "fast math": Wrong("tails", flags=("-ffast-math",)),
    "no tail": in_("update.cpp", "if (i == n) return;", "return;", "tails"),
    "sign(0) = -1": in_(
        "lanes.h",
        "(0xA9A9A822);\n\ntemplate",
        "(0xA9A9A922);\n\ntemplate",
        "tails",
        "updates_avx512",
    ),
    "bfloat16 cut off": in_("lanes.h", NEAREST, "bits >> 16", "narrowings"),
    "bfloat16 of a NaN": in_(
        "lanes.h", "value != value ? u32<N>{} + 0x7fc0 : nearest", "nearest", "narrowings"
    ),
    "the environment that a thread has": in_("environment.h", ENTERED, "", "environment"),
    "subnormal operands kept": in_(
        "environment.h", "DENORMALS_ARE_ZEROS = 0x0040", "DENORMALS_ARE_ZEROS = 0", "flushed"
    ),
    "subnormal results kept": in_(
        "environment.h", "FLUSH_TO_ZERO = 0x8000", "FLUSH_TO_ZERO = 0", "flushed"
    ),
    "products that underflow gradually taken for normal": comparing(
        "scalar * C{0x1p64} * x, Numbers<C>::SCALED", "result, Numbers<C>::SMALLEST"
    ),
    "bfloat16 flushed in float32's precision": in_(
        "lanes.h", "exact >= NEARLY_NORMAL", "exact < 0", "flushed"
    ),
    "a step that flushes and goes on flushing": in_(
        "lion_cpu.cpp",
        "restore_environment(before);",
        "if (!step.flush) restore_environment(before);",
        "environment",
    ),
    "a chunk without its last element": in_(
        "lion_cpu.cpp", LAST, "first + step.chunk - 1 : step.total;", "threads"
    ),
}

MORE = {
    "contraction in 512 bits": Wrong(
        "tails", flags=("-ffp-contract=fast",), instructions="updates_avx512"
    ),
    "a tail that is stored whole": in_(
        "update.cpp", "last_m, rest * sizeof(M));\n}", "last_m, sizeof last_m);\n}", "tails"
    ),
    "sign(0) = -1 of doubles": in_(
        "lanes.h", "(0xA9A9A822));", "(0xA9A9A922));", "tails", "updates_avx512"
    ),
    "bfloat16 flushed before it is rounded": comparing("rounds_up_to64(-126, 8)", "power64(-126)"),
    "float32's subnormals kept in float64": comparing(
        "SUBNORMAL_BELOW<double, float> = power64(-126)", "SUBNORMAL_BELOW<double, float> = 0"
    ),
    "float16's subnormals flushed": comparing(
        "Integer SUBNORMAL_BELOW = 0",
        "Integer SUBNORMAL_BELOW = static_cast<typename "
        "Numbers<C>::Integer>(sizeof(C) == 4 ? 113 << 23 : power64(-14))",
    ),
    "sums kept": comparing(
        "if constexpr (FLUSH) return zeroed(exact", "if (0) return zeroed(exact"
    ),
    "sign(NaN) = 0": in_("lanes.h", " | (c != c));  // all", ");  // all", "tails"),
    "a scalar's -0 as +0": in_("update.cpp", "]) - Lanes<C>{};", "]) + Lanes<C>{};", "tails"),
    "β2 for β1": in_("update.cpp", "product(k.beta1, m[i]);", "product(k.beta2, m[i]);", "tails"),
    "bfloat16's ties away from zero": in_(
        "lanes.h", NEAREST, "(bits + 0x8000) >> 16", "narrowings"
    ),
    "float16's ties away from zero": in_(
        "lanes.h", "0xfff + ((magnitude >> 13) & 1)", "0x1000", "narrowings"
    ),
    "float16's last number infinite": in_(
        "lanes.h", "magnitude >= 0x47800000", "magnitude >= 0x477fe000", "narrowings"
    ),
    "float16's subnormals as normal": in_(
        "lanes.h", "magnitude < 0x38800000", "magnitude < 0x38000000", "narrowings"
    ),
    "float16's infinity finite": in_(
        "lanes.h", "magnitude >= 0x7c00", "magnitude > 0x7c00", "widenings"
    ),
    "float16's largest subnormal as normal": in_(
        "lanes.h", "magnitude < 0x400 ?", "magnitude < 0x3ff ?", "widenings"
    ),
    "rounded twice": in_(
        "lanes.h", "cut | (__builtin_convertvector(inexact, i32<N>) & 1)", "nearest", "narrowings"
    ),
    "an environment that is not restored": in_(
        "environment.h", "__builtin_ia32_ldmxcsr(before); }", "}", "environment"
    ),
    "a chunk with its next element": in_(
        "lion_cpu.cpp", LAST, "first + step.chunk + 1 : step.total;", "threads"
    ),
}


def found_by(check: str) -> Iterable[str]:
    """What a check of the other files finds with the kernel that is taken."""
    shared = Case(("float32", "float32", "float32"), SHARED)
    match check:
        case "tails":
            return tails(range(3))
        case "narrowings":
            return wrong_narrowings(seed=0)
        case "widenings":
            return wrong_widenings()
        case "threads":
            return differences(shared, threads=3, team=Team(over_and_over))
        case "flushed":
            return chain(tails(range(3), flush=True), wrong_narrowings(seed=0, flush=True))
    try:
        found = differences(shared, threads=3, around=flushing())
        with flushed_as_before():
            return found + differences(replace(shared, flush=True), threads=3)
    except AssertionError:
        return ["the environment was left otherwise"]


@contextmanager
def flushed_as_before() -> Iterator[None]:
    """AssertionError if this thread flushes afterwards; it no longer does then."""
    yield
    left = flushes()
    torch.set_flush_denormal(False)
    assert not left


@pytest.mark.clause("C5", "C7", "C9", "C12", "C33")
@pytest.mark.parametrize(
    "wrong",
    [
        *(pytest.param(wrong, id=name) for name, wrong in WRONG.items()),
        *(pytest.param(wrong, id=name, marks=pytest.mark.slow) for name, wrong in MORE.items()),
    ],
)
def test_a_wrong_kernel_is_found(wrong: Wrong, kernels: Path) -> None:
    need(wrong.instructions)
    with taken(built(kernels, wrong.instructions, wrong.edits, wrong.flags)):
        assert next(iter(found_by(wrong.found)), None) is not None


def test_without_a_mistake_nothing_is_found(kernels: Path) -> None:
    """Compiled as they are, where not to be fast does not matter."""
    need("updates_baseline")
    with taken(built(kernels, "updates_baseline", flags=("-O0",))):
        for check in ("tails", "narrowings", "widenings", "flushed", "threads", "environment"):
            assert list(found_by(check)) == []
