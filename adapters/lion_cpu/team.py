"""Another library's threads, for the kernel to work in."""

from __future__ import annotations

import ctypes
import os
from functools import cache


def team_of(library: str) -> int | None:
    """The address of GOMP_parallel in the OpenMP that a loaded library runs with; None without.

    Between operations OpenMP's threads stay awake for some milliseconds, and threads beside them
    would have to share the processors with them. GCC's, Clang's and Intel's have this function.

    Args:
        library: its file; symbols are looked up in all that it needs, too.
    """
    # A forked process has none of those threads, and its OpenMP would wait for them for ever.
    return None if _forked else _address(library)


@cache
def _address(library: str) -> int | None:
    try:
        function = ctypes.CDLL(library).GOMP_parallel
    except (OSError, AttributeError):
        return None
    return ctypes.cast(function, ctypes.c_void_p).value


_forked: list[bool] = []

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _forked.append(True))
