"""Mistakes in precision: scalars, inputs or all operations in a narrower dtype, or a wider one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.diagnosis.mistakes.altered import Alteration, Coefficient, Formula
from lion_conformance.diagnosis.mistakes.builders import (
    BOTH,
    MOMENTUM,
    NARROW,
    SIGN,
    STEP,
    arrays,
    scalars,
    wide,
    without_last_bits,
)
from lion_conformance.verdict.code import Code
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array, round_to

Rounded = Callable[[float], float]

_SYMBOLS = {"param": "θ", "momentum": "m", "grad": "g"}

Rows = tuple[tuple[str, tuple[str, ...], tuple[Formula, ...]], ...]

_READ: Rows = (
    ("g is", ("grad",), BOTH),
    ("m is", ("momentum",), BOTH),
    ("θ is", ("param",), (STEP,)),
    ("m and g are", ("momentum", "grad"), BOTH),
)
_KEPT: Rows = (
    ("m and g keep", ("momentum", "grad"), BOTH),
    ("θ, m and g keep", ("param", "momentum", "grad"), tuple(Formula)),
)

_BETAS: tuple[tuple[str, Callable[[float, Rounded], Coefficient]], ...] = (
    ("β is rounded to {}, and 1-β formed from that", lambda b, r: Coefficient(r(b), 1 - r(b))),
    ("β and 1-β are rounded to {}", lambda b, r: Coefficient(r(b), r(1 - b))),
    ("β is rounded to {}, and 1-β formed there", lambda b, r: Coefficient(r(b), r(1 - r(b)))),
    ("β alone is rounded to {}, 1-β is not", lambda b, r: Coefficient(r(b), 1 - b)),
    ("1-β alone is rounded to {}", lambda b, r: Coefficient(b, r(1 - b))),
    ("1-β is formed from β rounded to {}", lambda b, r: Coefficient(b, 1 - r(b))),
)


def alterations() -> Iterator[Alteration]:
    """What may be held in another dtype than it should be."""
    for seen, like in (("grad", "momentum"), ("grad", "param"), ("momentum", "param")):
        words = f"{_SYMBOLS[seen]} is rounded to the dtype of {_SYMBOLS[like]}"
        yield arrays(
            words, Code.ROUNDED_IN_BETWEEN, "C3", BOTH, {seen: _in_dtype_of(seen, like)}, held=False
        )
    for narrow in NARROW:
        yield from _scalars(narrow)
        for words, names, parts in _READ:
            reads = {name: _read_as(name, narrow) for name in names}
            text = f"{words} read as {narrow}"
            yield arrays(text, Code.ROUNDED_IN_BETWEEN, "C3", parts, reads, held=False)
    for places in (10, 7):
        for words, names, parts in _KEPT:
            kept = {name: _shortened(name, places) for name in names}
            text = f"{words} {places} bits of their fraction"
            yield arrays(text, Code.ROUNDED_IN_BETWEEN, "C5", parts, kept, held=False)
    for name in ("float32", "float16", "bfloat16", "float64"):
        words = f"all is computed in {name}" + (" and rounded once" if name == "float64" else "")
        alone = {part: f"{part.value} is computed in {name}" for part in Formula}
        yield Alteration(
            words,
            Code.COMPUTED_IN_ANOTHER_DTYPE,
            "C3",
            tuple(Formula),
            within=name,
            alone=alone,
        )


def _scalars(narrow: str) -> Iterator[Alteration]:
    def rounded(value: float) -> float:
        return float(round_to(np.float64(value), STORAGE_DTYPES[narrow]))

    def of(name: str) -> Callable[[Case], float]:
        return lambda case: rounded(getattr(case, name))

    for words, names in (
        ("η is", ("lr",)),
        ("λ is", ("weight_decay",)),
        ("η and λ are", ("lr", "weight_decay")),
    ):
        text = f"{words} rounded to {narrow}"
        changes = {name: of(name) for name in names}
        yield scalars(text, Code.SCALARS_ROUNDED, "C4", (STEP,), changes)

    def beta(name: str, made: Callable[[float, Rounded], Coefficient]) -> Callable[[Case], float]:
        return lambda case: made(getattr(case, name), rounded)

    for words, made in _BETAS:
        text = words.format(narrow)
        alone = {SIGN: text.replace("β", "β1"), MOMENTUM: text.replace("β", "β2")}
        changes = {name: beta(name, made) for name in ("beta1", "beta2")}
        yield scalars(text, Code.SCALARS_ROUNDED, "C4", BOTH, changes, alone)


def _in_dtype_of(seen: str, like: str) -> Callable[[Case], Array]:
    return lambda case: wide(round_to(wide(getattr(case, seen)), getattr(case, like).dtype))


def _read_as(name: str, narrow: str) -> Callable[[Case], Array]:
    return lambda case: wide(round_to(wide(getattr(case, name)), STORAGE_DTYPES[narrow]))


def _shortened(name: str, places: int) -> Callable[[Case], Array]:
    def cut(case: Case) -> Array:
        x = wide(getattr(case, name))
        return without_last_bits(x, (52 if x.dtype.itemsize == 8 else 23) - places)

    return cut
