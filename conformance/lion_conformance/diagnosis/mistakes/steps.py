"""Mistakes in θ': η and λ, their product, the decay of what and how often."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

import lion_ref
from lion_conformance.cases.case import Case
from lion_conformance.diagnosis.mistakes.altered import Alteration
from lion_conformance.diagnosis.mistakes.builders import (
    MOMENTUM,
    STEP,
    arrays,
    scalars,
    stores,
    wide,
)
from lion_conformance.verdict.code import Code
from lion_ref.arithmetic import Array

Scalar = Callable[[Case], float]

_DECAYS: tuple[tuple[str, Code, Scalar], ...] = (
    ("the decay is left out: λ is not used", Code.DECAY_LEFT_OUT, lambda case: 0.0),
    ("the decay is doubled: 2·λ", Code.DECAY_SCALED, lambda case: 2 * case.weight_decay),
    ("the decay is halved: λ/2", Code.DECAY_SCALED, lambda case: case.weight_decay / 2),
    ("the decay has the wrong sign: θ grows", Code.DECAY_SCALED, lambda case: -case.weight_decay),
    (
        "the decay is scaled by η twice: η²·λ·θ",
        Code.DECAY_SCALED_TWICE,
        lambda case: case.lr * case.weight_decay,
    ),
    (
        "the decay is not scaled by η: λ·θ, not η·λ·θ",
        Code.DECAY_NOT_SCALED,
        lambda case: case.weight_decay / case.lr if case.lr else np.inf,
    ),
    ("λ is squared", Code.DECAY_SCALED, lambda case: case.weight_decay**2),
    (
        "the decay is scaled by 1-β1",
        Code.DECAY_SCALED,
        lambda case: (1 - case.beta1) * case.weight_decay,
    ),
    (
        "the decay is scaled by 1-β2",
        Code.DECAY_SCALED,
        lambda case: (1 - case.beta2) * case.weight_decay,
    ),
    ("η is used for λ", Code.LEARNING_RATE_AND_DECAY_SWAPPED, lambda case: case.lr),
)

_RATES: tuple[tuple[str, Code, Scalar], ...] = (
    ("λ is used for η", Code.LEARNING_RATE_AND_DECAY_SWAPPED, lambda case: case.weight_decay),
    ("η is not used: the step is 1", Code.STEP_NOT_SCALED, lambda case: 1.0),
    ("the step has the wrong sign: it is added to θ", Code.STEP_GOES_UP, lambda case: -case.lr),
    ("η is squared", Code.SCALAR_SCALED, lambda case: case.lr**2),
    ("the root of η is used for it", Code.SCALAR_SCALED, lambda case: case.lr**0.5),
)


def none_taken() -> Iterator[Alteration]:
    """What is left as it was."""
    yield stores("θ is not updated: θ' = θ", Code.NOT_UPDATED, "C1", STEP, _old)
    words = "the momentum is not updated: m' = m"
    yield stores(words, Code.NOT_UPDATED, "C1", MOMENTUM, _old)


def alterations() -> Iterator[Alteration]:
    """What θ' may be made of."""
    for words, code, change in _DECAYS:
        yield scalars(words, code, "C10", (STEP,), {"weight_decay": change})
    for words, code, change in _RATES:
        yield scalars(words, code, "C1", (STEP,), {"lr": change})
    yield scalars(
        "η and λ are swapped",
        Code.LEARNING_RATE_AND_DECAY_SWAPPED,
        "C5",
        (STEP,),
        {"lr": lambda x: x.weight_decay, "weight_decay": lambda x: x.lr},
    )
    yield scalars(
        "η multiplies the decay alone, not u",
        Code.STEP_NOT_SCALED,
        "C1",
        (STEP,),
        {"lr": lambda x: 1.0, "weight_decay": lambda x: x.lr * x.weight_decay},
    )
    words = "θ decays twice: before the step, and in it"
    yield arrays(words, Code.DECAY_TWICE, "C10", (STEP,), {"param": _decayed})
    yield Alteration(
        "the decay is of the moved θ: (θ - η·u)·(1-ηλ)",
        Code.DECAY_AFTER_STEP,
        "C10",
        (STEP,),
        sees=lambda case, _: replace(case, weight_decay=0.0),
        stores=_decayed_later,
    )
    for words, of in (
        ("λ·sign(θ) is the decay, not λ·θ", lambda case: np.sign(wide(case.param))),
        ("the decay is λ·m, not λ·θ", lambda case: wide(case.momentum)),
        ("the decay is λ·g, not λ·θ", lambda case: wide(case.grad)),
    ):
        yield _decay_of(words, of)


def _old(_: Array, old: Array, __: Case) -> Array:
    return old


def _decayed_later(moved: Array, _: Array, case: Case) -> Array:
    wide_moved = np.asarray(moved, np.float64)
    return wide_moved - case.lr * case.weight_decay * wide_moved


def _decayed(case: Case) -> Array:
    still = np.zeros_like(case.momentum), np.zeros_like(case.grad)
    legal = replace(case, beta1=0.0, beta2=0.0)
    return lion_ref.step(case.param, *still, **legal.scalars)[0]


def _decay_of(words: str, of: Callable[[Case], Array]) -> Alteration:
    """Another decay than that of θ, in the place of λ·θ."""
    return Alteration(
        words,
        Code.DECAY_OF_ANOTHER_ARRAY,
        "C10",
        (STEP,),
        sees=lambda case, _: replace(case, weight_decay=0.0),
        sign=lambda c, u, case: u + u.dtype.type(case.weight_decay) * of(case),
    )
