"""Saved runs that go on in another process: what was only in memory is lost there.

One process restores the saved runs of all dtypes, since a framework's import is what costs time:

    python -m lion_conformance.runs.other_process

reads pickles from stdin and writes one to stdout for each; all are this module's own.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, Any, Final, Self, cast

import numpy as np

from lion_conformance.ports.offers import Offer
from lion_conformance.ports.protocol import Port, PortError
from lion_conformance.runs.avoiding import avoiding
from lion_conformance.runs.events import Freeze, Restore, Schedule, Step
from lion_conformance.runs.follow import judged
from lion_conformance.runs.observed import ObservedSession
from lion_conformance.runs.script import DECAYS, OTHER_BETAS, RATES, Script, triples_of
from lion_conformance.runs.trajectory import Trajectory
from lion_conformance.verdict.failure import RunFailure
from lion_conformance.verdict.tally import Tally
from lion_ref.arithmetic import Array

Shown = tuple[list[Array], list[Array]]

TIMEOUT: Final = 600.0
AFTER = 3
"""Steps after the run is restored."""

SHAPES = ((31,), (), (0,), (31,))


@dataclass(frozen=True, slots=True)
class Job:
    """A run that was saved, and what is to happen to it elsewhere."""

    saved: bytes
    steps: tuple[Step, ...]


class Replayed:
    """A session of another process, as the states that it showed there."""

    def __init__(self, shown: list[Shown], saved: bytes) -> None:
        del saved  # restored there
        self._shown = list(shown)

    def step(self, *_: object, **__: object) -> None:
        """The next state: the step was made there."""
        del self._shown[0]

    step_as_scheduled = step

    def read(self) -> Shown:
        """The state after the last step."""
        return self._shown[0]


def why_not(port: Port) -> str:
    """Why a port's runs cannot be restored in another process; nothing if they can."""
    if Offer.RESTORE not in port.offers:
        return Offer.RESTORE.value
    try:
        for_another = pickle.dumps(port.restore)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        text = " ".join(str(error).split())[:200]
        return f"restore in a fresh process ({port.name}'s restore has no name there: {text})"
    if b"__main__" in for_another:
        return f"restore in a fresh process ({port.name}'s restore is defined in __main__)"
    return ""


class FreshProcess:
    """A process in which nothing was saved: restores runs, of several ports if it is given them."""

    def __init__(self) -> None:
        import tempfile  # with all that it imports, for the few ports that restore

        self._process: subprocess.Popen[bytes] | None = None
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._said.close()

    def restored(self, port: Port, jobs: list[Job]) -> list[list[Shown]]:
        """The states that each run shows there; PortError where it shows none."""
        if self._process is None or self._process.poll() is not None:
            command = [sys.executable, "-m", "lion_conformance.runs.other_process"]
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._said)
        late = threading.Timer(TIMEOUT, self._process.kill)
        late.start()
        try:
            states: list[list[Shown]] = self._asked(self._process, port, jobs)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            code = self._process.wait()
            raise PortError(self._why(code, in_time=late.is_alive())) from error
        finally:
            late.cancel()
        return states

    @staticmethod
    def _asked(process: subprocess.Popen[bytes], port: Port, jobs: list[Job]) -> Any:
        into, out = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        pickle.dump((sys.path, pickle.dumps((port.restore, jobs))), into)
        into.flush()
        return pickle.load(out)

    def _why(self, code: int, *, in_time: bool) -> str:
        if not in_time:
            return f"restoring in a fresh process took more than {TIMEOUT:g} s"
        if not code:
            return "restoring in a fresh process ended it with status 0 and no answer"
        self._said.seek(0)
        text = " ".join(self._said.read().decode("utf-8", "backslashreplace").split())[-300:]
        return f"restoring in a fresh process failed: {text}"


def judge_elsewhere(
    port: Port, tallies: dict[str, Tally], fresh: FreshProcess | None = None
) -> dict[str, RunFailure[Trajectory]]:
    """Let a run of each dtype of θ go on in a fresh process; those that are rejected.

    fresh: the process, if others have a part in it; else this port has one to itself.
    """
    if fresh is None:
        with FreshProcess() as alone:
            return judge_elsewhere(port, tallies, alone)
    failures: dict[str, RunFailure[Trajectory]] = {}
    runs = {dtype: avoiding(_run(port, dtype), x.refusals) for dtype, x in tallies.items()}
    shown: dict[str, list[Shown]] = {dtype: [] for dtype in tallies}
    sessions: dict[str, ObservedSession] = {}
    jobs: list[Job] = []
    try:
        for dtype, run in runs.items():
            there = replace(port, restore=partial(Replayed, shown[dtype]))
            session = sessions[dtype] = ObservedSession(
                there, run.start, beta1=run.beta1, beta2=run.beta2
            )
            for event in run.events[: _restoring(run)]:
                session.apply(event)  # judged already, in the fixed runs
            steps = (x for x in run.events[_restoring(run) :] if isinstance(x, Step))
            thawed = (x.with_grads(tuple(session.thawed(x))) for x in steps)
            jobs.append(Job(session.saved(), tuple(thawed)))
        states = fresh.restored(port, jobs)
    except PortError as error:
        for dtype, run in runs.items():
            failed = run.until(_restoring(run))
            failures[dtype] = RunFailure(failed, failed.unanswered(error))
        return failures
    for (dtype, run), found in zip(runs.items(), states, strict=True):
        shown[dtype] += found
        answered = map(sessions[dtype].apply, run.events[_restoring(run) :])
        failure = judged(run, answered, tallies[dtype], first=_restoring(run))
        if failure is not None:
            failures[dtype] = failure
    return failures


def _run(port: Port, dtype: str) -> Trajectory:
    # A gradient that is missing and a schedule are compiled for.
    offers = frozenset({Offer.RESTORE}) if port.compiles else port.offers
    script = Script(3, triples_of(port, dtype)[:1], SHAPES, OTHER_BETAS, offers)
    script.step().step().then(Freeze(0), Schedule(RATES, DECAYS)).step(scheduled=True)
    script.then(Restore(fresh=True))
    for _ in range(AFTER):
        script.step(scheduled=True)
    return script.written()


def _restoring(run: Trajectory) -> int:
    """Which of a run's events is the restoring."""
    return run.events.index(Restore(fresh=True))


def main() -> None:
    """Restore each run, let its steps happen, and write the states; again, until all is said."""
    with suppress(EOFError):
        while True:
            _answer(*pickle.load(sys.stdin.buffer))


def _answer(path: list[str], rest: bytes) -> None:
    sys.path[:] = path
    with redirect_stdout(sys.stderr), np.errstate(all="ignore"):
        restore, jobs = pickle.loads(rest)
        states = pickle.dumps([_continued(restore(job.saved), job.steps) for job in jobs])
    sys.stdout.buffer.write(states)
    sys.stdout.buffer.flush()


def _continued(session: Any, steps: Sequence[Step]) -> list[Shown]:
    def shown() -> Shown:
        params, momenta = session.read()
        return [np.array(x) for x in params], [np.array(x) for x in momenta]

    states = [shown()]
    for step in steps:
        step.happen(session, list(step.grads))
        states.append(shown())
    return states


if __name__ == "__main__":
    main()
