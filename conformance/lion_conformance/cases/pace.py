"""How much of what is planned there is time for: all of it, if nobody set a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class Pace:
    """The time for the cases and runs of one dtype, from when they are drawn, and what came of it.

    The first few are judged in any case: a verdict on nothing would be none.

    >>> hurried = Pace(0)
    >>> hurried.plan(4)
    >>> [hurried.goes_on() for _ in range(4)]
    [True, False, False, False]
    >>> hurried.share
    0.25
    """

    def __init__(
        self, seconds: float = math.inf, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._seconds, self._clock = seconds, clock
        self._begin: float | None = None
        self._planned = self._judged = 0
        self._least = 0
        self._cut = False

    def plan(self, count: int, *, least: int = 1) -> None:
        """Take note of so many cases, or runs, that follow and are judged if there is time.

        least: how many of them are judged in any case.
        """
        self._planned += count
        self._least = least
        if self._begin is None:
            self._begin = self._clock()

    def goes_on(self, count: int = 1, *, part: float = 1.0) -> bool:
        """Whether there is time for one more, or for so many, within a part of the whole."""
        if self._least <= 0 and not self.has_time(part):
            return False
        self._least -= count
        self._judged += count
        return True

    def has_time(self, part: float = 1.0) -> bool:
        """Whether a part of the time has not passed yet; if it has, something is left out."""
        begin = self._clock() if self._begin is None else self._begin
        within = self._clock() - begin < self._seconds * part
        self._cut = self._cut or not within
        return within

    @property
    def share(self) -> float:
        """Of what was planned, the share that there was time for."""
        return self._judged / self._planned if self._cut else 1.0
