"""The time for a table is kept, however long a part of it takes."""

from __future__ import annotations

import math

import pytest

from lion_conformance.timetable import Hours, Timetable


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_one_backend_leaves_over_goes_to_the_next() -> None:
    clock = Clock()
    table = Timetable(100, [1, 1], workers=1, clock=clock)
    assert table.begin(1) == 50
    clock.now = 10
    assert table.begin(1) == 90


def test_a_backend_that_takes_too_long_leaves_half_of_its_time_to_the_next() -> None:
    clock = Clock()
    table = Timetable(100, [1, 1], workers=1, clock=clock)
    table.begin(1)
    clock.now = 120
    assert table.begin(1) == 25


def test_workers_share_what_waits() -> None:
    table = Timetable(100, [2, 2, 2, 2], workers=2, clock=Clock())
    assert table.begin(2) == pytest.approx(40)  # beside half of the six that wait


def test_without_an_end_there_is_time_for_all() -> None:
    seconds = Timetable(math.inf, [1, 1], workers=2).begin(1)
    assert math.isinf(seconds)
    assert math.isinf(Hours(seconds, [5], beside=1.0).of_next())


def test_a_dtype_that_takes_too_long_takes_it_from_those_that_follow() -> None:
    clock = Clock()
    hours = Hours(10, [2, 0, 2], beside=2.0, clock=clock)
    assert hours.of_next() == 2
    clock.now = 5
    assert hours.of_next() == pytest.approx((10 - 5 - 1.5) / 3)
    clock.now = 99
    assert hours.of_next() == 0
