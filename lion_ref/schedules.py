"""Schedules by name, formed in binary64: every framework has the same η at every step (C35)."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np

from lion_ref.hyperparameters import non_negative, shown

Name = Literal["constant", "linear", "cosine", "exponential"]
_LONGEST: Final = 1 << 28


@dataclass(frozen=True, slots=True)
class Schedule:
    """η or λ as a number of the steps done, t: first a warm-up, then from `first` to `last`.

        t < warmup            first·(t + 1) / (warmup + 1)
        then, with r = min((t - warmup) / steps, 1),
            constant          first
            linear            first + (last - first)·r
            cosine            last + (first - last)·(1 + cos πr) / 2
            exponential       first·(last / first)^r

    The numbers are Python's, binary64, and each is rounded once to the compute dtype where a step
    takes it (SPEC C4). A framework's own schedule of the same name is formed in float32, some of
    them by other formulas, and has other bits.

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
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= _LONGEST:
                legal = f"an integer in [{least}, {_LONGEST}]"
                raise ValueError(f"{name}={shown(value)} is not legal; legal: {legal}")
        if self.name == "exponential" and not (self.first > 0 and self.last > 0):
            raise ValueError(
                f"first={self.first}, last={self.last} is not legal; legal: both > 0 in an "
                "exponential schedule"
            )

    def __call__(self, step: int) -> float:
        """The number for the step after `step` steps; TypeError unless that is a known integer.

        A framework's array would have the formula formed in its own arithmetic, with other bits.
        """
        step = operator.index(step)
        if step < self.warmup:
            return self.first * (step + 1) / (self.warmup + 1)
        ratio = min((step - self.warmup) / self.steps, 1.0)
        if self.name == "linear":
            return self.first + (self.last - self.first) * ratio if ratio < 1 else self.last
        if self.name == "cosine":
            half = (1.0 + math.cos(math.pi * ratio)) / 2
            return self.last + (self.first - self.last) * half
        if self.name == "exponential":
            return self.first * (self.last / self.first) ** ratio if ratio < 1 else self.last
        return self.first

    def table(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """All of its numbers up to the one it stays at: for a graph, which looks them up by count.

        >>> Schedule("linear", first=1.0, last=0.0, steps=2).table()
        array([1. , 0.5, 0. ])
        """
        last = self.warmup + (self.steps if self.name != "constant" else 0)
        return np.array([self(step) for step in range(last + 1)])
