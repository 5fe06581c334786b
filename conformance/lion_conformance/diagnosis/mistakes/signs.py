"""Mistakes in u: the sign at 0, NaN and infinity, no sign at all, no step where it disagrees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.diagnosis.mistakes.altered import Alteration
from lion_conformance.diagnosis.mistakes.builders import NARROW, Change, decay, signs, wide
from lion_conformance.verdict.code import Code
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array, round_to

Sign = Callable[[Array, Array, Case], Array]


def alterations() -> Iterator[Alteration]:
    """What u may be instead of sign(c)."""
    yield signs(
        "u has the wrong sign: the step goes up the gradient", Code.STEP_GOES_UP, "C1", _opposite
    )
    yield signs(
        "no step is taken: u is 0",
        Code.SIGN_REPLACED,
        "C1",
        lambda c, u, case: 0 * np.nan_to_num(u),
    )
    for name, code, at in (
        ("0", Code.SIGN_OF_ZERO, _is_zero),
        ("NaN", Code.SIGN_OF_NON_FINITE, np.isnan),
        ("±∞", Code.SIGN_OF_NON_FINITE, np.isinf),
    ):
        for value, made in _VALUES:
            if (name, value) not in _RIGHT:
                yield signs(f"sign({name}) is {value}", code, "C7", _at(at, made))
    for words, code, formula in _OF_C:
        yield signs(words, code, "C7", _of_c(formula))
    for words, where in _DISAGREE:
        yield signs(f"no step is taken {words}", Code.CAUTIOUS_STEP, "C7", _none_where(where))
    yield signs(
        "λ·θ is added to c, inside the sign",
        Code.DECAY_IN_SIGN,
        "C10",
        lambda c, u, case: np.sign(c + decay(case, c.dtype)),
    )
    for name in NARROW:
        words = f"c is rounded to {name} before its sign is taken"
        rounded = signs(words, Code.ROUNDED_IN_BETWEEN, "C7", _through(name))
        yield replace(rounded, rounds=True)


def _is_zero(c: Array) -> Array:
    return np.asarray(c == 0)


def _by_bit(c: Array) -> Array:
    return np.copysign(np.ones_like(c), c)


def _nan(c: Array) -> Array:
    return np.full_like(c, np.nan)


def _at(where: Change, value: Change) -> Sign:
    return lambda c, u, case: np.where(where(c), value(c), u)


def _of_c(formula: Change) -> Sign:
    return lambda c, u, case: formula(c)


def _none_where(where: Callable[[Array, Case], Array]) -> Sign:
    return lambda c, u, case: np.where(where(u, case), u.dtype.type(0), u)


def _opposite(_: Array, u: Array, __: Case) -> Array:
    return np.where(u == 0, u, -u)


def _through(name: str) -> Sign:
    dtype = STORAGE_DTYPES[name]

    def sign(c: Array, _: Array, __: Case) -> Array:
        return np.asarray(np.sign(wide(round_to(wide(c), dtype)).astype(c.dtype)))

    return sign


_VALUES: tuple[tuple[str, Change], ...] = (
    ("+1", np.ones_like),
    ("-1", lambda c: -np.ones_like(c)),
    ("±1, by its sign bit", _by_bit),
    ("0", np.zeros_like),
    ("NaN", _nan),
)
_RIGHT = {
    ("0", "0"),
    ("NaN", "NaN"),
    ("NaN", "0"),
    ("±∞", "±1, by its sign bit"),
    ("±∞", "+1"),
    ("±∞", "-1"),
}
"""What is no mistake, or is a row of SPEC C16, or is in no port."""

_OF_C: tuple[tuple[str, Code, Change], ...] = (
    (
        "u is +1 where c > 0, else -1: so at 0 and NaN too",
        Code.SIGN_OF_ZERO,
        lambda c: np.where(c > 0, 1, -1),
    ),
    (
        "u is -1 where c < 0, else +1: so at 0 and NaN too",
        Code.SIGN_OF_ZERO,
        lambda c: np.where(c < 0, -1, 1),
    ),
    (
        "u is +1 where c ≥ 0, else -1: so at NaN too",
        Code.SIGN_OF_ZERO,
        lambda c: np.where(c >= 0, 1, -1),
    ),
    ("u is ±1 by the sign bit of c, at 0 and NaN too", Code.SIGN_OF_ZERO, _by_bit),
    (
        "sign(0) is ±1, by its sign bit, and sign(NaN) is 0",
        Code.SIGN_OF_ZERO,
        lambda c: np.where(np.isnan(c), 0, _by_bit(c)),
    ),
    (
        "sign(0) is +1, and sign(NaN) is 0",
        Code.SIGN_OF_ZERO,
        lambda c: (c >= 0) * 1.0 - (c < 0) * 1.0,
    ),
    (
        "sign(0) is -1, and sign(NaN) is 0",
        Code.SIGN_OF_ZERO,
        lambda c: (c > 0) * 1.0 - (c <= 0) * 1.0,
    ),
    ("u = c / |c|, which is NaN at 0 and ±∞", Code.SIGN_OF_ZERO, lambda c: c / np.abs(c)),
    ("u is c itself", Code.SIGN_REPLACED, lambda c: c),
    ("u is c, clamped to [-1, 1]", Code.SIGN_REPLACED, lambda c: np.clip(c, -1, 1)),
    ("u is never negative", Code.SIGN_REPLACED, lambda c: np.maximum(np.sign(c), 0)),
)

_DISAGREE: tuple[tuple[str, Callable[[Array, Case], Array]], ...] = (
    ("where u and g disagree in sign", lambda u, case: u * np.sign(wide(case.grad)) < 0),
    ("unless u and g agree in sign", lambda u, case: u * np.sign(wide(case.grad)) <= 0),
    ("where u and m disagree in sign", lambda u, case: u * np.sign(wide(case.momentum)) < 0),
    ("unless m and g agree in sign", lambda u, case: wide(case.momentum) * wide(case.grad) <= 0),
)
