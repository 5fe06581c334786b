"""Progress of a run: a table that fills on a terminal, a line for each finished cell elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from lion_conformance.report.table import COLUMNS, HEADS
from lion_conformance.runner import Event
from lion_conformance.verdict.verdict import Verdict

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WAITING, JUDGING, NOT_TAKEN = "", "…", "–"

COLOURS: Final = {
    Verdict.BIT_EXACT: "green",
    Verdict.BIT_EXACT_AS: "green",
    Verdict.REJECTED: "red",
    Verdict.NOT_TAKEN: "dim",
}


@contextmanager
def showing(
    names: Sequence[str], console: Console | None = None
) -> Iterator[Callable[[Event], None]]:
    """A function to call with every event of a run; the table, if any, is gone in the end.

    console: where a table is shown; the terminal of stderr, if omitted and if it is one.
    """
    if console is None and sys.stderr.isatty():
        console = _console()
    if console is None:
        yield _Lines()
        return
    from rich.live import Live

    table = _Filling(names)
    with Live(get_renderable=table.drawn, console=console, transient=True):
        yield table


def _console() -> Console | None:
    """The terminal, where rich is installed."""
    try:
        from rich.console import Console
    except ModuleNotFoundError:
        return None
    return Console(stderr=True)


class _Lines:
    """One plain line whenever a backend is imported, and for each cell that is finished."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()

    def __call__(self, event: Event) -> None:
        found = event.found
        if found is not None:
            self._line(f"{found.port} {found.door}, {found.column}: {found.words}")
        elif event.rows:
            self._line(f"{event.backend}: imported")

    def _line(self, words: str) -> None:
        elapsed = time.perf_counter() - self._begin
        print(f"{elapsed:5.1f} s  {words}", file=sys.stderr, flush=True)


class _Filling:
    """The table as far as it is known: a row a backend until it is imported, then one a door."""

    def __init__(self, names: Sequence[str]) -> None:
        self._begin = time.perf_counter()
        self._doing = dict.fromkeys(names, "waiting")
        self._rows: dict[str, dict[tuple[str, str, str], dict[str, str]]] = {x: {} for x in names}

    def __call__(self, event: Event) -> None:
        self._doing[event.backend] = event.doing
        rows = self._rows[event.backend]
        for row in event.rows:
            rows[row.port, row.door, row.device] = dict.fromkeys(row.columns, WAITING)
        if event.judging is not None:
            *heads, column = event.judging
            rows[heads[0], heads[1], heads[2]][column] = JUDGING
        if event.found is not None:
            x = event.found
            colour = COLOURS.get(x.verdict, "yellow")
            rows[x.port, x.door, x.device][x.column] = f"[{colour}]{x.words}[/{colour}]"

    def drawn(self) -> Table:
        """The table as it stands now."""
        from rich import box
        from rich.markup import escape
        from rich.table import Table

        elapsed = f"{time.perf_counter() - self._begin:.0f} s"
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=elapsed)
        table.add_column("port, door, device")
        columns = COLUMNS[len(HEADS) :]
        for column in columns:
            table.add_column(column, min_width=9)
        for name, rows in self._rows.items():
            if not rows:
                table.add_row(escape(name), f"[dim]{escape(self._doing[name])}[/dim]")
            for (port, door, device), cells in rows.items():
                where = f"{escape(port)}, {escape(door)}, {escape(device)}"
                table.add_row(where, *(cells.get(column, NOT_TAKEN) for column in columns))
        return table
