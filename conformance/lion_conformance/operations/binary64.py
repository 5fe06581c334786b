"""Arithmetic in binary64, which has no wider format to be exact in, in every direction."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Final

import numpy as np

from lion_conformance.operations.patterns import Array, Evaluator
from lion_ref.arithmetic import fma, two_product, two_sum

NEAREST: Final[dict[str, Evaluator]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "sqrt": np.sqrt,
    "fma": fma,
}
"""Numbers in, numbers out, rounded once to nearest."""

_QUICK: Final[dict[str, Evaluator]] = {
    "add": lambda a, b: two_sum(a, b)[1],
    "sub": lambda a, b: two_sum(a, -b)[1],
    "mul": lambda a, b: two_product(a, b)[1],
}
"""The exact error, as long as all numbers lie between `_BIG` and its inverse."""

_BIG: Final = 2.0**400

_EXACT: Final[dict[str, Callable[..., Fraction]]] = {
    "add": lambda near, a, b: a + b - near,
    "sub": lambda near, a, b: a - b - near,
    "mul": lambda near, a, b: a * b - near,
    "fma": lambda near, a, b, c: a * b + c - near,
    "div": lambda near, a, b: (a - near * b) * b,
    "sqrt": lambda near, a: a - near * near,
}
"""A number of the sign of (result - near), in rationals."""


def in_direction(name: str, rounding: str) -> Evaluator:
    """Numbers in, numbers out, rounded once: "rz" to zero, "rm" down, "rp" up."""
    nearest = NEAREST[name]

    def directed(*given: Array) -> Array:
        arguments = np.broadcast_arrays(*given)
        near = np.asarray(nearest(*arguments))
        error = _error(name, near, arguments)
        if rounding == "rz":
            past = error * np.where(np.signbit(near), -1, 1) < 0
            return np.where(past, np.nextafter(near, 0.0), near)
        if rounding == "rp":
            return np.where(error > 0, np.nextafter(near, np.inf), near)
        result = np.where(error < 0, np.nextafter(near, -np.inf), near)
        return with_negative_zeros(name, (near == 0) & (error == 0), result, arguments)

    return directed


def with_negative_zeros(
    name: str, exact_zero: Array, result: Array, arguments: tuple[Array, ...]
) -> Array:
    """Rounded down, a sum that is zero is -0, unless both terms are +0."""
    if name == "add":
        first, second = arguments
    elif name == "sub":
        first, second = arguments[0], -arguments[1]
    elif name == "fma":
        first, second = arguments[0] * arguments[1], arguments[2]
    else:
        return result
    return np.where(exact_zero & (np.signbit(first) | np.signbit(second)), -0.0, result)


def _error(name: str, near: Array, arguments: tuple[Array, ...]) -> Array:
    """A number of the sign of (exact - near); 0 where nothing is rounded."""
    finite = np.logical_and.reduce([np.isfinite(x) for x in arguments])
    if name in _QUICK:
        sizes = [np.abs(x) for x in (*arguments, near)]
        plain = np.logical_and.reduce([(size < _BIG) & (size > 1 / _BIG) for size in sizes])
        error = np.where(plain, _QUICK[name](*arguments), 0.0)
    else:
        plain, error = np.zeros(near.shape, bool), np.zeros(near.shape)
    for index in np.argwhere(finite & ~plain):
        here = tuple(index)
        error[here] = _sign(name, float(near[here]), *(float(x[here]) for x in arguments))
    return error


def _sign(name: str, near: float, *arguments: float) -> int:
    if math.isnan(near) or (name == "div" and arguments[1] == 0):
        return 0
    if math.isinf(near):  # an overflow: the exact result is finite
        return -1 if near > 0 else 1
    difference = _EXACT[name](Fraction(near), *map(Fraction, arguments))
    return (difference > 0) - (difference < 0)
