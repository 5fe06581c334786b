"""The time for a whole table, divided among the backends, and of each among its doors and dtypes.

What one leaves over goes to those that follow, and what one takes too long is taken from them; so
the whole ends in time, however slow a single one is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from lion_conformance.cases.pace import Pace

Clock = Callable[[], float]


class Timetable:
    """The time for backends that several workers take in turn.

    >>> table = Timetable(100, [6, 2, 2], workers=2, clock=lambda: 0.0)
    >>> [round(table.begin(weight)) for weight in (6, 2, 2)]
    [75, 67, 100]
    """

    def __init__(
        self,
        seconds: float,
        weights: Sequence[int],
        workers: int,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._clock, self._workers = clock, workers
        self._seconds, self._end = seconds, clock() + seconds
        self._waiting = self._all = sum(weights)
        self._lock = threading.Lock()

    def begin(self, weight: int) -> float:
        """Seconds for the backend that begins now, of such a weight.

        A worker has what is left of the time: for this one, and for its share of those that wait.
        However late it is, the backend has half of what it would have been given in time.
        """
        with self._lock:
            self._waiting -= weight
            left = self._end - self._clock()
            in_time = self._seconds * min(1.0, weight * self._workers / self._all)
            given = left * weight / (weight + self._waiting / self._workers)
            return max(given, in_time / 2)


class Hours:
    """The time of one backend, for each part of each of its ports: its dtypes, and the tape.

    parts: how many of them each port has.
    beside: about what the ports take beside them, each as much.

    >>> hours = Hours(10, [1, 1], beside=2, clock=lambda: 0.0)
    >>> hours.of_next()
    4.0
    """

    def __init__(
        self,
        seconds: float,
        parts: Sequence[int],
        *,
        beside: float,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._clock, self._end = clock, clock() + seconds
        judged = [count for count in parts if count]
        self._beside = [beside / len(judged) / count for count in judged for _ in range(count)]

    def of_next(self) -> float:
        """Seconds for the next part."""
        left = self._end - self._clock() - sum(self._beside)
        parts = len(self._beside)
        self._beside = self._beside[1:]
        return max(0.0, left / parts) if parts else 0.0

    def pace(self) -> Pace:
        """The next part's time, from now on."""
        return Pace(self.of_next())
