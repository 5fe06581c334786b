"""What may be asked of an element's numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Final

import numpy as np

from lion_conformance.diagnosis.regions.rule import Feature, Kind
from lion_conformance.diagnosis.regions.table import ARRAYS, DTYPES, Table
from lion_conformance.diagnosis.regions.wording import number
from lion_ref.arithmetic import Array, Mask
from lion_ref.rational import FORMATS

Ask = Callable[[Table], Mask]

SMALLEST_NORMAL: Final = np.array([2.0 ** FORMATS[x].min_exponent for x in DTYPES])
RESULTS: Final = {"c": "c", "θ'": "θ", "m'": "m"}
"""What is computed, and whose dtype it has: c that of the compute dtype, taken for θ's."""


def features() -> Iterator[Feature]:
    """All, the simplest first."""
    for name in (*ARRAYS, *RESULTS):
        yield from _of_one(name)
    yield from _of_two()


def _truth(formula: str, ask: Ask, cost: float = 1.0, words: str = "") -> Feature:
    return Feature(formula, "value", Kind.TRUTH, ask, words or f"where {formula}", cost)


def _of_one(name: str) -> Iterator[Feature]:
    more = 0.0 if name in ARRAYS else 0.2

    def x(table: Table) -> Array:
        return table[name]

    yield _truth(f"{name} is NaN", lambda t: np.isnan(x(t)), more)
    yield _truth(f"{name} = ±0", lambda t: x(t) == 0, more)
    yield _truth(f"{name} = ±∞", lambda t: np.isinf(x(t)), more)
    yield _truth(f"{name} is not finite", lambda t: ~np.isfinite(x(t)), more + 0.1)
    yield _truth(f"{name} = -0", lambda t: (x(t) == 0) & np.signbit(x(t)), more + 0.2)
    yield _truth(f"{name} = +0", lambda t: (x(t) == 0) & ~np.signbit(x(t)), more + 0.2)
    yield _truth(f"{name} = -∞", lambda t: x(t) == -np.inf, more + 0.3)
    yield _truth(f"{name} = +∞", lambda t: x(t) == np.inf, more + 0.3)
    yield _truth(f"{name} < 0", lambda t: x(t) < 0, more + 0.4)
    yield _truth(f"{name} > 0", lambda t: x(t) > 0, more + 0.4)
    yield _truth(f"{name} is subnormal", lambda t: _subnormal(t, name), more + 0.1)
    if name in ARRAYS:
        yield _truth(f"{name} is a whole number", lambda t: np.rint(x(t)) == x(t), 0.5)
    size = f"|{name}|"
    yield Feature(size, "value", Kind.NUMBER, lambda t: np.abs(x(t)), number(size), more, name)
    yield Feature(name, "value", Kind.NUMBER, x, number(name), more + 0.8, name)


def _subnormal(table: Table, name: str) -> Mask:
    code = table[f"dtype {RESULTS.get(name, name) if name != 'c' else 'θ'}"]
    smallest = SMALLEST_NORMAL[code]
    if name == "c":
        smallest = np.minimum(smallest, 2.0**-126)
    size = np.abs(table[name])
    return np.asarray((size > 0) & (size < smallest))


def _of_two() -> Iterator[Feature]:
    yield _truth(
        "m = g = ±0", lambda t: (t["m"] == 0) & (t["g"] == 0), 0.5, "where m and g are both zero"
    )
    yield _truth(
        "θ = m = g = ±0",
        lambda t: (t["θ"] == 0) & (t["m"] == 0) & (t["g"] == 0),
        0.9,
        "where θ, m and g are all zero",
    )
    yield _truth("c is ±0 or ±∞", lambda t: (t["c"] == 0) | np.isinf(t["c"]), 0.7)
    yield _truth("m or g is NaN", lambda t: np.isnan(t["m"]) | np.isnan(t["g"]), 0.5)
    yield _truth("m or g is not finite", lambda t: ~np.isfinite(t["m"]) | ~np.isfinite(t["g"]), 0.6)
    yield _truth("θ' overflows", lambda t: np.isinf(t["θ'"]) & np.isfinite(t["θ"]), 0.5)
    yield _truth(
        "m' overflows", lambda t: np.isinf(t["m'"]) & np.isfinite(t["m"]) & np.isfinite(t["g"]), 0.5
    )
    yield _truth("m = g", lambda t: t["m"] == t["g"], 0.5)
    yield _truth("m = g ≠ 0", lambda t: (t["m"] == t["g"]) & (t["g"] != 0), 0.7)
    yield _truth("g = -m", lambda t: t["m"] == -t["g"], 0.5)
    yield _truth("g = -m ≠ 0", lambda t: (t["m"] == -t["g"]) & (t["g"] != 0), 0.7)
    yield _truth("θ' = θ", lambda t: t["θ"] == t["θ'"], 0.8)
    yield _truth("m' = m", lambda t: t["m"] == t["m'"], 0.8)
    yield _truth("m' = θ'", lambda t: t["m'"] == t["θ'"], 0.9)
    yield _truth(
        "θ' > 0 > θ or θ' < 0 < θ",
        lambda t: t["θ"] * t["θ'"] < 0,
        0.9,
        "where the step takes θ through 0",
    )
    for a, b in (("m", "g"), ("c", "θ"), ("c", "g"), ("c", "m"), ("g", "θ"), ("m", "θ")):
        yield from _signs(a, b)
    for a, b in permutations(ARRAYS, 2):
        yield _truth(f"|{a}| > |{b}|", _larger(a, b), 0.6)
    larger, smaller = "where the step makes |θ| larger", "where the step makes |θ| smaller"
    yield _truth("|θ - η·u| > |θ|", lambda t: _growth(t) > 0, 0.7, larger)
    yield _truth("|θ - η·u| < |θ|", lambda t: _growth(t) < 0, 0.7, smaller)


def _signs(a: str, b: str) -> Iterator[Feature]:
    first, second = ("u" if x == "c" else x for x in (a, b))
    for formula, ask, words in (
        ("< 0", lambda t: _agree(t, a, b) < 0, "differ"),
        ("> 0", lambda t: _agree(t, a, b) > 0, "agree"),
    ):
        said = f"where {first} and {second} {words} in sign"
        yield _truth(f"{first}·{second} {formula}", ask, 0.5, said)


def _larger(first: str, second: str) -> Ask:
    return lambda t: np.abs(t[first]) > np.abs(t[second])


def _agree(table: Table, first: str, second: str) -> Array:
    return np.asarray(np.sign(table[first]) * np.sign(table[second]))


def _growth(table: Table) -> Array:
    stepped = table["θ"] - table["η"] * np.sign(table["c"])
    return np.asarray(np.abs(stepped) - np.abs(table["θ"]))
