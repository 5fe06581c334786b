"""Schedules by name, formed in binary64: every framework and machine has the same η (SPEC C35)."""

from __future__ import annotations

import decimal
import math
import operator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from lion_ref.checks import integer, shown
from lion_ref.hyperparameters import non_negative

Name = Literal["constant", "linear", "cosine", "exponential"]
Numbers = TypeVar("Numbers", float, NDArray[np.float64])
_LONGEST: Final = 1 << 28
_LARGEST_RATIO: Final = 2.0**1000


@dataclass(frozen=True)  # without slots: LambdaLR.state_dict() takes what __dict__ has
class Schedule:
    """η or λ as a number of the steps done, t: first a warm-up, then from `first` to `last`.

        t < warmup            first · ((t + 1) / (warmup + 1))
        then, with l, the share that is left, (warmup + steps - t) / steps, or 0 after that:
            constant          first
            linear            last + (first - last) · l
            cosine            last + (first - last) · sin²(π/2 · l), which is (1 + cos π(1 - l)) / 2
            exponential       last · (first / last)^l

    At l = 1 it is `first` itself, and at l = 0 `last`. The numbers are binary64, and each is
    rounded once to the compute dtype where a step takes it (SPEC C4). Sine and power are series of
    + - · /, of which no machine has other bits. A framework's own schedule of the same name is
    formed in float32, some of them by other formulas, and has other bits.

    Args:
        name: "constant", "linear", "cosine" or "exponential".
        first: what it begins with after the warm-up, finite and >= 0.
        last: what it ends with, likewise; both above 0 in an exponential schedule.
        steps: from the end of the warm-up until `last`; at least 1.
        warmup: steps before.

    Raises:
        TypeError, ValueError: an argument that is none of these, by name.

    >>> lr = Schedule("cosine", first=1e-3, last=1e-4, steps=100, warmup=4)
    >>> lr(0), lr(4), lr(104), lr(10_000)
    (0.0002, 0.001, 0.0001, 0.0001)
    """

    name: Name
    first: float
    last: float = 0.0
    steps: int = 1
    warmup: int = 0

    def __post_init__(self) -> None:
        if self.name not in get_args(Name):
            legal = ", ".join(map(repr, get_args(Name)))
            raise ValueError(f"name={shown(self.name)} is not legal; legal: {legal}")
        for name in ("first", "last"):
            object.__setattr__(self, name, non_negative(name, getattr(self, name)))
        for name, least in (("steps", 1), ("warmup", 0)):
            value = integer(name, getattr(self, name), least, _LONGEST)
            object.__setattr__(self, name, value)
        low, high = self._ends()
        if self.name == "exponential" and not (low > 0 and high / low < _LARGEST_RATIO):
            raise ValueError(
                f"first={self.first}, last={self.last} is not legal; legal: both > 0, and their "
                "ratio below 2**1000, in an exponential schedule"
            )

    def __call__(self, step: int) -> float:
        """The number for the step after `step` steps; TypeError unless that is a known integer.

        A framework's array would have the formula formed in its own arithmetic, with other bits.
        """
        step = operator.index(step)
        if step < 0:
            raise ValueError(f"step={step} is not legal; legal: an integer >= 0")
        if step < self.warmup:
            return self.first * ((step + 1) / (self.warmup + 1))
        left = max(self.warmup + self.steps - step, 0) / self.steps
        if self.name == "constant" or left == 1:
            return self.first
        if left == 0:
            return self.last
        low, high = self._ends()
        return min(max(float(self._between(left)), low), high)

    def table(self) -> NDArray[np.float64]:
        """All of its numbers up to the one it stays at: for a graph, which looks them up by count.

        >>> Schedule("linear", first=1.0, last=0.0, steps=2).table()
        array([1. , 0.5, 0. ])
        """
        warm = self.first * (np.arange(1, self.warmup + 1) / (self.warmup + 1))
        if self.name == "constant":
            return np.append(warm, self.first)
        left = np.arange(self.steps, -1, -1) / self.steps
        between = np.clip(self._between(left), *self._ends())
        between[0], between[-1] = self.first, self.last
        return np.concatenate([warm, between])

    def _ends(self) -> tuple[float, float]:
        """The smaller and the larger: no rounding leads beyond them."""
        return min(self.first, self.last), max(self.first, self.last)

    def _between(self, left: Numbers) -> Any:
        """The numbers by which share is left, but for a last rounding beyond the ends."""
        if self.name == "exponential":
            return self.last * _power_of_two(_logarithm(self.first, self.last) * left)
        if self.name == "cosine":
            sine = _sine(math.pi / 2 * left)
            left = sine * sine
        return self.last + (self.first - self.last) * left


def check_schedule(name: str, value: object) -> None:
    """TypeError unless a value is a schedule, or None, which is none.

    >>> check_schedule("lr_schedule", "cosine")
    Traceback (most recent call last):
        ...
    TypeError: lr_schedule='cosine' is not legal; legal: a lion_ref.schedules.Schedule, None
    """
    if not isinstance(value, Schedule | None):
        raise TypeError(
            f"{name}={shown(value)} is not legal; legal: a lion_ref.schedules.Schedule, None"
        )


def _sine(angle: Numbers) -> Any:
    """Of angles from 0 to π/2, by its series: x·(1 - x²/(2·3)·(1 - x²/(4·5)·(…)))."""
    square = angle * angle
    total: Any = 1.0
    for k in range(24, 0, -2):
        total = 1.0 - square / (k * (k + 1)) * total
    return angle * total


def _power_of_two(exponent: Numbers) -> Any:
    """2^x: the whole part of x exactly, and e^(x·ln 2) of the rest by its series."""
    whole = np.floor(exponent + 0.5)
    rest = (exponent - whole) * _LN_2
    total: Any = 1.0
    for k in range(18, 0, -1):
        total = 1.0 + rest / k * total
    return np.ldexp(total, np.asarray(whole).astype(np.intc))


_CONTEXT: Final = decimal.Context(prec=50, traps=[])
_LN_2: Final = float(_CONTEXT.ln(decimal.Decimal(2)))


@lru_cache(maxsize=64)
def _logarithm(first: float, last: float) -> float:
    """log2(first / last); decimal's logarithm is the same everywhere, the C library's is not."""
    ratio = _CONTEXT.divide(decimal.Decimal(first), decimal.Decimal(last))
    return float(_CONTEXT.divide(_CONTEXT.ln(ratio), _CONTEXT.ln(decimal.Decimal(2))))
