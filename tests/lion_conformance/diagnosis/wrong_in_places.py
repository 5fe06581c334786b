"""Ports that are wrong in places which no mutant of the catalogue has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import lion_ref

step = lion_ref.step
Step = Callable[..., Any]
PORTS: dict[str, tuple[str | None, Step]] = {}
"""Each by what is wrong, with what is to be said of where."""


def port(wrong: str, where: str | None) -> Callable[[Step], Step]:
    def enter(made: Step) -> Step:
        PORTS[wrong] = (where, made)
        return made

    return enter


def _sign(m: Any, g: Any, beta1: float) -> Any:
    kind = np.float64 if m.dtype == np.float64 else np.float32
    with np.errstate(all="ignore"):
        return kind(beta1) * m.astype(kind) + kind(1 - beta1) * g.astype(kind)


def _left(where: Any, param: Any, momentum: Any, grad: Any, scalars: Any) -> Any:
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    return np.where(where, param, new_param), np.where(where, momentum, new_momentum)


def _flat(where: Any, param: Any, momentum: Any, grad: Any, scalars: Any) -> Any:
    mask = np.zeros(param.size, bool)
    mask[where] = True
    return _left(mask.reshape(param.shape), param, momentum, grad, scalars)


@port("decay left out for |θ| < 1e-3", "where |θ| < 0.001")
def _small(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    bare, _ = step(param, momentum, grad, **scalars | {"weight_decay": 0.0})
    return np.where(np.abs(param) < np.float32(1e-3), bare, new_param), new_momentum


@port("β2 below 0.5 raised to 0.5", "where β2 < 0.5")
def _raised(*arrays: Any, **scalars: Any) -> Any:
    return step(*arrays, **scalars | {"beta2": max(scalars["beta2"], 0.5)})


@port(
    "elements 1024 to 2047 swapped",
    "in elements 1,024 to 2,047 of arrays of more than 2,047 elements",
)
def _swapped(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    g = grad.copy().reshape(-1)
    if g.size >= 2048:
        g[1024:2048] = g[1024:2048][::-1].copy()
    return step(param, momentum, g.reshape(grad.shape), **scalars)


@port("each 7th element skipped", "in every 7th element")
def _seventh(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return _flat(slice(6, None, 7), param, momentum, grad, scalars)


@port("last row of a matrix skipped", "in the last row of tensors with two axes")
def _last_row(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if param.ndim == 2:
        new_param[-1:] = param[-1:]
    return new_param, new_momentum


@port("tensors of more than 2¹⁶ elements without decay", "in arrays of more than 65,536 elements")
def _large(*arrays: Any, **scalars: Any) -> Any:
    decay = scalars["weight_decay"] if arrays[0].size <= 65_536 else 0.0
    return step(*arrays, **scalars | {"weight_decay": decay})


@port("momentum reset where g = 0", "where g = ±0")
def _reset(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    return new_param, np.where(grad == 0, 0, new_momentum).astype(momentum.dtype)


@port("NaN in m ignored", "where m is NaN")
def _nan(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    momentum = np.where(np.isnan(momentum), 0, momentum).astype(momentum.dtype)
    return step(param, momentum, grad, **scalars)


@port("u is 2·sign(c) where |c| < 2", "where |c| < 2")
def _below(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    twice, _ = step(param, momentum, grad, **scalars | {"lr": 2 * scalars["lr"]})
    return np.where(
        np.abs(_sign(momentum, grad, scalars["beta1"])) < 2, twice, new_param
    ), new_momentum


@port("no step where m and g differ in sign", "where m and g differ in sign")
def _cautious(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    with np.errstate(all="ignore"):
        return _left(momentum * grad < 0, param, momentum, grad, scalars)


@port("every second row skipped", "in every second row")
def _rows(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if param.ndim >= 2:
        new_param[1::2] = param[1::2]
    return new_param, new_momentum


@port("second half of blocks of 256 skipped", "where flat index mod 256 ≥ 128")
def _halves(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return _flat(np.arange(param.size) % 256 >= 128, param, momentum, grad, scalars)


@port("η above 0.01 taken for 0.01", "where η > 0.01")
def _clamped(*arrays: Any, **scalars: Any) -> Any:
    return step(*arrays, **scalars | {"lr": min(scalars["lr"], 0.01)})


@port("a large m is clipped", "where |m| > 10")
def _clipped(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return step(param, np.clip(momentum, -10, 10).astype(momentum.dtype), grad, **scalars)


@port("arrays of a multiple of 64 are not updated", "in arrays of a multiple of 64 elements")
def _multiples(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return _left(param.size % 64 == 0, param, momentum, grad, scalars)


@port("strided θ is not updated", "where θ is not contiguous")
def _strided(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return _left(not param.flags.c_contiguous, param, momentum, grad, scalars)


@port("the last three elements skipped", "in the last 3 elements")
def _three(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return _flat(slice(max(0, param.size - 3), None), param, momentum, grad, scalars)


@port("matrices wider than long", "in tensors with more columns than rows")
def _wide(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    wide = param.ndim >= 2 and param.shape[0] < param.shape[-1]
    return _left(wide, param, momentum, grad, scalars)


@port("right", None)
def _right(*arrays: Any, **scalars: Any) -> Any:
    return step(*arrays, **scalars)


@port("the betas are swapped", None)
def _betas(*arrays: Any, **scalars: Any) -> Any:
    return step(*arrays, **scalars | {"beta1": scalars["beta2"], "beta2": scalars["beta1"]})


@port("by chance", None)
def _chance(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    where = np.random.default_rng().random(param.shape) < 0.05
    return _left(where, param, momentum, grad, scalars)
