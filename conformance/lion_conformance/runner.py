"""Judge every backend, each in a process of its own.

A framework's import is slow, may fail half-way, and may change the floating-point environment of
its process; none of that may touch the judging of another.
"""

from __future__ import annotations

import multiprocessing
import os
import queue as queues
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lion_conformance.ports.backends import BACKENDS, Backend, NotRunnable, backend, load
from lion_conformance.ports.dtypes import asked_for, check_names, spelled, takes_some
from lion_conformance.ports.protocol import Port, Triple
from lion_conformance.report.findings import versions
from lion_conformance.report.origin import Origin
from lion_conformance.report.report import Report
from lion_conformance.runs import tape
from lion_conformance.verify import MAX_EXAMPLES, check_budget, verify
from lion_ref import STORAGE_DTYPES, Semantics

Events = Callable[["Event"], None]


DEVICES = ("cpu", "cuda")


@dataclass(frozen=True, slots=True)
class Options:
    """What is to be judged, and how widely; plain values, so that they travel between processes."""

    dtypes: tuple[str, ...] = tuple(STORAGE_DTYPES)
    max_examples: int = MAX_EXAMPLES
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Event:
    """Progress of one backend: what it is doing, and the share that is done."""

    backend: str
    doing: str
    done: float


def run(
    names: Sequence[str] = (),
    options: Options = Options(),
    *,
    jobs: int | None = None,
    on_event: Events | None = None,
) -> list[Report]:
    """Reports on the named backends, all if none is named, in their order.

    Raises:
        ValueError: a backend, dtype or device that there is none of; a budget that is none.
    """
    wanted = [backend(name) for name in (names or BACKENDS)]
    return judge_backends(wanted, options, jobs=jobs, on_event=on_event)


def judge_backends(
    backends: Sequence[Backend],
    options: Options = Options(),
    *,
    jobs: int | None = None,
    on_event: Events | None = None,
) -> list[Report]:
    """As `run`, for any backends: those of `BACKENDS`, of `published.FAMILIES`, or others."""
    check_names(options.dtypes)
    if options.device not in DEVICES:
        raise ValueError(f"device={options.device!r} is not legal; legal: {', '.join(DEVICES)}")
    check_budget(options.max_examples, options.seed)
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs={jobs} is not legal; legal: an integer >= 1")
    # Not forked: the caller may have threads, as every process has in which JAX was imported.
    with multiprocessing.get_context("spawn").Manager() as manager:
        events = manager.Queue()
        listener = threading.Thread(target=_listen, args=(events, on_event), daemon=True)
        listener.start()
        workers = max(1, min(jobs or os.cpu_count() or 1, len(backends)))
        try:
            with ThreadPoolExecutor(workers) as threads:
                found = list(
                    threads.map(lambda one: _in_own_process(one, options, events), backends)
                )
        finally:
            events.put(None)
            listener.join()
    return [report for reports in found for report in reports]


def _listen(events: Any, on_event: Events | None) -> None:
    while (event := events.get()) is not None:
        if on_event is not None:
            on_event(event)


def _in_own_process(one: Backend, options: Options, events: Any) -> list[Report]:
    spawn = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, mp_context=spawn) as process:
            reports = process.submit(judge_backend, one, options, events).result()
    except BrokenProcessPool:
        reports = [_not_run(one.name, options, "its process died while it was judged")]
    events.put(Event(one.name, "done", 1.0))
    return reports


def judge_backend(one: Backend, options: Options, events: queues.Queue[Any]) -> list[Report]:
    """All reports on one backend; one that says why, if it cannot be run."""
    events.put(Event(one.name, "importing", 0.0))
    try:
        with _without_chatter():
            ports = load(one, options.device)
    except NotRunnable as error:
        return [_not_run(one.name, options, str(error))]
    recorded = tape.load()

    def judged(index: int, port: Port) -> Report:
        wanted = takes_some(port, options.dtypes)
        params = asked_for(port, wanted).dtypes if wanted else ()

        def progress(dtype: str, done: int, of: int) -> None:
            share = (params.index(dtype) + done / of) / len(params)
            events.put(Event(one.name, f"{port.door}, {dtype}", (index + share) / len(ports)))

        return judge_port(port, wanted, options, recorded, progress)

    origin = Origin("backend", one.module)
    return [replace(judged(index, port), origin=origin) for index, port in enumerate(ports)]


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Drop what a framework's libraries print to stderr while they load: it tears the progress.

    An exception still arrives, and becomes the reason that the backend was not run.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def judge_port(
    port: Port,
    dtypes: Sequence[str | Triple],
    options: Options,
    recorded: tape.Tape,
    progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """Cases in the given dtypes, then the tape, if float32 is one of them."""
    if port.unavailable:
        return _not_run(port.name, options, port.unavailable, door=port.door)
    if not dtypes:
        return _not_run(port.name, options, "", door=port.door)
    report = verify(
        port,
        dtypes=dtypes,
        max_examples=options.max_examples,
        seed=options.seed,
        progress=progress,
    )
    judged = {triple for result in report.results for triple in result.triples}
    if spelled(tape.TRIPLE) in judged:
        promised = replace(port, declared=port.declared or _known(report, "float32"))
        return replace(report, tape=tape.replay(promised, recorded))
    return report


def _known(report: Report, dtype: str) -> Semantics | None:
    """What the diagnosis made of a dtype: the tape is then held to it."""
    return next((result.semantics for result in report.results if result.dtype == dtype), None)


def _not_run(name: str, options: Options, why: str, *, door: str = "–") -> Report:
    return Report(
        port=name,
        door=door,
        device=options.device,
        declared=None,
        results=(),
        seed=options.seed,
        max_examples=options.max_examples,
        versions=versions(),
        not_run=why,
    )
