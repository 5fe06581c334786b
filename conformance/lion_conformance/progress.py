"""Progress of a run: bars on a terminal, a line for each part elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from lion_conformance.runner import Event


@contextmanager
def showing(names: Sequence[str]) -> Iterator[Callable[[Event], None]]:
    """A function to call with every event of a run."""
    if sys.stderr.isatty():
        try:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
        except ModuleNotFoundError:
            pass
        else:
            columns = (
                TextColumn("{task.fields[backend]:<11}"),
                BarColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}"),
            )
            with Progress(*columns, console=Console(stderr=True)) as bars:
                tasks = {name: bars.add_task("waiting", backend=name, total=1.0) for name in names}
                yield lambda event: bars.update(
                    tasks[event.backend], completed=event.done, description=event.doing
                )
            return
    yield _Lines()


class _Lines:
    """One plain line whenever a backend begins another part."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self._last: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        if self._last.get(event.backend) != event.doing:
            self._last[event.backend] = event.doing
            elapsed = time.perf_counter() - self._begin
            print(f"{elapsed:5.1f} s  {event.backend}: {event.doing}", file=sys.stderr, flush=True)
