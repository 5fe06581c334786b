"""Which arrays lie apart: one that is written may have no byte of another."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
import pytest

from lion_cpu import lie_apart


def apart(*columns: Sequence[int], sizes: Sequence[int], itemsizes: Sequence[int]) -> bool:
    return lie_apart([array("q", x) for x in columns], array("q", sizes), itemsizes)


@pytest.mark.parametrize(
    ("second", "expected"),
    [(996, True), (997, False), (1000, False), (1011, False), (1012, True), (0, False)],
)
def test_two_arrays(second: int, expected: bool) -> None:
    """Of three elements of four bytes, at 1000, and of one at another place, or at none."""
    assert apart([1000], [second], sizes=[1], itemsizes=[12, 4]) is expected
    assert apart([1000, second], sizes=[3, 3], itemsizes=[4]) is (expected and second != 996)


def test_arrays_without_elements_lie_anywhere() -> None:
    assert apart([0, 1000], [0, 2000], sizes=[0, 3], itemsizes=[4, 4])
    assert apart([1004, 1000], sizes=[0, 3], itemsizes=[4])
    assert apart([], [], [], sizes=[], itemsizes=[4, 4, 4])


def test_one_array_within_another_that_is_not_its_neighbour() -> None:
    assert not apart([1000, 1010, 1090], sizes=[100, 1, 1], itemsizes=[1])
    assert not apart([1090, 1000, 1200], sizes=[1, 100, 1], itemsizes=[1])


def test_any_arrays_as_bytes_that_are_counted() -> None:
    random = np.random.default_rng(0)
    itemsizes = (8, 2, 4)
    found = []
    for _ in range(500):
        sizes = random.integers(0, 4, 3).tolist()
        columns = random.integers(1, 400, (3, 3)).tolist()
        used = np.zeros(500, int)
        for column, itemsize in zip(columns, itemsizes, strict=True):
            for start, size in zip(column, sizes, strict=True):
                used[start : start + size * itemsize] += 1
        found.append(apart(*columns, sizes=sizes, itemsizes=itemsizes))
        assert found[-1] is bool((used <= 1).all())
    assert 50 < sum(found) < 450
