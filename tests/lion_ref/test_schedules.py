"""A schedule's numbers: the same on every machine, and near the formulas' own."""

from __future__ import annotations

import hashlib
import math
import struct
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion_ref import schedules
from lion_ref.schedules import Schedule

pytestmark = pytest.mark.clause("C35")

PI = Decimal("3.14159265358979323846264338327950288419716939937510")
NUMBERS = st.floats(0, allow_infinity=False)
MODEST = st.floats(2.0**-400, 2.0**400)
DRAWN = st.one_of(
    st.builds(
        Schedule,
        st.sampled_from(["constant", "linear", "cosine"]),
        NUMBERS,
        NUMBERS,
        st.integers(1, 60),
        st.integers(0, 9),
    ),
    st.builds(
        Schedule, st.just("exponential"), MODEST, MODEST, st.integers(1, 60), st.integers(0, 9)
    ),
)


def exact(schedule: Schedule, step: int) -> Decimal:
    """The formula's own number after the warm-up, to 40 digits."""
    with localcontext() as context:
        context.prec = 50
        left = Decimal(schedule.warmup + schedule.steps - step) / schedule.steps
        first, last = Decimal(schedule.first), Decimal(schedule.last)
        if schedule.name == "exponential":
            return last * ((first / last).ln() * left).exp()
        if schedule.name == "cosine":
            angle = PI / 2 * left
            term, left = angle, angle
            for k in range(2, 60, 2):
                term *= -angle * angle / (k * (k + 1))
                left += term
            left *= left
        return last + (first - last) * left


def worst(schedule: Schedule) -> float:
    """The distance from the formulas' own numbers, in ulps of each."""
    steps = range(schedule.warmup, schedule.warmup + schedule.steps)
    found = ((schedule(t), exact(schedule, t)) for t in steps)
    return max(float(abs(Decimal(x) - y)) / math.ulp(float(y)) for x, y in found)


@given(DRAWN)
def test_the_table_has_the_numbers_bit_for_bit(schedule: Schedule) -> None:
    table = schedule.table()
    assert table.dtype == np.float64
    alone = [schedule(step) for step in range(len(table))]
    assert struct.pack(f"{len(alone)}d", *alone) == table.tobytes()
    assert schedule(len(table) + 1) == schedule(10**9) == table[-1]


@given(DRAWN)
def test_the_numbers_are_legal_and_between_the_ends(schedule: Schedule) -> None:
    table = schedule.table()
    assert np.isfinite(table).all()
    after = table[schedule.warmup :]
    ends = (schedule.first,) if schedule.name == "constant" else (schedule.first, schedule.last)
    assert after[0] == ends[0]
    assert after[-1] == ends[-1]
    assert min(ends) <= after.min() <= after.max() <= max(ends)
    warm = table[: schedule.warmup]
    assert (np.diff(warm) >= 0).all()
    assert not warm.size or 0 <= warm[0] <= warm[-1] <= schedule.first


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 100, 1000])
@pytest.mark.parametrize("last", [0.0, 1e-4])
def test_linear_and_cosine_are_near_their_formulas(steps: int, last: float) -> None:
    for name in ("linear", "cosine"):
        assert worst(Schedule(name, 1e-3, last, steps, 5)) <= 8


@pytest.mark.parametrize(("first", "last"), [(1e-3, 1e-5), (1.0, 0.9), (1e-9, 1.0), (1e300, 1e10)])
def test_exponential_is_near_its_formula(first: float, last: float) -> None:
    assert worst(Schedule("exponential", first, last, 500)) <= abs(math.log2(first / last)) + 4


def test_a_rougher_series_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "_sine", lambda x: np.sin(np.float32(x)).astype(np.float64))
    assert worst(Schedule("cosine", 1e-3, 0.0, 100)) > 8


@pytest.mark.parametrize(
    ("schedule", "digest"),
    [
        (Schedule("constant", 1e-3, warmup=77), "aa595e2a7d88f572"),
        (Schedule("linear", 1e-3, 1e-5, 1000, 77), "6da8e4e6cf14cbce"),
        (Schedule("cosine", 1e-3, 1e-5, 1000, 77), "79d6625fe5a6a9cb"),
        (Schedule("exponential", 1e-3, 1e-5, 1000, 77), "fd029e0e80898deb"),
    ],
)
def test_every_machine_has_these_bits(schedule: Schedule, digest: str) -> None:
    table = schedule.table().astype("<f8")
    assert hashlib.sha256(table.tobytes()).hexdigest()[:16] == digest


@pytest.mark.parametrize("name", ["sin", "cos", "exp", "log", "log2", "pow", "exp2"])
def test_no_function_of_the_c_library_is_asked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: Any) -> float:
        raise AssertionError(name)

    if hasattr(math, name):
        monkeypatch.setattr(math, name, asked)
    if hasattr(np, name):
        monkeypatch.setattr(np, name, asked)
    schedules._logarithm.cache_clear()
    for kind in ("linear", "cosine", "exponential"):
        schedule = Schedule(kind, 1e-3, 1e-5, 10)
        assert schedule(5) == schedule.table()[5]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "cosin"}, r"name='cosin' is not legal; legal: 'constant', 'linear', 'cosine', "),
        ({"name": ["cosine"]}, r"name=\['cosine'\] is not legal; legal: 'constant'"),
        ({"first": -1e-3}, r"first=-0.001 is not legal; legal: a finite number >= 0"),
        ({"last": math.inf}, r"last=inf is not legal; legal: a finite number >= 0"),
        ({"first": True}, r"first=True is not legal: it is of type bool; legal: a finite number"),
        ({"steps": 0}, r"steps=0 is not legal; legal: an integer in \[1, 268435456\]"),
        ({"steps": 10.0}, r"steps=10.0 is not legal; legal: an integer in \[1, 268435456\]"),
        ({"warmup": -1}, r"warmup=-1 is not legal; legal: an integer in \[0, 268435456\]"),
        ({"warmup": 2**40}, r"warmup=1099511627776 is not legal; legal: an integer in"),
        (
            {"name": "exponential", "last": 0.0},
            r"first=0.001, last=0.0 is not legal; legal: both > 0, and their ratio below 2\*\*1000",
        ),
        ({"name": "exponential", "first": 1e300, "last": 1e-300}, r"legal: both > 0, and their"),
        ({"name": "exponential", "first": 5e-324, "last": 1e300}, r"legal: both > 0, and their"),
    ],
)
def test_an_argument_that_is_not_legal_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        Schedule(**{"name": "cosine", "first": 1e-3, "steps": 10, **arguments})


def test_numpy_s_integers_are_integers() -> None:
    schedule = Schedule("linear", 1.0, steps=np.int64(10), warmup=np.uint8(2))  # type: ignore[arg-type]
    assert repr(schedule) == repr(Schedule("linear", 1.0, steps=10, warmup=2))


def test_a_count_that_is_none_is_refused() -> None:
    schedule = Schedule("linear", 1.0, steps=10)
    assert schedule(np.int64(5)) == 0.5  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"step=-1 is not legal; legal: an integer >= 0"):
        schedule(-1)
    for count in (1.0, np.float32(1), "1", None):
        with pytest.raises(TypeError):
            schedule(count)  # type: ignore[arg-type]
