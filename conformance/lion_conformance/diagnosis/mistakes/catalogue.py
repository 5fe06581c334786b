"""The catalogue of mistakes: each one deviation from the update, with the clause that it breaks.

Those here need no measuring; `measured` has those with a number of their own, as a limit to which
the gradient is clipped.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from lion_conformance.diagnosis.mistakes import (
    coefficients,
    inputs,
    narrowing,
    signs,
    steps,
    stored,
)
from lion_conformance.diagnosis.mistakes.altered import Alteration


@lru_cache(maxsize=1)
def catalogue() -> tuple[Alteration, ...]:
    """All of them, the plainest first; roundings last.

    >>> catalogue()[0].words
    "θ is not updated: θ' = θ"
    """
    formulas = (coefficients, inputs, signs, steps)
    roundings = (stored, narrowing)
    return (
        *steps.none_taken(),
        *(one for module in formulas for one in module.alterations()),
        *(replace(one, rounds=True) for module in roundings for one in module.alterations()),
    )
