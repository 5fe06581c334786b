"""Canaries: for each choice of SPEC C16 the simplest input found on which it alone changes a bit.

One element each, in each of the four dtypes where the choice can show; found by the search in
`find_canaries` and frozen in data/canaries.json. `also` names the other single choices that change
the same output of the same input: empty for nearly all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.ports.protocol import ScalarArguments
from lion_ref import STORAGE_DTYPES, Semantics
from lion_ref.arithmetic import Array
from lion_ref.semantics import choices

PATH: Final = Path(__file__).parents[1] / "data" / "canaries.json"

COMPANIONS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"decay": "factor"},
    {"decay": "product"},
    {"decay": "unscaled"},
    {"decay": "coupled"},
    {"precision": "storage"},
    {"momentum_precision": "storage"},
    *(
        {f"{part}_interpolation": form}
        for part in ("sign", "momentum")
        for form in ("lerp-from-momentum", "lerp-from-gradient", "lerp-from-nearer")
    ),
)
"""What a choice may need beside it to have a meaning."""

INSTEAD: Final[tuple[tuple[dict[str, Any], dict[str, Any]], ...]] = (
    ({"subnormals": "flush"}, {"subnormals": "flush-before-rounding"}),
    ({"scalars": "float32"}, {"sign_complement": "compute"}),
    ({"scalars": "float32"}, {"momentum_complement": "compute"}),
    (
        {"precision": "storage", "sign_interpolation": "lerp-from-momentum"},
        {"precision": "storage-whole-lerp"},
    ),
)
"""Where two values of a choice that are not canonical have to be told apart."""


@dataclass(frozen=True, slots=True)
class Canary:
    """One element, and one output's bits without a choice and with it."""

    beside: dict[str, Any]
    choice: dict[str, Any]
    dtype: str
    inputs: tuple[str, str, str]
    """θ, m and g in hexadecimal."""
    scalars: ScalarArguments
    output: str
    """`param` or `momentum`: the output in which the bits differ."""
    without: str
    with_choice: str
    also: tuple[str, ...]

    @property
    def semantics(self) -> tuple[Semantics, Semantics]:
        """Without the choice, and with it."""
        return Semantics(**self.beside), Semantics(**(self.beside | self.choice))

    @property
    def case(self) -> Case:
        """The input, as arrays of shape (1,)."""
        param, momentum, grad = map(self.decoded, self.inputs)
        return Case(param, momentum, grad, **self.scalars)

    def decoded(self, pattern: str) -> Array:
        """A bit pattern as an array of shape (1,)."""
        dtype = STORAGE_DTYPES[self.dtype]
        return np.array([int(pattern, 16)], dtype=f"u{dtype.itemsize}").view(dtype)

    def __str__(self) -> str:
        what = ", ".join(f"{k}={v}" for k, v in (self.choice | self.beside).items())
        return f"{self.dtype}: {what}"


def questions() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(what stands beside, the choice) for every choice, with each companion that it needs.

    >>> ({}, {"nan_sign": "zero"}) in list(questions())
    True
    """
    alone = set()
    for beside in COMPANIONS:
        for name, options in choices().items():
            for option in options[1:]:
                needs = name.endswith("_fused") or (name, option) not in alone
                if name not in beside and needs and _matters(beside, {name: option}):
                    if not beside:
                        alone.add((name, option))
                    yield beside, {name: option}
    yield from INSTEAD


def _matters(beside: dict[str, Any], choice: dict[str, Any]) -> bool:
    """Whether the choice is legal there, and a companion is one that it is about."""
    try:
        Semantics(**(beside | choice))
    except ValueError:
        return False
    about, part = {name.split("_")[0] for name in beside}, next(iter(choice)).split("_")[0]
    if about == {"precision"}:
        return part != "momentum"
    return not about or part in about


@lru_cache(maxsize=1)
def load() -> tuple[Canary, ...]:
    """All canaries.

    >>> {canary.dtype for canary in load()} == set(STORAGE_DTYPES)
    True
    """
    rows = json.loads(PATH.read_text(encoding="utf-8"))["canaries"]
    return tuple(
        Canary(**row | {"inputs": tuple(row["inputs"]), "also": tuple(row["also"])}) for row in rows
    )


@lru_cache(maxsize=8)
def cases(dtype: str) -> tuple[Case, ...]:
    """The canaries of one dtype, those of the same scalars in one case."""
    together: dict[tuple[float, ...], list[Case]] = {}
    for canary in load():
        if canary.dtype == dtype:
            case = canary.case
            scalars = (case.lr, case.beta1, case.beta2, case.weight_decay)
            together.setdefault(scalars, []).append(case)
    return tuple(
        group[0].with_arrays(
            np.concatenate(arrays) for arrays in zip(*(x.arrays for x in group), strict=True)
        )
        for group in together.values()
    )
