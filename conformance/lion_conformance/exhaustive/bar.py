"""How far a certificate is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from lion_conformance.exhaustive.certificate import Certificate
from lion_conformance.exhaustive.certify import Told

if TYPE_CHECKING:
    from rich.console import Console

LINE_EVERY: Final = 10.0
"""Seconds between two lines where there is no terminal."""


@contextmanager
def showing(what: str, blocks: int, console: Console | None = None) -> Iterator[Told]:
    """A function to be told of what there is so far.

    console: where a bar is drawn; the terminal of stderr, if omitted and if it is one.
    """
    if console is None and sys.stderr.isatty():
        console = _console()
    if console is None:
        yield _Lines(what, blocks)
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    words = TextColumn(
        "{task.description} {task.completed}/{task.total} blocks {task.fields[more]}"
    )
    with Progress(
        BarColumn(), words, TimeRemainingColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task(what, total=blocks, more="")

        def told(certificate: Certificate) -> None:
            done = len(certificate.blocks)
            bar.update(task, completed=done, more=_differing(certificate))

        yield told


def _console() -> Console | None:
    """The terminal, where rich is installed."""
    try:
        from rich.console import Console
    except ModuleNotFoundError:
        return None
    return Console(stderr=True)


def _differing(certificate: Certificate) -> str:
    found = certificate.differing
    count = found.pairs + found.parameters + found.triples
    return f"{count} differ" if count else ""


class _Lines:
    def __init__(self, what: str, blocks: int) -> None:
        self._what, self._blocks, self._last = what, blocks, time.monotonic()

    def __call__(self, certificate: Certificate) -> None:
        if time.monotonic() - self._last < LINE_EVERY:
            return
        self._last = time.monotonic()
        done = f"{self._what} {len(certificate.blocks)}/{self._blocks} blocks"
        print(done, _differing(certificate), file=sys.stderr, flush=True)
