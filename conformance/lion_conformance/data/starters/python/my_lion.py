"""A Lion in NumPy. Put your own in the place of `step`."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def step(
    param: Array,
    momentum: Array,
    grad: Array,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
) -> tuple[Array, Array]:
    """One step of Lion: the new parameters and the new momentum, as new arrays.

    Computed in float32, in float64 for float64 parameters; every line is one rounding.
    """
    real: Any = np.float64 if param.dtype == np.float64 else np.float32
    theta, m, g = (x.astype(real) for x in (param, momentum, grad))
    # 1 - beta is formed in double precision; then each scalar is rounded once.
    eta, decay = real(lr), real(weight_decay)
    b1, b2, w1, w2 = real(beta1), real(beta2), real(1 - beta1), real(1 - beta2)
    a = b1 * m
    b = w1 * g
    u = np.sign(a + b)
    d = decay * theta
    s = u + d
    e = eta * s
    x = b2 * m
    y = w2 * g
    return (theta - e).astype(param.dtype), (x + y).astype(momentum.dtype)
