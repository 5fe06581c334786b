"""What may be asked of an element's place: from the beginning, from the end, one in so many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from lion_conformance.diagnosis.regions.numbers import ordinal
from lion_conformance.diagnosis.regions.rule import Feature, Kind
from lion_conformance.diagnosis.regions.table import Table
from lion_conformance.diagnosis.regions.wording import (
    Words,
    count,
    number,
    place,
    place_from_the_end,
)
from lion_ref.arithmetic import Array, Mask

PERIODS: Final = (*range(2, 33), *(2**k for k in range(6, 17)), 48, 50, 60, 100, 1000)
BLOCKS: Final = tuple(2**k for k in range(1, 17))

Ask = Callable[[Table], Array]


def _place(symbol: str, ask: Ask, words: Words, cost: float, varied: str = "") -> Feature:
    return Feature(symbol, "element", Kind.PLACE, ask, words, cost, varied)


def features() -> Iterator[Feature]:
    """Places in the array, in a row and in a column; tails; sizes and axes."""
    yield _place("flat index", lambda t: t["i"], place("element", "elements"), 0.1, "length")
    yield _place(
        "n - 1 - flat index",
        lambda t: t["n"] - 1 - t["i"],
        place_from_the_end("element", "elements"),
        0.1,
        "length",
    )
    yield from _along("row", "rows")
    yield from _along("column", "columns")
    yield _place(
        "min(row, column)",
        lambda t: _on_axes(t, np.minimum(t["row"], t["column"])),
        place("row and column", "rows and columns"),
        0.7,
        "rows",
    )
    for width in BLOCKS:
        yield Feature(
            f"flat index ≥ n - n mod {width}",
            "element",
            Kind.TRUTH,
            _in_tail(width),
            f"in the last n mod {width:,} elements",
            0.3 + 0.001 * width.bit_length(),
            "tail",
            period=width,
        )
    yield Feature(
        "n",
        "shape",
        Kind.SIZE,
        lambda t: t["n"],
        count("arrays of", "element", "elements"),
        0.05,
        "n",
        whole=True,
    )
    yield Feature(
        "axes",
        "shape",
        Kind.SIZE,
        lambda t: t["axes"],
        count("tensors with", "axis", "axes"),
        0.0,
        whole=True,
    )
    for symbol in ("rows", "columns"):
        yield Feature(
            symbol,
            "shape",
            Kind.SIZE,
            _lengths(symbol),
            count("matrices of", symbol[:-1], symbol),
            0.5,
            whole=True,
        )
    yield from _shapes()


def _along(one: str, many: str) -> Iterator[Feature]:
    """Rows or columns, from the first and from the last."""
    yield _place(one, lambda t: _on_axes(t, t[one]), place(one, many), 0.4, many)
    yield _place(
        f"{many} - 1 - {one}",
        lambda t: _on_axes(t, t[many] - 1 - t[one]),
        place_from_the_end(one, many),
        0.4,
        many,
    )


def _in_tail(width: int) -> Ask:
    return lambda t: t["i"] >= t["n"] - t["n"] % width


def _lengths(symbol: str) -> Ask:
    return lambda t: _on_axes(t, t[symbol])


def _on_axes(table: Table, values: Array) -> Array:
    """NaN where there are no rows and columns."""
    return np.where(table["axes"] >= 2, values, np.nan)


def _shapes() -> Iterator[Feature]:
    for formula, ask, words, cost in (
        (
            "shape = (1,)",
            lambda t: (t["axes"] == 1) & (t["n"] == 1),
            "in tensors of shape (1,)",
            0.1,
        ),
        (
            "an axis is 1",
            lambda t: (t["axes"] > 0) & (t["shortest"] == 1),
            "in tensors with an axis of length 1",
            0.4,
        ),
        (
            "rows > columns",
            lambda t: (t["axes"] >= 2) & (t["rows"] > t["columns"]),
            "in tensors with more rows than columns",
            0.4,
        ),
        (
            "rows < columns",
            lambda t: (t["axes"] >= 2) & (t["rows"] < t["columns"]),
            "in tensors with more columns than rows",
            0.4,
        ),
        (
            "rows = columns",
            lambda t: (t["axes"] == 2) & (t["rows"] == t["columns"]),
            "in square matrices",
            0.4,
        ),
        (
            "last axis = 1",
            lambda t: (t["axes"] >= 2) & (t["columns"] == 1),
            "in tensors whose last axis has length 1",
            0.5,
        ),
        (
            "first axis = 1",
            lambda t: (t["axes"] >= 2) & (t["rows"] == 1),
            "in tensors whose first axis has length 1",
            0.5,
        ),
    ):
        yield Feature(formula, "shape", Kind.TRUTH, ask, words, cost, whole=True)


def periodic(wrong: Table) -> Iterator[Feature]:
    """One element, row or size in so many: the remainders that all wrong elements share."""
    for symbol, column in (("flat index", "i"), ("row", "row"), ("column", "column"), ("n", "n")):
        if column in ("row", "column") and not (wrong["axes"] >= 2).all():
            continue
        values = wrong[column]
        for period in PERIODS:
            remainder = int(values[0]) % period
            if ((values % period) == remainder).all():
                yield _of_one_remainder(symbol, column, period, remainder)
            elif column != "n" and period in BLOCKS:
                yield from _in_blocks(symbol, column, period)


def _of_one_remainder(symbol: str, column: str, period: int, remainder: int) -> Feature:
    def ask(table: Table) -> Mask:
        found = np.asarray(table[column] % period == remainder)
        return found & (table["axes"] >= 2) if column in ("row", "column") else found

    formula = f"{symbol} mod {period} = {remainder}"
    cost = 0.6 + 0.002 * period.bit_length()
    if column == "n":
        words = _of_sizes(period, remainder)
        return Feature(
            formula, "shape", Kind.TRUTH, ask, words, cost - 0.1, "n mod", whole=True, period=period
        )
    one = "element" if column == "i" else column
    words = f"in every {ordinal(period)} {one}"
    if remainder == 0:
        words += ", from the first on"
    elif remainder != period - 1:
        words += f", from {one} {remainder:,} on"
    return Feature(formula, "element", Kind.TRUTH, ask, words, cost, "index mod", period=period)


def _of_sizes(period: int, remainder: int) -> str:
    if period == 2:
        return f"in arrays of an {'odd' if remainder else 'even'} number of elements"
    if remainder == 0:
        return f"in arrays of a multiple of {period:,} elements"
    return f"in arrays whose size mod {period:,} is {remainder:,}"


def _in_blocks(symbol: str, column: str, period: int) -> Iterator[Feature]:
    if period < 3:
        return
    yield Feature(
        f"{symbol} mod {period}",
        "element",
        Kind.PLACE,
        lambda t: t[column] % period,
        number(f"{symbol} mod {period}"),
        1.0 + 0.002 * period.bit_length(),
    )
