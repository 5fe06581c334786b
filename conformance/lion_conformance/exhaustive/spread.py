"""Tasks spread over this process, or over several of this machine's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from itertools import groupby
from multiprocessing import get_context
from typing import Final

from lion_conformance.exhaustive.asked import Asked, opened_for_good
from lion_conformance.exhaustive.digests import GROUP
from lion_conformance.exhaustive.judging import Found, judge
from lion_conformance.exhaustive.question import Question
from lion_conformance.ports.protocol import Port, PortError

Blocks = tuple[int, ...]
"""What is judged in one go: blocks of one group, whose digests become one."""

DIED: Final = "a process that judged the port died; legal: a port that lets its process go on"

Spread = Callable[[Question, Sequence[Blocks]], Iterator[Found]]
"""Judges tasks; what is found comes in the order in which it is."""


def tasks(blocks: Iterable[int]) -> list[Blocks]:
    """Blocks by their groups.

    >>> tasks([14, 15, 16])
    [(14, 15), (16,)]
    """
    return [tuple(group) for _, group in groupby(blocks, lambda block: block // GROUP)]


def here(port: Port) -> Spread:
    """One after another in this process."""

    def judged(question: Question, wanted: Sequence[Blocks]) -> Iterator[Found]:
        for blocks in wanted:
            yield judge(port, question, blocks)

    return judged


def processes(asked: Asked, count: int) -> Spread:
    """In several processes, each with the port opened once."""

    def judged(question: Question, wanted: Sequence[Blocks]) -> Iterator[Found]:
        workers = min(count, len(wanted))
        spawn = get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_alone) as pool:
            futures = [pool.submit(judge_asked, asked, question, blocks) for blocks in wanted]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BrokenProcessPool as error:
                raise PortError(DIED) from error
            finally:
                pool.shutdown(cancel_futures=True)

    return judged


def _alone() -> None:
    """One thread, for libraries that ask OpenMP: each other core has a process of its own."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def judge_asked(asked: Asked, question: Question, blocks: Blocks) -> Found:
    """One task in a process that has yet to open the port."""
    return judge(opened_for_good(asked), question, blocks)
