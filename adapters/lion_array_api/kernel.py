"""The canonical update, one rounding a line, in an array-API namespace (SPEC C5)."""

from __future__ import annotations

from typing import Any

from lion_ref.hyperparameters import Scalars


def update(xp: Any, theta: Any, m: Any, g: Any, scalars: Scalars) -> tuple[Any, Any]:
    """(θ', m') of arrays in the compute dtype, and in it."""
    a = scalars.beta1 * m
    b = scalars.one_minus_beta1 * g
    c = a + b
    u = _sign(xp, c)
    d = scalars.weight_decay * theta
    s = u + d
    e = scalars.lr * s
    new_param = theta - e
    x = scalars.beta2 * m
    y = scalars.one_minus_beta2 * g
    return new_param, x + y


def _sign(xp: Any, c: Any) -> Any:
    """Compares: JAX's sign(-0) is -0, PyTorch's own sign(NaN) is 0."""
    sign = xp.astype(c > 0, c.dtype) - xp.astype(c < 0, c.dtype)
    return xp.where(xp.isnan(c), c, sign)
