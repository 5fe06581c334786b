"""Judge every backend, each in a process of its own.

A framework's import is slow, may fail half-way, and may change the floating-point environment of
its process; none of that may touch the judging of another.
"""

from __future__ import annotations

import math
import os
import queue as queues
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lion_conformance.cases.pace import Pace
from lion_conformance.ports.backends import BACKENDS, Backend, NotRunnable, backend, load
from lion_conformance.ports.dtypes import asked_for, check_names, spelled, takes_some
from lion_conformance.ports.protocol import Port, Triple
from lion_conformance.report.origin import Origin
from lion_conformance.report.report import Report
from lion_conformance.report.table import HAND_OVER, TAPE, in_short
from lion_conformance.runs import hand_over, tape
from lion_conformance.runs.other_process import FreshProcess
from lion_conformance.timetable import Hours, Timetable
from lion_conformance.verdict.verdict import Verdict
from lion_conformance.verify import MAX_EXAMPLES, Progress, Told, check_budget, judge, not_run
from lion_ref import STORAGE_DTYPES, Semantics
from lion_ref.subnormals import SubnormalsChoice, check_subnormals

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

Events = Callable[["Event"], None]


DEVICES = ("cpu", "cuda")


@dataclass(frozen=True, slots=True)
class Options:
    """What is to be judged, and how widely; plain values, so that they travel between processes."""

    dtypes: tuple[str, ...] = tuple(STORAGE_DTYPES)
    max_examples: int = MAX_EXAMPLES
    seed: int = 0
    device: str = "cpu"
    seconds: float = math.inf
    """The time for all that is judged, imports and compilation included: see `timetable`."""
    subnormals: SubnormalsChoice = "native"
    """The rule that every adapter is asked for (SPEC C33)."""


@dataclass(frozen=True, slots=True)
class Row:
    """A port that is to be judged, and the columns of the table that it has cells in."""

    port: str
    door: str
    device: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A cell of the table: which, and the verdict, as far as it stands."""

    port: str
    door: str
    device: str
    column: str
    """A dtype of θ, TAPE or HAND_OVER."""
    verdict: Verdict
    words: str


@dataclass(frozen=True, slots=True)
class Event:
    """Progress of one backend: what it is doing, and what came of it."""

    backend: str
    doing: str
    rows: tuple[Row, ...] = ()
    """What the backend has, once it is imported."""
    judging: tuple[str, str, str, str] | None = None
    """Port, door, device and column of the cell that is being judged."""
    found: Found | None = None
    """The cell that has just been found, if one has."""


def run(
    names: Sequence[str] = (),
    options: Options = Options(),
    *,
    jobs: int | None = None,
    on_event: Events | None = None,
) -> list[Report]:
    """Reports on the named backends, all if none is named, in their order.

    Raises:
        ValueError: a backend, dtype, device or rule for subnormals that there is none of; a budget
            that is none.
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
    check_subnormals(options.subnormals)
    if options.device not in DEVICES:
        raise ValueError(f"device={options.device!r} is not legal; legal: {', '.join(DEVICES)}")
    check_budget(options.max_examples, options.seed)
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs={jobs} is not legal; legal: an integer >= 1")
    if not options.seconds > 0:
        raise ValueError(f"seconds={options.seconds} is not legal; legal: a number > 0")
    # Imported here: `verify` needs neither.
    import multiprocessing
    from concurrent.futures import ThreadPoolExecutor

    workers = max(1, min(jobs or os.cpu_count() or 1, len(backends)))
    table = Timetable(options.seconds, [one.weight for one in backends], workers)
    # Not forked: the caller may have threads, as every process has in which JAX was imported.
    with multiprocessing.get_context("spawn").Manager() as manager:
        events = manager.Queue()
        listener = threading.Thread(target=_listen, args=(events, on_event), daemon=True)
        listener.start()

        def judged(one: Backend) -> list[Report]:
            seconds = table.begin(one.weight)
            return _in_own_process(one, replace(options, seconds=seconds), events)

        try:
            with ThreadPoolExecutor(workers) as threads:
                # What takes longest first, so that no core is idle while it comes last.
                slowest = sorted(backends, key=lambda one: -one.weight)
                found = dict(zip(slowest, threads.map(judged, slowest), strict=True))
        finally:
            events.put(None)
            listener.join()
    return [report for one in backends for report in found[one]]


def _listen(events: Any, on_event: Events | None) -> None:
    while (event := events.get()) is not None:
        if on_event is not None:
            on_event(event)


def _in_own_process(one: Backend, options: Options, events: Any) -> list[Report]:
    from concurrent.futures.process import BrokenProcessPool

    try:
        with own_process(one) as process:
            reports = process.submit(judge_backend, one, options, events).result()
    except BrokenProcessPool:
        reports = [_not_run(one.name, options, "its process died while it was judged")]
    events.put(Event(one.name, "done"))
    return reports


def own_process(one: Backend) -> ProcessPoolExecutor:
    """A process for one backend, whose environment is what its framework has to read."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(
        1, mp_context=spawn, initializer=_set_environment, initargs=(one.environment,)
    )


def _set_environment(variables: tuple[tuple[str, str], ...]) -> None:
    os.environ.update(variables)


def judge_backend(one: Backend, options: Options, events: queues.Queue[Any]) -> list[Report]:
    """All reports on one backend; one that says why, if it cannot be run."""
    begin = time.perf_counter()
    events.put(Event(one.name, "importing"))
    try:
        with without_chatter():
            ports = load(one, options.device, options.subnormals)
    except NotRunnable as error:
        return [_not_run(one.name, options, str(error))]
    recorded = tape.load()
    wanted = [takes_some(port, options.dtypes) for port in ports]
    imported = time.perf_counter() - begin
    rows = tuple(_row(*x) for x in zip(ports, wanted, strict=True))
    events.put(Event(one.name, "imported", rows=rows))
    # Saved runs go on in a fresh process, which has to import everything again.
    # A hand-over is short, and has no pace.
    parts = [len(row.columns) - (HAND_OVER in row.columns) for row in rows]
    hours = Hours(options.seconds - imported, parts, beside=imported)

    def judged(index: int, port: Port) -> Report:
        heads, begun = (port.name, port.door, port.device), set[str]()

        def progress(dtype: str, done: int, of: int) -> None:
            del done, of
            if dtype not in begun:  # an event costs about what a case does
                begun.add(dtype)
                events.put(Event(one.name, "judging", judging=(*heads, dtype)))

        def told(column: str, verdict: Verdict) -> None:
            found = Found(*heads, column, verdict, in_short(port.declared, verdict))
            events.put(Event(one.name, "judging", found=found))

        following = Following(progress, told, hours.pace, fresh)
        return judge_port(port, wanted[index], options, recorded, following)

    origin = Origin("backend", one.module, subnormals=options.subnormals)
    with FreshProcess() as shared:
        # A thorough judging has one for each port, in which nothing of the others was restored.
        fresh = None if math.isinf(options.seconds) else shared
        return [replace(judged(index, port), origin=origin) for index, port in enumerate(ports)]


@contextmanager
def without_chatter() -> Iterator[None]:
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


@dataclass(frozen=True, slots=True)
class Following:
    """What a port's judging tells on its way, and asks: the time for its next part."""

    progress: Progress | None = None
    told: Told | None = None
    pace: Callable[[], Pace] = Pace
    fresh: FreshProcess | None = None


def judge_port(
    port: Port,
    dtypes: Sequence[str | Triple],
    options: Options,
    recorded: tape.Tape,
    following: Following = Following(),
) -> Report:
    """Cases in the given dtypes, then the tape, if float32 is one of them."""
    if port.unavailable:
        return _not_run(port.name, options, port.unavailable, door=port.door)
    if not dtypes:
        return _not_run(port.name, options, "", door=port.door)
    told: dict[str, Verdict] = {}

    def tell(column: str, verdict: Verdict) -> None:
        if following.told is not None and told.get(column) is not verdict:
            following.told(column, verdict)
        told[column] = verdict

    report = judge(
        port,
        dtypes,
        max_examples=options.max_examples,
        seed=options.seed,
        progress=following.progress,
        pace=following.pace,
        told=tell,
        fresh=following.fresh,
    )
    for result in report.results:  # a fresh process, or the diagnosis, may have changed them
        tell(result.dtype, result.verdict)
    if report.hand_over is not None:
        tell(HAND_OVER, report.hand_over.verdict)
    judged = {triple for result in report.results for triple in result.triples}
    if spelled(tape.TRIPLE) in judged:
        promised = replace(port, declared=port.declared or _known(report, "float32"))
        replayed = tape.replay(promised, recorded, following.pace())
        tell(TAPE, replayed.verdict)
        return replace(report, tape=replayed)
    return report


def _row(port: Port, wanted: Sequence[str | Triple]) -> Row:
    """What there is to judge of a port: each dtype of θ that it takes, and runs."""
    columns: tuple[str, ...] = ()
    if not port.unavailable and wanted:
        asked = asked_for(port, wanted)
        replayed = tape.TRIPLE in asked.port.triples and "float32" in asked.dtypes
        handed = bool(hand_over.tried(asked.port, asked.dtypes))
        columns = (*asked.dtypes, *[TAPE] * replayed, *[HAND_OVER] * handed)
    return Row(port.name, port.door, port.device, columns)


def _known(report: Report, dtype: str) -> Semantics | None:
    """What the diagnosis made of a dtype: the tape is then held to it."""
    return next((result.semantics for result in report.results if result.dtype == dtype), None)


def _not_run(name: str, options: Options, why: str, *, door: str = "–") -> Report:
    budget = {"max_examples": options.max_examples, "seed": options.seed}
    return not_run(name, why, door, options.device, **budget)
