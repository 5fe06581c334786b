"""Mistakes in how θ' and m' are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.diagnosis.mistakes.altered import Alteration
from lion_conformance.diagnosis.mistakes.builders import (
    MOMENTUM,
    NARROW,
    STEP,
    clamped,
    finite,
    nan_to_zero,
    stores,
    without_last_bits,
    without_subnormals,
    zero_unless_finite,
)
from lion_conformance.verdict.code import Code
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array, round_to

Store = Callable[[Array, Array, Case], Array]


def alterations() -> Iterator[Alteration]:
    """What may be stored of a result."""
    for part in (STEP, MOMENTUM):
        for words, code, clause, store in _stores():
            yield stores(words.format(part.value), code, clause, part, store)


def _stores() -> Iterator[tuple[str, Code, str, Store]]:
    yield (
        "{} is truncated when it is stored, not rounded",
        Code.STORE_NOT_TO_NEAREST,
        "C9",
        _truncated,
    )
    yield "{} is rounded away from zero when it is stored", Code.STORE_NOT_TO_NEAREST, "C9", _away
    yield (
        "{} is stored with ties away from zero, not to even",
        Code.STORE_NOT_TO_NEAREST,
        "C9",
        _ties_away,
    )
    yield (
        "{} saturates: the largest number is stored for ±∞",
        Code.STORE_SATURATES,
        "C9",
        _saturated,
    )
    yield (
        "the largest number is stored for ±∞ in {}",
        Code.STORE_SATURATES,
        "C9",
        lambda x, old, case: clamped(round_to(x, old.dtype)),
    )
    yield (
        "a NaN in {} is stored as 0",
        Code.NON_FINITE_CLEANED,
        "C11",
        lambda x, old, case: nan_to_zero(x),
    )
    yield (
        "a NaN in {} is stored as 0, and ±∞ as the largest number",
        Code.NON_FINITE_CLEANED,
        "C11",
        lambda x, old, case: finite(round_to(x, old.dtype)),
    )
    yield (
        "what is not finite in {} is stored as 0",
        Code.NON_FINITE_CLEANED,
        "C11",
        lambda x, old, case: zero_unless_finite(round_to(x, old.dtype)),
    )
    yield (
        "where {} is not finite, the old value is kept",
        Code.NON_FINITE_CLEANED,
        "C11",
        lambda x, old, case: np.where(np.isfinite(round_to(x, old.dtype)), x, old),
    )
    yield (
        "a subnormal {} is stored as 0",
        Code.SUBNORMALS_LOST,
        "C6",
        lambda x, old, case: without_subnormals(round_to(x, old.dtype)),
    )
    yield (
        "{} is rounded twice: by way of float32",
        Code.STORED_TWICE,
        "C9",
        lambda x, old, case: x.astype(np.float32).astype(old.dtype),
    )
    for narrow in NARROW:
        for stored_first in (False, True):
            yield (
                f"{{}} passes through {narrow}",
                Code.STORED_TWICE,
                "C9",
                _through(narrow, stored_first),
            )
    for places in range(3, 9):
        yield f"{{}} is rounded to {places} decimals", Code.BITS_LOST, "C9", _decimals(places)
    for count in range(1, 17):
        words = "last bit" if count == 1 else f"last {count} bits"
        yield f"{{}} loses its {words}", Code.BITS_LOST, "C9", _shorter(count)


def _through(narrow: str, stored_first: bool) -> Store:
    def store(x: Array, old: Array, _: Case) -> Array:
        held = round_to(x, old.dtype).astype(x.dtype) if stored_first else x
        return round_to(held, STORAGE_DTYPES[narrow]).astype(x.dtype)

    return store


def _decimals(places: int) -> Store:
    return lambda x, old, case: np.round(x.astype(np.float64), places)


def _shorter(count: int) -> Store:
    return lambda x, old, case: without_last_bits(round_to(x, old.dtype), count)


def _neighbours(x: Array, old: Array) -> tuple[Array, Array]:
    """The number of old's dtype next below |x|, or |x| itself, and x rounded to nearest."""
    nearest = round_to(x, old.dtype)
    too_far = np.abs(nearest.astype(np.float64)) > np.abs(x.astype(np.float64))
    return np.where(too_far, np.nextafter(nearest, np.zeros_like(nearest)), nearest), nearest


def _truncated(x: Array, old: Array, _: Case) -> Array:
    return _neighbours(x, old)[0]


def _outward(low: Array) -> Array:
    return np.asarray(np.nextafter(low, np.copysign(np.array(np.inf, low.dtype), low)))


def _away(x: Array, old: Array, _: Case) -> Array:
    low, nearest = _neighbours(x, old)
    inexact = low.astype(np.float64) != x.astype(np.float64)
    return np.where(inexact & np.isfinite(x), _outward(low), nearest)


def _ties_away(x: Array, old: Array, _: Case) -> Array:
    low, nearest = _neighbours(x, old)
    high = _outward(low)
    exact = x.astype(np.float64)
    tie = exact - low.astype(np.float64) == high.astype(np.float64) - exact
    return np.where(tie & np.isfinite(x), high, nearest)


def _saturated(x: Array, old: Array, _: Case) -> Array:
    stored = round_to(x, old.dtype)
    return np.where(np.isinf(stored) & np.isfinite(x), clamped(stored), stored)
