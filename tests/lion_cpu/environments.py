"""Floating-point environments that a step must neither compute in nor leave otherwise."""

from __future__ import annotations

import ctypes
import ctypes.util
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

# FE_UPWARD of C's fenv.h, a number that depends on the processor.
_UPWARD = {"x86_64": 0x800, "amd64": 0x800, "aarch64": 0x400000, "arm64": 0x400000}


class Rounding:
    """This thread's rounding mode; 0 is to nearest."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(ctypes.util.find_library("m"))

    @property
    def mode(self) -> int:
        """The mode that C's library tells."""
        mode: int = self._library.fegetround()
        return mode

    @contextmanager
    def upward(self) -> Iterator[None]:
        """Toward infinity within; AssertionError if something within has changed that."""
        mode = _UPWARD[platform.machine().lower()]
        assert self._library.fesetround(mode) == 0
        try:
            yield
            left = self.mode
        finally:
            self._library.fesetround(0)
        assert left == mode


def flushes() -> bool:
    """Whether this thread takes subnormals for zeros, or makes zeros of them."""
    return sys.float_info.min * 0.5 == 0


@contextmanager
def flushing() -> Iterator[None]:
    """This thread flushes subnormals within; AssertionError if something within has ended that."""
    if not torch.set_flush_denormal(True):
        pytest.skip("not run: torch cannot have this processor flush subnormals")
    try:
        assert flushes()
        yield
        left = flushes()
    finally:
        torch.set_flush_denormal(False)
    assert left
