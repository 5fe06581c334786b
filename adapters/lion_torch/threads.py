"""The floating-point environment of the threads that torch shares an operation with (SPEC C15)."""

from __future__ import annotations

import threading

import torch
from torch.utils._python_dispatch import _disable_current_modes

import lion_cpu

GRAIN = 32_768
"""Elements for each thread, from which on torch starts another."""

_asked = threading.local()


def require_default_threads() -> None:
    """FloatingPointError if a thread that takes part in this caller's steps flushes subnormals.

    Such threads keep the environment in which they began, whatever the caller's is since, so each
    number of them is asked once. Every caller has its own.
    """
    threads = torch.get_num_threads()
    known: frozenset[int] = getattr(_asked, "numbers", frozenset())
    if threads == 1 or threads in known:
        return
    with _disable_current_modes():  # a FakeTensorMode has no numbers to look at
        smallest = torch.full((threads * GRAIN,), 2.0**-149, dtype=torch.float32, device="cpu")
        kept = bool(smallest.mul_(1.0).all())
    if not kept:
        raise FloatingPointError(
            "torch's other threads flush subnormals, as they began while "
            "torch.set_flush_denormal(True) was set; legal: a process in which it was not, "
            f"{'' if lion_cpu.missing() else 'fused=True, '}or torch.set_num_threads(1)"
        )
    _asked.numbers = known | {threads}
