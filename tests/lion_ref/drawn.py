"""Semantics drawn at random."""

from __future__ import annotations

from typing import Any

import numpy as np

from lion_ref import Semantics
from lion_ref.semantics import choices


def random_semantics(rng: np.random.Generator, **fixed: Any) -> Semantics:
    """A legal one that is a rounding of Lion; each choice is canonical half of the time."""
    while True:
        drawn = {
            name: options[rng.integers(len(options))] if rng.random() < 0.5 else options[0]
            for name, options in choices().items()
        }
        try:
            semantics = Semantics(**(drawn | fixed))
        except ValueError:  # a combination without a meaning
            continue
        if not semantics.is_other_algorithm:
            return semantics
