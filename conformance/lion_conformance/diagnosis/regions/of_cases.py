"""What may be asked of a case as a whole: scalars, layouts, dtypes, its arrays throughout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Final

import numpy as np

from lion_conformance.diagnosis.regions.rule import Feature, Kind
from lion_conformance.diagnosis.regions.table import ARRAYS, DTYPES, LAYOUTS, Table
from lion_conformance.diagnosis.regions.wording import number
from lion_ref.arithmetic import Array, Mask

Ask = Callable[[Table], Array]

CALLED: Final = {"θ": "θ", "m": "the momentum", "g": "the gradient"}
CONTIGUOUS: Final = ("plain", "read_only", "shifted")


def features() -> Iterator[Feature]:
    """All but those of dtypes, which are made from what is wrong."""
    yield from _scalars()
    yield from _layouts()
    yield from _arrays()


def _scalars() -> Iterator[Feature]:
    for name in ("η", "λ", "β1", "β2"):
        yield _number(name, lambda t, n=name: t[n], 0.0, name)
        for sign, bit in (("-", True), ("+", False)):
            yield _truth(
                f"{name} = {sign}0",
                "scalars",
                lambda t, n=name, b=bit: (t[n] == 0) & (np.signbit(t[n]) == b),
                0.3,
            )
    yield _number("η·λ", lambda t: t["η"] * t["λ"], 0.3, "ηλ")
    for name in ("β1", "β2"):
        yield _number(f"1 - {name}", lambda t, n=name: 1 - t[n], 0.6, f"1-{name}")
    for formula, ask in (
        ("β1 = β2", lambda t: t["β1"] == t["β2"]),
        ("β1 > β2", lambda t: t["β1"] > t["β2"]),
        ("β1 < β2", lambda t: t["β1"] < t["β2"]),
        ("η = λ", lambda t: t["η"] == t["λ"]),
        ("η > λ", lambda t: t["η"] > t["λ"]),
        ("η < λ", lambda t: t["η"] < t["λ"]),
    ):
        yield _truth(formula, "scalars", ask, 0.4)


def _number(symbol: str, ask: Ask, cost: float, varied: str) -> Feature:
    return Feature(symbol, "scalars", Kind.SCALAR, ask, number(symbol), cost, varied, whole=True)


def _truth(formula: str, about: str, ask: Ask, cost: float, words: str = "") -> Feature:
    return Feature(formula, about, Kind.TRUTH, ask, words or f"where {formula}", cost, whole=True)


def _lies(table: Table, name: str, *layouts: str) -> Mask:
    return np.isin(table[f"layout {name}"], [LAYOUTS.index(x) for x in layouts])


def _layouts() -> Iterator[Feature]:
    for name, called in CALLED.items():
        yield _layout(
            f"{called} is not contiguous", lambda t, n=name: ~_lies(t, n, *CONTIGUOUS), 0.0
        )
        for words, layouts, cost in (
            ("has gaps", ("every_second",), 0.2),
            ("has rows that lie apart", ("columns",), 0.2),
            ("is in Fortran's order", ("transposed",), 0.2),
            ("is in channels-last order", ("channels_last",), 0.2),
            ("does not begin at an aligned address", ("shifted",), 0.2),
            ("has gaps or rows that lie apart", ("every_second", "columns"), 0.4),
            ("has its axes permuted in memory", ("transposed", "channels_last"), 0.4),
            ("has a stride of 0", ("repeated", "rows_repeated", "one_repeated"), 0.3),
            ("has a stride of 0 along its first axis", ("rows_repeated", "one_repeated"), 0.5),
            ("has a stride of 0 along its last axis", ("repeated", "one_repeated"), 0.5),
            ("is read-only", ("read_only",), 0.2),
            (
                "is read-only, broadcast or not",
                ("read_only", "repeated", "rows_repeated", "one_repeated"),
                0.6,
            ),
        ):
            yield _layout(f"{called} {words}", lambda t, n=name, x=layouts: _lies(t, n, *x), cost)
    contiguous = {n: (lambda t, n=n: _lies(t, n, *CONTIGUOUS)) for n in ARRAYS}
    for name, other in (("m", "θ"), ("g", "θ"), ("θ", "g"), ("θ", "m"), ("g", "m"), ("m", "g")):
        yield _layout(
            f"{CALLED[name]} is not contiguous and {CALLED[other]} is",
            lambda t, a=name, b=other: ~contiguous[a](t) & contiguous[b](t),
            0.6,
        )
        for words, layout in (("Fortran's", "transposed"), ("channels-last", "channels_last")):
            yield _layout(
                f"{CALLED[name]} is in {words} order and {CALLED[other]} is not",
                lambda t, a=name, b=other, x=layout: _lies(t, a, x) & ~_lies(t, b, x),
                0.7,
            )
    yield _layout(
        "some array is not contiguous",
        lambda t: ~np.logical_and.reduce([contiguous[n](t) for n in ARRAYS]),
        0.5,
    )
    yield _layout(
        "no array is contiguous",
        lambda t: ~np.logical_or.reduce([contiguous[n](t) for n in ARRAYS]),
        0.6,
    )
    yield _layout(
        "some arrays are contiguous and others are not",
        lambda t: (
            np.logical_or.reduce([contiguous[n](t) for n in ARRAYS])
            & ~np.logical_and.reduce([contiguous[n](t) for n in ARRAYS])
        ),
        0.8,
    )
    yield _layout(
        "the arrays' layouts differ",
        lambda t: (t["layout θ"] != t["layout m"]) | (t["layout θ"] != t["layout g"]),
        0.8,
    )


def _layout(words: str, ask: Ask, cost: float) -> Feature:
    return _truth(words, "layout", ask, cost)


def _arrays() -> Iterator[Feature]:
    for name in ARRAYS:
        low, high, nan, inf = (f"{x} {name}" for x in ("low", "high", "any NaN", "any inf"))
        for words, ask, cost in (
            (f"any element of {name} is NaN", lambda t, a=nan: t[a], 0.3),
            (f"any element of {name} is infinite", lambda t, a=inf: t[a], 0.3),
            (f"any element of {name} is not finite", lambda t, a=nan, b=inf: t[a] | t[b], 0.4),
            (
                f"all elements of {name} are zero",
                lambda t, a=low, b=high: (t[a] == 0) & (t[b] == 0),
                0.3,
            ),
            (
                f"all elements of {name} are positive",
                lambda t, a=low, b=inf: (t[a] > 0) & ~t[b],
                0.6,
            ),
            (
                f"all elements of {name} are negative",
                lambda t, a=high, b=inf: (t[a] < 0) & ~t[b],
                0.6,
            ),
            (f"no element of {name} is negative", lambda t, a=low: t[a] >= 0, 0.7),
            (f"all elements of {name} are equal", lambda t, a=low, b=high: t[a] == t[b], 0.5),
        ):
            yield _truth(words, "value", ask, cost)
        yield Feature(
            f"max |{name}|",
            "value",
            Kind.SCALAR,
            lambda t, a=low, b=high: np.maximum(np.abs(t[a]), np.abs(t[b])),
            number(f"max |{name}|"),
            0.8,
            f"max |{name}|",
            whole=True,
        )
    yield _truth(
        "any element is NaN",
        "value",
        lambda t: np.logical_or.reduce([t[f"any NaN {n}"] for n in ARRAYS]),
        0.5,
    )
    yield _truth(
        "any element is not finite",
        "value",
        lambda t: np.logical_or.reduce([t[f"any {x} {n}"] for n in ARRAYS for x in ("NaN", "inf")]),
        0.6,
    )


def dtypes(wrong: Table) -> Iterator[Feature]:
    """The dtypes that all wrong elements share, of one array or several; and relations of them."""
    shared = {
        name: int(wrong[f"dtype {name}"][0])
        for name in ARRAYS
        if np.unique(wrong[f"dtype {name}"]).size == 1
    }
    for number_of in range(1, len(shared) + 1):
        for names in combinations(shared, number_of):
            words = [f"{name} is {DTYPES[shared[name]]}" for name in names]
            said = " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
            chosen = {name: shared[name] for name in names}
            yield _truth(
                said,
                "dtype",
                lambda t, c=chosen: np.logical_and.reduce(
                    [t[f"dtype {n}"] == x for n, x in c.items()]
                ),
                0.2 * number_of,
            )
    for first, second in combinations(ARRAYS, 2):
        yield _truth(
            f"{first} and {second} differ in dtype",
            "dtype",
            lambda t, a=first, b=second: t[f"dtype {a}"] != t[f"dtype {b}"],
            0.5,
        )
    for name in ARRAYS:
        for other in (x for x in DTYPES if len(shared) < 3):
            yield _truth(
                f"{name} is not {other}",
                "dtype",
                lambda t, a=name, x=DTYPES.index(other): t[f"dtype {a}"] != x,
                0.9,
            )
