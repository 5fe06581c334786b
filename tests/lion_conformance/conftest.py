"""Ports to judge: the deliberately wrong ones that every check of a port must reject."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.lion_conformance.mutants import algebra, decay, memory, rounding, scalars, sign

Step = Callable[..., Any]

WRONG: tuple[Step, ...] = (
    algebra.betas_swapped,
    algebra.new_momentum_in_the_sign,
    algebra.parameters_unchanged,
    decay.decay_unscaled,
    decay.decay_coupled,
    memory.tail_left_out,
    rounding.half_precision_momentum,
    scalars.learning_rate_in_bfloat16,
    sign.sign_of_zero_is_one,
)
"""One of each kind; the catalogue under mutants/ has the rest."""


@pytest.fixture(params=WRONG, ids=lambda step: step.__name__)
def wrong(request: pytest.FixtureRequest) -> Step:
    """Each wrong port in turn."""
    step: Step = request.param
    return step
