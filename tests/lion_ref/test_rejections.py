"""A catalogue of wrong updates, each of which the accepted set refuses (SPEC C23 to C27).

The wrong updates are computed in float64 and rounded once, so that nothing but the mistake is
wrong with them; the right one, computed in the same way, is accepted everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lion_ref import STORAGE_DTYPES, accepts, step
from lion_ref.acceptance import Reason, judge
from lion_ref.arithmetic import Array

Result = tuple[Array, Array]
Update = Any  # (θ, m, g, lr, b1, b2, wd) -> (θ', m') in float64


def f32(x: float) -> Array:
    return np.array([x], dtype=np.float32)


LR, BETA1, BETA2, DECAY = 2.0**-4, 0.9, 0.99, 0.5


def lion(
    t: Array, m: Array, g: Array, lr: float, b1: float, b2: float, wd: float, *, sign: Any = np.sign
) -> Result:
    return t - lr * (sign(b1 * m + (1 - b1) * g) + wd * t), b2 * m + (1 - b2) * g


def swapped_betas(
    t: Array, m: Array, g: Array, lr: float, b1: float, b2: float, wd: float
) -> Result:
    return lion(t, m, g, lr, b2, b1, wd)


def new_momentum_in_the_sign(
    t: Array, m: Array, g: Array, lr: float, b1: float, b2: float, wd: float
) -> Result:
    new_m = b2 * m + (1 - b2) * g
    return t - lr * (np.sign(b1 * new_m + (1 - b1) * g) + wd * t), new_m


def sign_of_the_momentum(
    t: Array, m: Array, g: Array, lr: float, b1: float, b2: float, wd: float
) -> Result:
    return t - lr * (np.sign(m) + wd * t), b2 * m + (1 - b2) * g


def decay_coupled(
    t: Array, m: Array, g: Array, lr: float, b1: float, b2: float, wd: float
) -> Result:
    return lion(t, m, g + wd * t, lr, b1, b2, 0.0)


def scaled_decay(scale: float) -> Update:
    return lambda t, m, g, lr, b1, b2, wd: lion(t, m, g, lr, b1, b2, scale * wd)


def with_sign(sign: Callable[[Array], Array]) -> Update:
    return lambda *args: lion(*args, sign=sign)


def soft_sign(c: Array) -> Array:
    return np.asarray(c / (np.abs(c) + 1e-3))


def decay_after_the_step(
    t: Array, m: Array, g: Array, lr: float, b1: float, b2: float, wd: float
) -> Result:
    stepped, new_m = lion(t, m, g, lr, b1, b2, 0.0)
    return stepped * (1 - lr * wd), new_m


def momentum_unchanged(
    t: Array, m: Array, g: Array, lr: float, b1: float, b2: float, wd: float
) -> Result:
    return lion(t, m, g, lr, b1, b2, wd)[0], m


def param_unchanged(
    t: Array, m: Array, g: Array, lr: float, b1: float, b2: float, wd: float
) -> Result:
    return t, lion(t, m, g, lr, b1, b2, wd)[1]


# name: the update; the output that is wrong; the least share of elements refused
WRONG: dict[str, tuple[Update, int, float]] = {
    "betas swapped, in m'": (swapped_betas, 1, 0.99),
    "betas swapped, in θ'": (swapped_betas, 0, 0.02),
    "the new momentum in the sign": (new_momentum_in_the_sign, 0, 0.001),
    "the sign of the momentum alone": (sign_of_the_momentum, 0, 0.02),
    "decay coupled, in θ'": (decay_coupled, 0, 0.9),
    "decay coupled, in m'": (decay_coupled, 1, 0.9),
    "decay not scaled by η": (scaled_decay(1 / LR), 0, 0.9),
    "decay doubled": (scaled_decay(2.0), 0, 0.9),
    "decay of the wrong sign": (scaled_decay(-1.0), 0, 0.9),
    "no decay": (scaled_decay(0.0), 0, 0.9),
    "decay after the step": (decay_after_the_step, 0, 0.9),
    "a soft sign": (with_sign(soft_sign), 0, 0.01),
    "the opposite sign": (with_sign(lambda c: -np.sign(c)), 0, 0.99),
    "half a step": (with_sign(lambda c: 0.5 * np.sign(c)), 0, 0.99),
    "no sign at all": (with_sign(lambda c: c), 0, 0.9),
    "momentum unchanged": (momentum_unchanged, 1, 0.9),
    "parameter unchanged": (param_unchanged, 0, 0.9),
}


def rounded(results: Result, arrays: list[Array]) -> Result:
    theta, m, _ = arrays
    return results[0].astype(theta.dtype), results[1].astype(m.dtype)


def ordinary(name: str) -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(4000).astype(STORAGE_DTYPES[name]) for _ in range(3)]


def shares_refused(update: Update, name: str) -> list[float]:
    arrays = ordinary(name)
    exact = update(*(x.astype(np.float64) for x in arrays), LR, BETA1, BETA2, DECAY)
    port = rounded(exact, arrays)
    given_and_got: Any = (*arrays, *port)
    accepted = accepts(*given_and_got, lr=LR, beta1=BETA1, beta2=BETA2, weight_decay=DECAY)
    return [float((~part).mean()) for part in accepted]


@pytest.mark.clause("C23", "C24", "C25", "C26")
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", ["float32", "float64"])
def test_a_wrong_update_is_refused(wrong: str, name: str) -> None:
    update, output, share = WRONG[wrong]
    assert shares_refused(update, name)[output] >= share


@pytest.mark.clause("C23", "C24", "C25", "C26")
@pytest.mark.parametrize("name", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    "wrong", ["the opposite sign", "half a step", "betas swapped, in m'", "betas swapped, in θ'"]
)
def test_a_wrong_update_is_refused_in_half_precision(wrong: str, name: str) -> None:
    """Where the arithmetic may be the storage dtype's the sets are wide; these are wider."""
    update, output, _ = WRONG[wrong]
    assert shares_refused(update, name)[output] > 0.01


@pytest.mark.clause("C23")
@pytest.mark.parametrize("name", STORAGE_DTYPES)
def test_the_right_update_is_accepted(name: str) -> None:
    assert shares_refused(lion, name) == [0.0, 0.0]


@pytest.mark.clause("C7", "C24")
@pytest.mark.parametrize("theta", [0.0, -0.0, 1.0])
@pytest.mark.parametrize("step_taken", [-0.5, 0.5])
def test_sign_of_zero_is_zero(theta: float, step_taken: float) -> None:
    zero = f32(0.0)
    param = f32(theta)
    moved = param + np.float32(step_taken)
    judgement = judge(param, zero, zero, moved, zero, lr=0.5)
    assert judgement.param.reasons == [Reason.OUTSIDE]
    assert judge(param, zero, zero, param, zero, lr=0.5).param.reasons == [Reason.SAME]


@pytest.mark.clause("C26", "C27")
@pytest.mark.parametrize(
    ("m", "g", "returned"),
    [
        (np.nan, 1.0, 0.0),  # NaN replaced, as nan_to_num does
        (np.nan, 1.0, 0.01),
        (1.0, np.nan, 0.99),
        (np.inf, 1.0, 3.4028235e38),  # infinity replaced
        (np.inf, 1.0, -np.inf),
        (-np.inf, 1.0, np.inf),
        (1.0, np.inf, 0.99),
        (1.0, 1.0, np.nan),  # and brought in
        (1.0, 1.0, np.inf),
    ],
)
def test_a_momentum_that_is_not_finite_is_neither_lost_nor_made(
    m: float, g: float, returned: float
) -> None:
    theta, mm, gg = (f32(x) for x in (1.0, m, g))
    expected = step(theta, mm, gg, lr=0.5)
    judgement = judge(theta, mm, gg, expected[0], f32(returned), lr=0.5)
    assert judgement.momentum.reasons == [Reason.OUTSIDE]


@pytest.mark.clause("C27")
@pytest.mark.parametrize(
    ("inputs", "returned"),
    [
        ((np.nan, 0, 1), 0.0),
        ((np.inf, 0, 1), 0.5),
        ((np.inf, 0, 1), -np.inf),
        ((1, np.inf, 1), 1.5),  # a step against the sign of an infinite momentum
        ((1, np.nan, 1), 0.5),  # a step although the sign is NaN
        ((1, 1, 1), np.nan),
        ((1, 1, 1), -np.inf),
    ],
)
def test_a_parameter_is_judged_beside_infinities(
    inputs: tuple[float, float, float], returned: float
) -> None:
    arrays: Any = tuple(f32(x) for x in inputs)
    expected = step(*arrays, lr=0.5)
    judgement = judge(*(*arrays, f32(returned), expected[1]), lr=0.5)
    assert judgement.param.reasons == [Reason.OUTSIDE]
