"""Lion as people write it with NumPy: right, wrong, and in ways that cannot be traced."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

Step = Callable[..., Any]


def plain(
    param: Any, momentum: Any, grad: Any, *, lr: Any, beta1: Any, beta2: Any, weight_decay: Any
) -> Any:
    c = beta1 * momentum + (1 - beta1) * grad
    new_param = param - lr * (np.sign(c) + weight_decay * param)
    return new_param, beta2 * momentum + (1 - beta2) * grad


def in_place(
    param: Any, momentum: Any, grad: Any, *, lr: Any, beta1: Any, beta2: Any, weight_decay: Any
) -> Any:
    c = np.multiply(momentum, beta1)
    np.add(c, (1.0 - beta1) * grad, out=c)
    step = np.empty_like(param)
    np.multiply(param, weight_decay, out=step)
    step += np.sign(c)
    step *= lr
    kept = momentum.copy()
    kept *= beta2
    kept += (1.0 - beta2) * grad
    return param - step, kept


def by_masks(
    param: Any, momentum: Any, grad: Any, *, lr: Any, beta1: Any, beta2: Any, weight_decay: Any
) -> Any:
    c = np.float32(beta1) * momentum + np.float32(1 - beta1) * grad
    u = np.zeros(c.shape, dtype=np.float32)
    u[c > 0] = 1
    u[c < 0] = -1
    np.copyto(u, np.nan, where=np.isnan(c))
    return (
        param - np.float32(lr) * (u + np.float32(weight_decay) * param),
        np.float32(beta2) * momentum + np.float32(1 - beta2) * grad,
    )


def by_where(
    param: Any, momentum: Any, grad: Any, *, lr: Any, beta1: Any, beta2: Any, weight_decay: Any
) -> Any:
    kind = param.dtype.type
    c = kind(beta1) * momentum + kind(1 - beta1) * grad
    u = np.where(c > 0, kind(1), np.where(c < 0, kind(-1), kind(0)))
    u = np.where(np.isnan(c), c, u)
    new = param - kind(lr) * (u + kind(weight_decay) * param)
    return new, kind(beta2) * momentum + kind(1 - beta2) * grad


def by_copysign(
    param: Any, momentum: Any, grad: Any, *, lr: Any, beta1: Any, beta2: Any, weight_decay: Any
) -> Any:
    c = beta1 * momentum + (1 - beta1) * grad
    one = np.ones_like(c)
    u = np.where((c == 0) | np.isnan(c), c + 0.0, np.copysign(one, c))
    return param - lr * (u + weight_decay * param), beta2 * momentum + (1 - beta2) * grad


def by_truths(
    param: Any, momentum: Any, grad: Any, *, lr: Any, beta1: Any, beta2: Any, weight_decay: Any
) -> Any:
    c = beta1 * momentum + (1 - beta1) * grad
    u = (c > 0).astype(c.dtype) - (c < 0).astype(c.dtype)
    u = np.where(np.isnan(c), c, u)
    return param - lr * (u + weight_decay * param), beta2 * momentum + (1 - beta2) * grad


def by_bits(
    param: Any, momentum: Any, grad: Any, *, lr: Any, beta1: Any, beta2: Any, weight_decay: Any
) -> Any:
    c = beta1 * momentum + (1 - beta1) * grad
    sign = c.view(np.uint32) & np.uint32(0x80000000)
    one = (sign | np.uint32(0x3F800000)).view(np.float32)
    u = np.where(c != 0, one, np.float32(0))
    u = np.where(np.isnan(c), c, u)
    return param - lr * (u + weight_decay * param), beta2 * momentum + (1 - beta2) * grad


def checked(
    param: Any, momentum: Any, grad: Any, *, lr: Any, beta1: Any, beta2: Any, weight_decay: Any
) -> Any:
    if not isinstance(lr, (int, float)) or not math.isfinite(lr) or lr < 0:
        raise ValueError(lr)
    for beta in (beta1, beta2):
        if not 0.0 <= float(beta) < 1.0:
            raise ValueError(beta)
    param, momentum, grad = (np.ascontiguousarray(x) for x in (param, momentum, grad))
    flat = param.reshape(-1)
    assert isinstance(flat, np.ndarray)
    with np.errstate(all="ignore"):
        return plain(
            flat, momentum, grad, lr=lr, beta1=beta1, beta2=beta2, weight_decay=weight_decay
        )


def widened(
    param: Any, momentum: Any, grad: Any, *, lr: Any, beta1: Any, beta2: Any, weight_decay: Any
) -> Any:
    theta, m, g = (np.asarray(x, dtype=np.float32) for x in (param, momentum, grad))
    lr, weight_decay = np.float32(lr), np.float32(weight_decay)
    c = np.float32(beta1) * m + np.float32(1 - beta1) * g
    theta = theta - lr * (np.sign(c) + weight_decay * theta)
    m = np.float32(beta2) * m + np.float32(1 - beta2) * g
    return theta.astype(param.dtype), m.astype(momentum.dtype)


RIGHT: tuple[Step, ...] = (
    *(plain, in_place, by_masks, by_where, by_copysign, by_truths, by_bits, checked, widened),
    functools.partial(plain),
)


def in_bfloat16(
    param: Any, momentum: Any, grad: Any, *, lr: Any, beta1: Any, beta2: Any, weight_decay: Any
) -> Any:
    kind = ml_dtypes.bfloat16
    c = kind(beta1) * momentum + kind(1 - beta1) * grad
    new = param - kind(lr) * (np.sign(c) + kind(weight_decay) * param)
    return new, kind(beta2) * momentum + kind(1 - beta2) * grad


def decayed_if(
    param: Any, momentum: Any, grad: Any, *, lr: Any, beta1: Any, beta2: Any, weight_decay: Any
) -> Any:
    c = beta1 * momentum + (1 - beta1) * grad
    new = param * (1 - lr * weight_decay) if weight_decay != 0 else param
    return new - lr * np.sign(c), beta2 * momentum + (1 - beta2) * grad


def coupled(
    param: Any, momentum: Any, grad: Any, *, lr: Any, beta1: Any, beta2: Any, weight_decay: Any
) -> Any:
    grad = grad + weight_decay * param
    return plain(param, momentum, grad, lr=lr, beta1=beta1, beta2=beta2, weight_decay=0.0)


def sign_of_zero_down(
    param: Any, momentum: Any, grad: Any, *, lr: Any, beta1: Any, beta2: Any, weight_decay: Any
) -> Any:
    c = beta1 * momentum + (1 - beta1) * grad
    u = np.where(c > 0, np.float32(1), np.float32(-1))
    return param - lr * (u + weight_decay * param), beta2 * momentum + (1 - beta2) * grad


def in_binary64(
    param: Any, momentum: Any, grad: Any, *, lr: Any, beta1: Any, beta2: Any, weight_decay: Any
) -> Any:
    beta1, beta2 = np.float64(beta1), np.float64(beta2)
    c = beta1 * momentum + (1 - beta1) * grad
    new = param - lr * (np.sign(c) + weight_decay * param)
    kept = beta2 * momentum + (1 - beta2) * grad
    return new.astype(param.dtype), kept.astype(momentum.dtype)


OTHER: tuple[Step, ...] = (decayed_if, coupled, sign_of_zero_down, in_binary64)


# What cannot be traced.


def decides_by_an_element(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    if grad[0] > 0:
        return param - grad, momentum.copy()
    return param.copy(), momentum.copy()


def skips_without_gradient(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    if not np.any(grad):
        return param.copy(), momentum.copy()
    return plain(param, momentum, grad, **scalars)


def by_tanh(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return np.tanh(param), momentum.copy()


def by_exponent(param: Any, momentum: Any, grad: Any, *, lr: Any, **scalars: Any) -> Any:
    return param * math.exp(lr), momentum.copy()


def by_reduction(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return param / np.sum(param), momentum.copy()


def larger_of_two(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return np.maximum(param, grad), momentum.copy()


def hides_what_fails(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    try:
        return np.tanh(param), momentum.copy()
    except Exception:  # noqa: BLE001 - as some people do
        return param.copy(), momentum.copy()


def refuses_some(param: Any, momentum: Any, grad: Any, *, lr: Any, **scalars: Any) -> Any:
    if lr > 10:
        raise ValueError("too fast")
    return param - lr, momentum.copy()


def takes_a_number_out(param: Any, momentum: Any, grad: Any, *, lr: Any, **scalars: Any) -> Any:
    return param - round(float(lr), 3), momentum.copy()


def written_elsewhere(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return np.add(param, grad, out=ELSEWHERE), momentum.copy()


def unwritten(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return np.empty_like(param), momentum.copy()


def of_another_dtype(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return param.astype(np.float64), momentum.copy()


def one_result(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return param.copy()


ELSEWHERE = np.zeros(1, np.float32)
