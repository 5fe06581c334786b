"""Alterations in a line: other scalars, other arrays, another sign, another store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.diagnosis.mistakes.altered import Alteration, Formula, Kept
from lion_conformance.verdict.code import Code
from lion_ref.arithmetic import Array, round_to
from lion_ref.dtypes import compute_dtype

SIGN, STEP, MOMENTUM = Formula.SIGN, Formula.STEP, Formula.MOMENTUM
BOTH: Final = (SIGN, MOMENTUM)
"""The parts that see m and g."""

NARROW: Final = ("float32", "float16", "bfloat16")

Words = dict[Formula, str]
Change = Callable[[Array], Array]


def scalars(
    words: str,
    code: Code,
    clause: str,
    parts: tuple[Formula, ...],
    changes: dict[str, Callable[[Case], float]],
    alone: Words | None = None,
) -> Alteration:
    """Other scalars in these parts."""

    def sees(case: Case, _: Kept) -> Case:
        new: dict[str, Any] = {name: change(case) for name, change in changes.items()}
        return replace(case, **new)

    return Alteration(words, code, clause, parts, sees=sees, alone=alone or {})


def arrays(
    words: str,
    code: Code,
    clause: str,
    parts: tuple[Formula, ...],
    changes: dict[str, Callable[[Case], Array]],
    alone: Words | None = None,
    *,
    whole: bool = False,
    held: bool = True,
) -> Alteration:
    """Other arrays in these parts; held: rounded to the dtype of those whose place they take."""

    def sees(case: Case, _: Kept) -> Case:
        new: dict[str, Any] = {}
        for name, change in changes.items():
            old, made = getattr(case, name), np.asarray(change(case))
            new[name] = round_to(made, old.dtype if held else wide(old).dtype)
        return replace(case, **new)

    return Alteration(words, code, clause, parts, sees=sees, alone=alone or {}, whole=whole)


def signs(
    words: str, code: Code, clause: str, sign: Callable[[Array, Array, Case], Array]
) -> Alteration:
    """Another u."""
    return Alteration(words, code, clause, (SIGN,), sign=sign)


def stores(
    words: str,
    code: Code,
    clause: str,
    part: Formula,
    store: Callable[[Array, Array, Case], Array],
) -> Alteration:
    """Another way to store θ' or m'."""
    return Alteration(words, code, clause, (part,), stores=store)


def wide(x: Array) -> Array:
    """An array in its compute dtype."""
    with np.errstate(invalid="ignore"):  # a signalling bfloat16 NaN raises the flag
        return np.asarray(x, compute_dtype(x.dtype.name))


def decay(case: Case, dtype: np.dtype[Any]) -> Array:
    """λ ⊗ θ."""
    return np.asarray(dtype.type(case.weight_decay) * np.asarray(case.param, dtype))


def nan_to_zero(x: Array) -> Array:
    """NaNs taken for zeros."""
    return np.where(np.isnan(x), x.dtype.type(0), x)


def clamped(x: Array) -> Array:
    """Infinities taken for the largest number."""
    top = np.nextafter(np.array(np.inf, x.dtype), np.array(0, x.dtype))
    return np.where(np.isinf(x), np.copysign(top, x), x)


def finite(x: Array) -> Array:
    """As np.nan_to_num has it."""
    return clamped(nan_to_zero(x))


def zero_unless_finite(x: Array) -> Array:
    """NaNs and infinities taken for zeros."""
    return np.where(np.isfinite(x), x, x.dtype.type(0))


def without_subnormals(x: Array) -> Array:
    """Subnormals of the array's dtype taken for zeros."""
    smallest = 2.0**-14 if x.dtype.name == "float16" else np.finfo(wide(x).dtype).smallest_normal
    return np.where(np.abs(x) < smallest, np.copysign(x.dtype.type(0), x), x)


def without_last_bits(x: Array, count: int) -> Array:
    """Finite numbers without so many bits of their fraction."""
    kind = np.dtype(f"u{x.dtype.itemsize}")
    kept = kind.type((2 ** (8 * kind.itemsize) - 1) ^ ((1 << count) - 1))
    pattern = np.ascontiguousarray(x).view(kind)
    return np.where(np.isfinite(x), (pattern & kept).view(x.dtype), x)
