"""How bounds are said: of a number, of a place, of a size."""

from __future__ import annotations

from collections.abc import Callable

from lion_conformance.diagnosis.regions.bounds import Bounds
from lion_conformance.diagnosis.regions.numbers import ordinal, spelled

Words = Callable[[Bounds], str]


def compared(symbol: str, bounds: Bounds) -> str:
    """As a formula.

    >>> compared("η", Bounds(low=1.0, low_in=False)), compared("n", Bounds(3, 3))
    ('η > 1', 'n = 3')
    """
    low, high = bounds.low, bounds.high
    if low is not None and low == high:
        return f"{symbol} = {spelled(low)}"
    below, above = ("≤" if bounds.low_in else "<"), ("≤" if bounds.high_in else "<")
    if low is None:
        return symbol if high is None else f"{symbol} {above} {_said(high, bounds.vague[1])}"
    if high is None:
        return f"{symbol} {'≥' if bounds.low_in else '>'} {_said(low, bounds.vague[0])}"
    return f"{_said(low, bounds.vague[0])} {below} {symbol} {above} {_said(high, bounds.vague[1])}"


def _said(number: float, vague: bool) -> str:
    return f"about {spelled(float(f'{number:.2g}'))}" if vague else spelled(number)


def number(symbol: str) -> Words:
    """Of a number."""
    return lambda bounds: f"where {compared(symbol, bounds)}"


def place(one: str, many: str) -> Words:
    """Of places counted from 0: "element" and "elements", "row" and "rows"."""

    def words(bounds: Bounds) -> str:
        low, high = _whole(bounds)
        if high is None:
            rest = f"in {many} from {low:,} on"
            return f"in all {many} but the first" if low == 1 else rest
        if low is None or low == 0:
            return f"in the first {one}" if high == 0 else f"in the first {high + 1:,} {many}"
        if low == high:
            return f"in {one} {low:,}"
        return f"in {many} {low:,} to {high:,}"

    return words


def place_from_the_end(one: str, many: str) -> Words:
    """Of places counted from the last, which is 0."""

    def words(bounds: Bounds) -> str:
        low, high = _whole(bounds)
        if high is None:
            return f"in all {many} but the last" + ("" if low == 1 else f" {low:,}")
        if low is None or low == 0:
            return f"in the last {one}" if high == 0 else f"in the last {high + 1:,} {many}"
        if low == high:
            return f"in the {ordinal(low + 1)} {one} from the end"
        return f"in the {ordinal(low + 1)} to {ordinal(high + 1)} {one} from the end"

    return words


def count(holder: str, one: str, many: str) -> Words:
    """Of what an array has so and so many of."""

    def words(bounds: Bounds) -> str:
        low, high = _whole(bounds)
        if low is not None and low == high:
            return f"in {holder} {_counted(low, one, many)}".replace("with no ", "without ")
        if low is None and high is not None:
            return f"in {holder} fewer than {_counted(high + 1, one, many)}"
        low = low or 0
        if high is None:
            return f"in {holder} more than {_counted(low - 1, one, many)}"
        return f"in {holder} {low:,} to {_counted(high, one, many)}"

    return words


_SPOKEN = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")


def _counted(number: int, one: str, many: str) -> str:
    spoken = _SPOKEN[number] if 0 <= number < len(_SPOKEN) else f"{number:,}"
    return f"{spoken} {one if number == 1 else many}"


def _whole(bounds: Bounds) -> tuple[int | None, int | None]:
    """Whole numbers, both inside."""
    low, high = bounds.low, bounds.high
    return (
        None if low is None else int(low) + (not bounds.low_in),
        None if high is None else int(high) - (not bounds.high_in),
    )
