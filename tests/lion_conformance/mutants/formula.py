"""The update spelled out, with places where a mutant puts its own operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lion_ref.arithmetic import Array, round_to


def same(array: Any) -> Any:
    return array


def lion(
    param: Array,
    momentum: Array,
    grad: Array,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    sign: Callable[[Any], Any] = np.sign,
    load: Callable[[Array], Any] = same,
    op: Callable[[Any], Any] = same,
    store: Callable[[Any, Any], Array] = round_to,
    compute: Any = None,
    form: Callable[[float], Any] = lambda beta: 1 - beta,
) -> tuple[Array, Array]:
    """SPEC C5: inputs go through load, each result through op, what is stored through store."""
    kind = np.dtype(compute or (np.float64 if param.dtype == np.float64 else np.float32)).type
    with np.errstate(all="ignore"):
        theta, m, g = (load(np.asarray(x, kind)) for x in (param, momentum, grad))
        c = op(op(kind(beta1) * m) + op(kind(form(beta1)) * g))
        s = op(sign(c) + op(kind(weight_decay) * theta))
        new_theta = op(theta - op(kind(lr) * s))
        new_m = op(op(kind(beta2) * m) + op(kind(form(beta2)) * g))
        return store(np.asarray(new_theta), param.dtype), store(np.asarray(new_m), momentum.dtype)


def lion_with_sign(sign: Callable[[Any], Any]) -> Callable[..., Any]:
    """A port with another sign."""

    def port(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        return lion(param, momentum, grad, sign=sign, **scalars)

    return port
