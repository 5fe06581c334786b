"""Training loops of frameworks that trace, kept for the sessions of one shape after another."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any


class Loops:
    """Training loops, which take long to build: each is used again once its session is gone."""

    def __init__(self, build: Callable[..., Any]) -> None:
        self._build = build
        self._free: dict[tuple[Any, ...], list[Any]] = {}

    def lend(self, session: object, *key: Any) -> Any:
        """A loop for what identifies it, for this session alone."""
        free = self._free.setdefault(key, [])
        loop = free.pop() if free else self._build(*key)
        weakref.finalize(session, free.append, loop).atexit = False
        return loop
