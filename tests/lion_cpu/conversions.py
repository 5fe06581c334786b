"""Steps that are conversions: -0 ⊗ 0 ⊕ 1 ⊗ g is g, widened as it is read and rounded as m'."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import numpy as np

import lion_cpu
from lion_ref.arithmetic import Array, round_to
from lion_ref.dtypes import STORAGE_DTYPES
from lion_ref.flushing import Flush
from tests.comparison import compared
from tests.lion_cpu.steps import Scalars

HALVES = ("float16", "bfloat16")

_G_IS_STORED: Scalars = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0)
_THETA_IS_DOUBLED: Scalars = (0.0, 0.0, 0.0, 0.0, 1.0, -1.0)  # θ - 1 ⊗ (0 ⊕ -1 ⊗ θ)
_M_IS_KEPT: Scalars = (0.0, 0.0, 1.0, 0.0, 0.0, 0.0)


def wrongly_converted(
    values: Array, compute: str, to: str, wanted: Array | None = None, *, flush: bool = False
) -> list[str]:
    """Where the bits of g, of any dtype, are not those of one rounding as m' in another."""
    if wanted is None:
        wanted = _reference(values, compute, to, flush)
    theta, m = np.zeros(values.size, compute), np.full(values.size, -0.0, STORAGE_DTYPES[to])
    stored = _step(theta, m, values, _G_IS_STORED, flush)[1]
    return compared(f"{values.dtype.name} by way of {compute} to {to}", stored, wanted)


def wrong_in_place(half: str, compute: str, *, flush: bool = False) -> list[str]:
    """Where θ or m of every pattern is not read and written as its dtype has it."""
    patterns = all_patterns(half)
    zeros, negative = (np.full(patterns.size, x, compute) for x in (0.0, -0.0))
    found = []
    if compute == "float32":
        doubled, _ = _step(patterns, zeros, zeros, _THETA_IS_DOUBLED, flush)
        with np.errstate(all="ignore"):
            wanted = round_to(2 * _reference(patterns, compute, compute, flush), patterns.dtype)
        found += compared(f"θ in {half}", doubled, wanted)
    _, kept = _step(zeros, patterns, negative, _M_IS_KEPT, flush)
    wanted = _reference(patterns, compute, half, flush)
    return found + compared(f"m in {half} beside {compute}", kept, wanted)


def wrong_narrowings(seed: int, *, flush: bool = False) -> Iterator[str]:
    """What is wrong with every conversion to a narrower dtype."""
    for half in HALVES:
        yield from wrongly_converted(stratified(seed), "float32", half, flush=flush)
        for wide in ("float32", "float64"):
            values = around_ties(all_patterns(half), wide)
            yield from wrongly_converted(values, wide, half, flush=flush)
    singles = np.random.default_rng(seed).integers(0, 2**31, 2**16, np.uint32).view(np.float32)
    smallest = np.float32(2.0**-126) - np.arange(8, dtype=np.float32) * np.float32(2.0**-149)
    values = around_ties(np.concatenate([singles, smallest]), "float64")
    yield from wrongly_converted(values, "float64", "float32", flush=flush)


def wrong_widenings(*, flush: bool = False) -> Iterator[str]:
    """What is wrong with the conversions of every 16-bit pattern to a wider dtype."""
    for half in HALVES:
        for compute in ("float32", "float64"):
            yield from wrongly_converted(all_patterns(half), compute, compute, flush=flush)
            yield from wrong_in_place(half, compute, flush=flush)


def all_patterns(half: str) -> Array:
    """Each of the 2^16 numbers of a 16-bit dtype, NaNs included."""
    return np.arange(2**16, dtype=np.uint16).view(STORAGE_DTYPES[half])


def around_ties(narrow: Array, wide: str) -> Array:
    """Numbers of a dtype, and halfway between each and the next one: those, and the ones beside.

    Rounding never falls where what is rounded rises: what is right on both sides of every tie is
    right between them.
    """
    largest = np.finfo(wide).max
    with np.errstate(all="ignore"):
        first = np.abs(narrow[np.isfinite(narrow)].astype(np.float64))
        pattern = f"u{narrow.itemsize}"
        after = (round_to(first, narrow.dtype).view(pattern) + 1).astype(pattern)
        next_one = after.view(narrow.dtype).astype(np.float64)
        # Past the largest finite number the next would be, were there an exponent for it.
        step = next_one - first
        beyond = np.isinf(next_one)
        step[beyond] = np.spacing(narrow.dtype.type(first[beyond].max(initial=0))).astype(float)
        halfway = (first + step / 2).astype(wide)
        beside = [np.nextafter(halfway, x) for x in np.array([0, np.inf], wide)]
    edges = np.array([0.0, np.finfo(wide).smallest_subnormal, largest, np.inf, np.nan], wide)
    found = np.concatenate([first.astype(wide), halfway, *beside, edges])
    return np.concatenate([found, -found])


def stratified(seed: int) -> Array:
    """2^20 of the 2^32 patterns of float32: every upper half, beside lower halves around ties."""
    random = np.random.default_rng(seed)
    upper = np.arange(2**16, dtype=np.uint32) << np.uint32(16)
    lower = [0, 1, 0xFFF, 0x1000, 0x1001, 0x2FFF, 0x3000, 0x3001]
    lower += [0x7FFF, 0x8000, 0x8001, 0xEFFF, 0xF000, 0xFFFF]
    drawn = [random.integers(0, 2**16, 2**16, dtype=np.uint32) for _ in range(2)]
    patterns = [*(upper | np.uint32(x) for x in lower), *(upper | x for x in drawn)]
    return np.concatenate(patterns).view(np.float32)


def every_float32() -> Iterator[Array]:
    """All 2^32 patterns, 2^19 at a time, which a processor's cache holds."""
    lower = np.arange(2**19, dtype=np.uint32)
    for upper in range(2**13):
        yield (lower | np.uint32(upper << 19)).view(np.float32)


def _reference(values: Array, compute: str, to: str, flush: bool) -> Array:
    rule = Flush("flush" if flush else "keep", np.dtype(compute))
    with np.errstate(all="ignore"):
        return rule.narrowed(rule.widened(values), STORAGE_DTYPES[to])


def _step(theta: Array, m: Array, g: Array, scalars: Scalars, flush: bool) -> tuple[Array, Array]:
    theta, m = theta.copy(), m.copy()
    tables = [array("q", [x.ctypes.data]) for x in (theta, m, g)]
    dtypes = (theta.dtype.name, m.dtype.name, g.dtype.name)
    lion_cpu.step(tables, array("q", [theta.size]), dtypes, scalars, flush=flush)
    return theta, m
