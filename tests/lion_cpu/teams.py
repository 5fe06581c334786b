"""Teams of threads as a caller may have them, and as it had better not have them."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable


class Team:
    """OpenMP's GOMP_parallel as a test has it: what it was asked for, and how it obeys.

    obey gets the task as a function, and how many threads were asked for.
    """

    def __init__(self, obey: Callable[[Callable[[], None], int], None]) -> None:
        self.asked: list[int] = []

        def parallel(task: int, shared: int, threads: int, flags: int) -> None:
            assert flags == 0
            self.asked.append(threads)
            run = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(task)
            obey(lambda: run(shared), threads)

        types = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
        self._callback = ctypes.CFUNCTYPE(None, *types)(parallel)  # freed with the team

    @property
    def address(self) -> int:
        """Where it is called."""
        address = ctypes.cast(self._callback, ctypes.c_void_p).value
        assert address is not None
        return address


def all_at_once(task: Callable[[], None], threads: int) -> None:
    """As many threads as were asked for."""
    others = [threading.Thread(target=task) for _ in range(threads - 1)]
    for other in others:
        other.start()
    task()
    for other in others:
        other.join()


def alone(task: Callable[[], None], _: int) -> None:
    """One thread where several were asked for."""
    task()


def over_and_over(task: Callable[[], None], threads: int) -> None:
    """One thread, that runs the task as often as others would have, and once more."""
    for _ in range(threads + 1):
        task()
