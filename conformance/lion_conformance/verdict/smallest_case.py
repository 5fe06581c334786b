"""From a rejected case to the smallest one that the port still gets wrong.

The update is elementwise, so one element should do; its scalars and values are then made simpler,
one at a time, as long as the port is still rejected. Where one element alone is right (a tail, a
stride, a race), the smallest prefix of the case that still fails is kept, made of one element or
of a few if it fails then too. Where the case alone is right, the port keeps something between
calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.ports.protocol import Port, RaisedError
from lion_conformance.verdict.failure import Failure, first_difference
from lion_conformance.verdict.refusals import usual
from lion_conformance.verdict.tally import Tally

PLAIN_SCALARS = {
    "weight_decay": (0.0, 1.0),
    "lr": (1.0, 0.5),
    "beta1": (0.0, 0.5, 0.9),
    "beta2": (0.0, 0.5, 0.99),
}
"""Values to try for each scalar, the simplest first."""

PERIOD = 31
"""Elements that are repeated where one alone does not fail; no power of two, as blocks are."""

CONFIRMED = 5
"""Calls, one of which has to fail again; one that does not may be right at times."""

ATTEMPTS = 400
"""Calls of the port at the most; each is on one element, or on a prefix of the case."""


def reduced(port: Port, failure: Failure) -> Failure:
    """The simplest failure found near the given one; the given one if nothing simpler fails."""
    if isinstance(failure.error, RaisedError) and not usual(failure.case):
        return failure  # a refusal, which is as plain as it can be
    best, calls = failure, 0

    def fails(case: Case) -> bool:
        nonlocal best, calls
        if case.triple not in port.triples:
            return False
        calls += 1
        tally = Tally(port.declared)
        tally.add(port, case)
        found = tally.failure if failure.promised is None else tally.broken
        if not isinstance(found, Failure) or _kind(found) != _kind(failure):
            return False  # another mistake is no simpler form of this one
        best = found
        return True

    case = failure.case
    index = first_difference(failure)
    if fails(case.at(index or 0)):  # of an empty case, the empty vector
        progress = True
        while progress and calls < ATTEMPTS:
            progress = any(fails(simpler) for simpler in simpler_cases(best.case))
    elif fails(case):
        _shorten(case, fails)
        any(fails(plain) for plain in _repetitive(best))
    # What failed a while ago may be right by now, in a port that keeps something between calls.
    simplest = best
    if any(fails(simplest.case) for _ in range(CONFIRMED)):
        return simplest
    return replace(failure, alone=False)


def _kind(failure: Failure) -> tuple[type, str]:
    """What kind of thing is wrong."""
    return type(failure.error), getattr(failure.error, "code", "")


def _shorten(case: Case, fails: Callable[[Case], bool]) -> None:
    """Halve a flat prefix for as long as it fails."""
    size = case.param.size
    while size > 1:
        size //= 2
        if not fails(case.with_arrays(x.reshape(-1)[:size].copy() for x in case.arrays)):
            return


def _repetitive(failure: Failure) -> Iterator[Case]:
    """The case with one element everywhere, or with its first few over and over."""
    case, index = failure.case, first_difference(failure) or 0
    flat = [x.reshape(-1) for x in case.arrays]
    for period in (slice(index, index + 1), slice(0, PERIOD)):
        yield case.with_arrays(np.resize(x[period], case.param.shape) for x in flat)


def simpler_cases(case: Case) -> Iterator[Case]:
    """Cases one change simpler, the most telling simplification first."""
    if len(set(case.triple)) > 1:
        with np.errstate(all="ignore"):
            same = [x.astype(case.param.dtype) for x in case.arrays]
        yield case.with_arrays(same)
    for name, plain in PLAIN_SCALARS.items():
        value = getattr(case, name)
        # Up to the case's own value: what stands behind it is no simpler.
        simpler = plain[: plain.index(value)] if value in plain else plain
        yield from (_changed(case, name, x) for x in simpler)
    if not case.param.size:
        return
    for name in ("param", "momentum", "grad"):
        array = getattr(case, name)
        value = float(array.reshape(-1)[0])
        for number in _simpler_values(value):
            with np.errstate(all="ignore"):
                candidate = np.full(array.shape, number).astype(array.dtype)
            if float(candidate.reshape(-1)[0]) != value:
                yield _changed(case, name, candidate)


def _changed(case: Case, name: str, value: Any) -> Case:
    """The case with one scalar or array replaced."""
    return replace(case, **{name: value})


def _simpler_values(value: float) -> Iterator[float]:
    """0, ±1, then fewer significant bits; nothing for a value that is simple already."""
    if value == 0 or abs(value) == 1:
        return
    yield 0.0
    if not np.isfinite(value):
        return
    yield float(np.copysign(1.0, value))
    mantissa, exponent = np.frexp(value)
    for significant in (1, 2, 4, 8, 12):
        scaled = float(np.rint(np.ldexp(mantissa, significant)))
        shorter = float(np.ldexp(scaled, int(exponent) - significant))
        if shorter != value:
            yield shorter
