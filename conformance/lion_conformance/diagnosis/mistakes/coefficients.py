"""Mistakes in β1, β2 and their complements."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lion_conformance.cases.case import Case
from lion_conformance.diagnosis.mistakes.altered import Alteration, Coefficient
from lion_conformance.diagnosis.mistakes.builders import BOTH, MOMENTUM, SIGN, scalars
from lion_conformance.verdict.code import Code

Pair = Callable[[float, float], tuple[float, float]]
"""β and what stands for 1-β, from (β1, β2)."""


def alterations() -> Iterator[Alteration]:
    """What is wrong before m and g, in both interpolations or in one."""
    for words, code, in_sign, in_momentum, first, second in _TABLE:
        yield scalars(
            words,
            code,
            "C5",
            BOTH,
            {"beta1": _coefficient(first), "beta2": _coefficient(second)},
            {SIGN: in_sign, MOMENTUM: in_momentum},
        )


def _coefficient(pair: Pair) -> Callable[[Case], float]:
    return lambda case: Coefficient(*pair(case.beta1, case.beta2))


_TABLE: tuple[tuple[str, Code, str, str, Pair, Pair], ...] = (
    (
        "β1 and β2 are swapped",
        Code.BETAS_SWAPPED,
        "β2 is used for β1",
        "β1 is used for β2",
        lambda b1, b2: (b2, 1 - b2),
        lambda b1, b2: (b1, 1 - b1),
    ),
    (
        "1-β is missing before g",
        Code.COMPLEMENT_MISSING,
        "1-β1 is missing before g in c",
        "1-β2 is missing before g in m'",
        lambda b1, b2: (b1, 1.0),
        lambda b1, b2: (b2, 1.0),
    ),
    (
        "1-β1 and 1-β2 are swapped",
        Code.WRONG_COMPLEMENT,
        "1-β2 is used for 1-β1 in c",
        "1-β1 is used for 1-β2 in m'",
        lambda b1, b2: (b1, 1 - b2),
        lambda b1, b2: (b2, 1 - b1),
    ),
    (
        "β and 1-β are swapped",
        Code.WRONG_COMPLEMENT,
        "β1 and 1-β1 are swapped",
        "β2 and 1-β2 are swapped",
        lambda b1, b2: (1 - b1, b1),
        lambda b1, b2: (1 - b2, b2),
    ),
    (
        "β is missing before m",
        Code.COMPLEMENT_MISSING,
        "β1 is missing before m in c",
        "β2 is missing before m in m'",
        lambda b1, b2: (1.0, 1 - b1),
        lambda b1, b2: (1.0, 1 - b2),
    ),
    (
        "β and 1-β are missing: m + g",
        Code.COMPLEMENT_MISSING,
        "β1 and 1-β1 are missing: c = m + g",
        "β2 and 1-β2 are missing: m' = m + g",
        lambda b1, b2: (1.0, 1.0),
        lambda b1, b2: (1.0, 1.0),
    ),
    (
        "β is used for 1-β too",
        Code.WRONG_COMPLEMENT,
        "β1 is used for 1-β1 too",
        "β2 is used for 1-β2 too",
        lambda b1, b2: (b1, b1),
        lambda b1, b2: (b2, b2),
    ),
    (
        "β1 and β2 are swapped before m alone",
        Code.BETAS_SWAPPED,
        "β2 is used for β1, beside 1-β1",
        "β1 is used for β2, beside 1-β2",
        lambda b1, b2: (b2, 1 - b1),
        lambda b1, b2: (b1, 1 - b2),
    ),
    (
        "1+β is used for 1-β",
        Code.WRONG_COMPLEMENT,
        "1+β1 is used for 1-β1",
        "1+β2 is used for 1-β2",
        lambda b1, b2: (b1, 1 + b1),
        lambda b1, b2: (b2, 1 + b2),
    ),
    (
        "g is subtracted instead of added",
        Code.INPUT_NEGATED,
        "g is subtracted in c instead of added",
        "g is subtracted in m' instead of added",
        lambda b1, b2: (b1, b1 - 1),
        lambda b1, b2: (b2, b2 - 1),
    ),
    (
        "β is squared",
        Code.SCALAR_SCALED,
        "β1 is squared",
        "β2 is squared",
        lambda b1, b2: (b1 * b1, 1 - b1 * b1),
        lambda b1, b2: (b2 * b2, 1 - b2 * b2),
    ),
)
