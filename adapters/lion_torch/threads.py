"""The floating-point environment of the caller and of torch's threads (SPEC C15, C33)."""

from __future__ import annotations

import threading

import torch
from torch.utils._python_dispatch import _disable_current_modes

import lion_cpu
from lion_ref.arithmetic import (
    require_default_environment,
    require_late_flush,
    require_rounding_to_nearest,
)

GRAIN = 32_768
"""Elements for each thread, from which on torch starts another."""

_TELLING = {False: (2.0**-149, 1.0), True: (2.0**-126 * (1 + 2.0**-23), 1 - 2.0**-23)}
"""Factors, of a step that flushes or not, whose product is zero in a thread that has other bits."""

_asked = threading.local()


def require_environment(*, flush: bool) -> None:
    """FloatingPointError unless a step in this thread has its bits.

    One that flushes has them in a thread that flushes too, as long as that is after rounding.
    """
    if flush:
        require_late_flush()
        return
    try:
        require_default_environment()
    except FloatingPointError as error:
        require_rounding_to_nearest()
        raise FloatingPointError(f"{error}, or step with subnormals='flush'") from None


def require_threads(*, flush: bool) -> None:
    """The same of the other threads that take part in this caller's steps.

    Such threads keep the environment in which they began, whatever the caller's is since, so each
    number of them is asked once. Every caller has its own.
    """
    threads = torch.get_num_threads()
    known: frozenset[tuple[int, bool]] = getattr(_asked, "numbers", frozenset())
    if threads == 1 or (threads, flush) in known:
        return
    x, y = _TELLING[flush]
    with _disable_current_modes():  # a FakeTensorMode has no numbers to look at
        numbers = torch.full((threads * GRAIN,), x, dtype=torch.float32, device="cpu")
        kept = bool(numbers.mul_(y).all())
    if not kept:
        legal = ["a process in which it was not"]
        legal += [] if lion_cpu.missing() else ["fused=True"]
        legal += [] if flush else ["subnormals='flush'"]
        raise FloatingPointError(
            f"torch's other threads flush subnormals{' before they round' if flush else ''}, as "
            "they began while torch.set_flush_denormal(True) was set; legal: "
            f"{', '.join(legal)}, or torch.set_num_threads(1)"
        )
    _asked.numbers = known | {(threads, flush)}
