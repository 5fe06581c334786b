"""Every way that code can take: where it decides by a scalar it is run again the other way.

What it decides by is an expression; the results are joined by selecting between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar

from lion_conformance.operations.expression import Node
from lion_conformance.ports.recording.conversions import Dtype, Unrecorded
from lion_conformance.ports.recording.ranges import known

T = TypeVar("T")

MOST: Final = 64
"""Ways through one step that are followed."""

_DATA: Final = ("param", "momentum", "grad")


class _Way:
    """One run: what is to be decided first, and what was decided."""

    def __init__(self, compute: Dtype, planned: list[tuple[Node, bool]]) -> None:
        self._compute, self._planned = compute, planned
        self.taken: list[tuple[Node, bool]] = []

    def decide(self, node: Node) -> bool:
        """Whether a predicate of scalars holds on this way."""
        if depends_on_data(node):
            raise Unrecorded("decides by the numbers")
        answer = known(node, self._compute)
        if answer is not None:
            return answer
        for before, decided in self.taken:
            if before is node:
                return decided
        place = len(self.taken)
        decided = True
        if place < len(self._planned):
            expected, decided = self._planned[place]
            if expected is not node:
                raise Unrecorded("decides otherwise when it is called again")
        self.taken.append((node, decided))
        return decided


_current: ContextVar[_Way | None] = ContextVar("current", default=None)


def decide(node: Node) -> bool:
    """Whether a predicate holds, on the way that is being followed."""
    way = _current.get()
    if way is None:
        raise Unrecorded("decides by the numbers, after it was traced")
    return way.decide(node)


def traced_here() -> bool:
    """Whether this thread is tracing, and not another one meanwhile."""
    return _current.get() is not None


def conditions() -> str:
    """Words for the way that is being followed, where it was decided between several."""
    way = _current.get()
    return " for some legal scalars" if way is not None and way.taken else ""


@contextmanager
def _following(way: _Way) -> Iterator[None]:
    token = _current.set(way)
    try:
        yield
    finally:
        _current.reset(token)


def on_every_way(run: Callable[[], T], join: Callable[[Node, T, T], T], compute: Dtype) -> T:
    """The results of all ways through `run`, joined.

    join takes what was decided by, the result where it holds and the result where it does not.
    """
    runs = 0

    def explored(planned: list[tuple[Node, bool]]) -> T:
        nonlocal runs
        runs += 1
        if runs > MOST:
            raise Unrecorded(f"decides by scalars in more than {MOST} ways")
        way = _Way(compute, planned)
        with _following(way):
            result = run()
        for place in reversed(range(len(planned), len(way.taken))):
            node, _ = way.taken[place]
            result = join(node, result, explored([*way.taken[:place], (node, False)]))
        return result

    return explored([])


def depends_on_data(node: Node) -> bool:
    """Whether an element of θ, m or g is in an expression."""
    seen: set[int] = set()
    waiting = [node]
    while waiting:
        here = waiting.pop()
        if id(here) in seen:
            continue
        seen.add(id(here))
        if here.operation.name == "input" and here.operation.of in _DATA:
            return True
        waiting.extend(here.arguments)
    return False
