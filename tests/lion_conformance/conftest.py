"""Ports to judge: right ones, and the deliberately wrong ones that must not pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lion_ref
from lion_ref import Semantics

Step = Callable[..., Any]


def betas_swapped(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    swapped = scalars | {"beta1": scalars["beta2"], "beta2": scalars["beta1"]}
    return lion_ref.step(param, momentum, grad, **swapped)


def new_momentum_in_the_sign(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    _, new_momentum = lion_ref.step(param, momentum, grad, **scalars)
    return lion_ref.step(param, new_momentum, grad, **scalars)[0], new_momentum


def decay_unscaled(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return lion_ref.step(param, momentum, grad, **scalars, semantics=Semantics(decay="unscaled"))


def decay_coupled(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return lion_ref.step(param, momentum, grad, **scalars, semantics=Semantics(decay="coupled"))


def tail_left_out(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    new_param, new_momentum = lion_ref.step(param, momentum, grad, **scalars)
    tail = param.size % 4
    if tail:
        new_param.reshape(-1)[-tail:] = param.reshape(-1)[-tail:]
    return new_param, new_momentum


def parameters_unchanged(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return param.copy(), lion_ref.step(param, momentum, grad, **scalars)[1]


def sign_of_zero_is_one(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    new_param, new_momentum = lion_ref.step(param, momentum, grad, **scalars)
    still = (momentum == 0) & (grad == 0)
    moved, _ = lion_ref.step(param, np.ones_like(momentum), np.ones_like(grad), **scalars)
    return np.where(still, moved, new_param), new_momentum


def half_precision_momentum(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    new_param, new_momentum = lion_ref.step(param, momentum, grad, **scalars)
    with np.errstate(all="ignore"):
        return new_param, new_momentum.astype(np.float16).astype(momentum.dtype)


def learning_rate_in_bfloat16(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    import ml_dtypes

    rounded = float(ml_dtypes.bfloat16(scalars["lr"]))
    return lion_ref.step(param, momentum, grad, **scalars | {"lr": rounded})


WRONG: tuple[Step, ...] = (
    betas_swapped,
    new_momentum_in_the_sign,
    decay_unscaled,
    decay_coupled,
    tail_left_out,
    parameters_unchanged,
    sign_of_zero_is_one,
    half_precision_momentum,
    learning_rate_in_bfloat16,
)


@pytest.fixture(params=WRONG, ids=lambda step: step.__name__)
def wrong(request: pytest.FixtureRequest) -> Step:
    """Each wrong port in turn."""
    step: Step = request.param
    return step
