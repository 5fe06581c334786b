"""What may be asked of a case as a whole: scalars, layouts, dtypes, its arrays throughout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, permutations
from typing import Final

import numpy as np

from lion_conformance.diagnosis.regions.rule import Feature, Kind
from lion_conformance.diagnosis.regions.table import ARRAYS, DTYPES, LAYOUTS, Table
from lion_conformance.diagnosis.regions.wording import number
from lion_ref.arithmetic import Array

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
        yield _number(name, _column(name), 0.0, name)
        for sign, negative in (("-", True), ("+", False)):
            yield _truth(f"{name} = {sign}0", "scalars", _zero(name, negative=negative), 0.3)
    yield _number("η·λ", lambda t: t["η"] * t["λ"], 0.3, "ηλ")
    yield _number("1 - β1", lambda t: 1 - t["β1"], 0.6, "1-β1")
    yield _number("1 - β2", lambda t: 1 - t["β2"], 0.6, "1-β2")
    yield _truth("β1 = β2", "scalars", lambda t: t["β1"] == t["β2"], 0.4)
    yield _truth("β1 > β2", "scalars", lambda t: t["β1"] > t["β2"], 0.4)
    yield _truth("β1 < β2", "scalars", lambda t: t["β1"] < t["β2"], 0.4)
    yield _truth("η = λ", "scalars", lambda t: t["η"] == t["λ"], 0.4)
    yield _truth("η > λ", "scalars", lambda t: t["η"] > t["λ"], 0.4)
    yield _truth("η < λ", "scalars", lambda t: t["η"] < t["λ"], 0.4)


def _column(name: str) -> Ask:
    return lambda t: t[name]


def _zero(name: str, *, negative: bool) -> Ask:
    return lambda t: (t[name] == 0) & (np.signbit(t[name]) == negative)


def _number(symbol: str, ask: Ask, cost: float, varied: str) -> Feature:
    return Feature(symbol, "scalars", Kind.SCALAR, ask, number(symbol), cost, varied, whole=True)


def _truth(formula: str, about: str, ask: Ask, cost: float, words: str = "") -> Feature:
    return Feature(formula, about, Kind.TRUTH, ask, words or f"where {formula}", cost, whole=True)


_LAID: Final = (
    ("has gaps", 0.2, ("every_second",)),
    ("has rows that lie apart", 0.2, ("columns",)),
    ("is in Fortran's order", 0.2, ("transposed",)),
    ("does not begin at an aligned address", 0.2, ("shifted",)),
    ("is read-only", 0.2, ("read_only",)),
    ("has a stride of 0", 0.3, ("repeated", "rows_repeated", "one_repeated")),
    ("has gaps or rows that lie apart", 0.4, ("every_second", "columns")),
    ("has its axes permuted in memory", 0.4, ("transposed", "channels_last")),
    ("has a stride of 0 along its first axis", 0.5, ("rows_repeated", "one_repeated")),
    ("has a stride of 0 along its last axis", 0.5, ("repeated", "one_repeated")),
)


def _layouts() -> Iterator[Feature]:
    for name, called in CALLED.items():
        yield _layout(f"{called} is not contiguous", _lies_not(name, *CONTIGUOUS), 0.0)
        yield _layout(f"{called} is in channels-last order", _column(f"channels last {name}"), 0.2)
        for words, cost, layouts in _LAID:
            yield _layout(f"{called} {words}", _lies(name, *layouts), cost)
    for name, other in permutations(ARRAYS, 2):
        first, second = CALLED[name], CALLED[other]
        yield _layout(
            f"{first} is not contiguous and {second} is",
            _both(_lies_not(name, *CONTIGUOUS), _lies(other, *CONTIGUOUS)),
            0.6,
        )
        for words, is_so, is_not in (
            ("Fortran's", _lies(name, "transposed"), _lies_not(other, "transposed")),
            ("channels-last", _column(f"channels last {name}"), _not_channels_last(other)),
        ):
            said = f"{first} is in {words} order and {second} is not"
            yield _layout(said, _both(is_so, is_not), 0.7)
    yield _layout("some array is not contiguous", lambda t: _contiguous(t) < len(ARRAYS), 0.5)
    yield _layout("no array is contiguous", lambda t: _contiguous(t) == 0, 0.6)
    yield _layout(
        "some arrays are contiguous and others are not",
        lambda t: (_contiguous(t) > 0) & (_contiguous(t) < len(ARRAYS)),
        0.8,
    )
    yield _layout(
        "the arrays' layouts differ",
        lambda t: (t["layout θ"] != t["layout m"]) | (t["layout θ"] != t["layout g"]),
        0.8,
    )


def _lies(name: str, *layouts: str) -> Ask:
    codes = [LAYOUTS.index(x) for x in layouts]
    return lambda t: np.isin(t[f"layout {name}"], codes)


def _lies_not(name: str, *layouts: str) -> Ask:
    codes = [LAYOUTS.index(x) for x in layouts]
    return lambda t: ~np.isin(t[f"layout {name}"], codes)


def _not_channels_last(name: str) -> Ask:
    return lambda t: ~t[f"channels last {name}"]


def _both(first: Ask, second: Ask) -> Ask:
    return lambda t: first(t) & second(t)


def _contiguous(table: Table) -> Array:
    """How many of the arrays are."""
    each = [_lies(name, *CONTIGUOUS)(table).astype(int) for name in ARRAYS]
    return np.asarray(np.add.reduce(each))


def _layout(words: str, ask: Ask, cost: float) -> Feature:
    return _truth(words, "layout", ask, cost)


def _arrays() -> Iterator[Feature]:
    for name in ARRAYS:
        yield from _of_array(name)
    yield _throughout("any element is NaN", _any("NaN"), 0.5)
    yield _throughout("any element is not finite", _any("NaN", "inf"), 0.6)


def _of_array(name: str) -> Iterator[Feature]:
    low, high, nan, inf = (f"{x} {name}" for x in ("low", "high", "any NaN", "any inf"))
    yield _throughout(f"any element of {name} is NaN", lambda t: t[nan], 0.3)
    yield _throughout(f"any element of {name} is infinite", lambda t: t[inf], 0.3)
    yield _throughout(f"any element of {name} is not finite", lambda t: t[nan] | t[inf], 0.4)
    every = f"all elements of {name} are"
    yield _throughout(f"{every} zero", lambda t: (t[low] == 0) & (t[high] == 0), 0.3)
    yield _throughout(f"{every} equal", lambda t: t[low] == t[high], 0.5)
    yield _throughout(f"{every} positive", lambda t: (t[low] > 0) & ~t[inf], 0.6)
    yield _throughout(f"{every} negative", lambda t: (t[high] < 0) & ~t[inf], 0.6)
    yield _throughout(f"no element of {name} is negative", lambda t: t[low] >= 0, 0.7)
    symbol = f"max |{name}|"
    yield Feature(
        symbol,
        "value",
        Kind.SCALAR,
        lambda t: np.maximum(np.abs(t[low]), np.abs(t[high])),
        number(symbol),
        0.8,
        symbol,
        whole=True,
    )


def _throughout(words: str, ask: Ask, cost: float) -> Feature:
    return _truth(words, "value", ask, cost)


def _any(*kinds: str) -> Ask:
    names = [f"any {kind} {name}" for kind in kinds for name in ARRAYS]
    return lambda t: np.logical_or.reduce([t[name] for name in names])


def dtypes(wrong: Table) -> Iterator[Feature]:
    """The dtypes that all wrong elements share, of one array or several; and relations of them."""
    shared = {
        name: int(wrong[f"dtype {name}"][0])
        for name in ARRAYS
        if np.unique(wrong[f"dtype {name}"]).size == 1
    }
    for count in range(1, len(shared) + 1):
        for names in combinations(shared, count):
            words = [f"{name} is {DTYPES[shared[name]]}" for name in names]
            said = " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
            yield _truth(said, "dtype", _are({x: shared[x] for x in names}), 0.2 * count)
    for a, b in combinations(ARRAYS, 2):
        yield _truth(f"{a} and {b} differ in dtype", "dtype", _differ(a, b), 0.5)
    for name in ARRAYS:
        for code, other in enumerate(DTYPES):
            yield _truth(f"{name} is not {other}", "dtype", _is_not(name, code), 0.9)


def _are(codes: dict[str, int]) -> Ask:
    return lambda t: np.logical_and.reduce([t[f"dtype {name}"] == x for name, x in codes.items()])


def _differ(first: str, second: str) -> Ask:
    return lambda t: t[f"dtype {first}"] != t[f"dtype {second}"]


def _is_not(name: str, code: int) -> Ask:
    return lambda t: t[f"dtype {name}"] != code
