"""Mistakes in what m and g are: left out, of the wrong sign, cleaned, centred, the new momentum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.diagnosis.mistakes.altered import Alteration, Kept
from lion_conformance.diagnosis.mistakes.builders import (
    BOTH,
    MOMENTUM,
    SIGN,
    Change,
    arrays,
    clamped,
    decay,
    finite,
    nan_to_zero,
    wide,
    without_subnormals,
    zero_unless_finite,
)
from lion_conformance.verdict.code import Code
from lion_ref.arithmetic import Array

_CHANGES: tuple[tuple[str, Code, str, Change], ...] = (
    ("{} has the wrong sign", Code.INPUT_NEGATED, "C5", np.negative),
    (
        "sign({0}) is used for {0}",
        Code.SIGN_OR_SIZE_LOST,
        "C5",
        lambda x: np.sign(wide(x)),
    ),
    ("|{0}| is used for {0}", Code.SIGN_OR_SIZE_LOST, "C5", np.abs),
    ("a NaN in {} is taken for 0", Code.NON_FINITE_CLEANED, "C11", nan_to_zero),
    (
        "a NaN in {} is taken for 0, and ±∞ for the largest number",
        Code.NON_FINITE_CLEANED,
        "C11",
        finite,
    ),
    ("±∞ in {} is taken for the largest number", Code.NON_FINITE_CLEANED, "C11", clamped),
    (
        "±∞ in {} is taken for 0",
        Code.NON_FINITE_CLEANED,
        "C11",
        lambda x: np.where(np.isinf(x), x.dtype.type(0), x),
    ),
    (
        "what is not finite in {} is taken for 0",
        Code.NON_FINITE_CLEANED,
        "C11",
        zero_unless_finite,
    ),
    ("a subnormal {} is taken for 0", Code.SUBNORMALS_LOST, "C6", without_subnormals),
)

_MEANS: tuple[tuple[str, Change], ...] = (
    ("the mean of g is taken off it", lambda x: x - x.mean()),
    ("the mean of g along its first axis is taken off it", lambda x: x - x.mean(0, keepdims=True)),
    ("the mean of g along its last axis is taken off it", lambda x: x - x.mean(-1, keepdims=True)),
)


def alterations() -> Iterator[Alteration]:
    """What c and m' may see in the place of m and g."""
    yield Alteration(
        "u is formed from the new momentum m'",
        Code.NEW_MOMENTUM_IN_SIGN,
        "C8",
        (SIGN,),
        sees=_of_new_momentum,
    )
    yield Alteration(
        "the momentum is updated twice",
        Code.MOMENTUM_UPDATED_TWICE,
        "C5",
        (MOMENTUM,),
        sees=_of_new_momentum,
    )
    for name, symbol, other, left in (
        ("grad", "g", "m", Code.GRADIENT_LEFT_OUT),
        ("momentum", "m", "g", Code.MOMENTUM_LEFT_OUT),
    ):
        left_out = {
            SIGN: f"u = sign({other}): {symbol} is left out of c",
            MOMENTUM: f"{symbol} is left out of m'",
        }
        made = {name: _changed(name, np.zeros_like)}
        yield arrays(f"{symbol} is left out", left, "C5", BOTH, made, left_out)
        for words, code, clause, change in _CHANGES:
            yield arrays(words.format(symbol), code, clause, BOTH, {name: _changed(name, change)})
    yield arrays(
        "m and g are swapped",
        Code.WRONG_COMPLEMENT,
        "C5",
        BOTH,
        {"momentum": lambda case: wide(case.grad), "grad": lambda case: wide(case.momentum)},
        held=False,
    )
    yield Alteration(
        "λ·θ is added to g in c, and not in m'",
        Code.DECAY_IN_SIGN,
        "C10",
        (SIGN,),
        sees=lambda case, _: replace(case, grad=_with_decay(case)),
    )
    for words, mean in _MEANS:
        made = {"grad": _changed("grad", _of_axes(mean))}
        yield arrays(words, Code.GRADIENT_NORMALISED, "C12", BOTH, made, whole=True)


def _of_new_momentum(case: Case, kept: Kept) -> Case:
    return replace(case, momentum=kept(case))


def _changed(name: str, change: Change) -> Callable[[Case], Array]:
    return lambda case: change(getattr(case, name))


def _of_axes(mean: Change) -> Change:
    return lambda x: mean(wide(x)) if x.ndim else x


def _with_decay(case: Case) -> Array:
    return wide(case.grad) + decay(case, wide(case.grad).dtype)
