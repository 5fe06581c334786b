"""Run programs in processes of their own without importing their framework once for each.

One process imports what they share; a child that is forked from it for each program has done
nothing with it yet: no device is settled, no memory taken, nothing traced.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Program:
    """A command line without its interpreter, and what it has in its environment."""

    argv: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ran:
    """What a program has left."""

    returncode: int
    stdout: str
    stderr: str


def run(programs: Sequence[Program], preload: Sequence[str], *, together: bool = False) -> list[Ran]:
    """Run programs in turn or at once, each as if by an interpreter of its own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    if not hasattr(os, "fork"):

        def alone(program: Program) -> Ran:
            done = _python(program.argv, environment | program.environment)
            return Ran(done.returncode, done.stdout, done.stderr)

        with ThreadPoolExecutor(len(programs) if together else 1) as pool:
            return list(pool.map(alone, programs))
    order = {
        "preload": list(preload),
        "programs": [[list(x.argv), x.environment] for x in programs],
        "together": together,
    }
    done = _python([__file__, json.dumps(order)], environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return [Ran(*each) for each in json.loads(done.stdout.splitlines()[-1])]


def _python(
    argv: Sequence[str], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *argv],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def _forked(argv: list[str], environment: dict[str, str], folder: Path) -> Callable[[], Ran]:
    """Start a program; a function that waits for it."""
    files = [folder / name for name in ("stdout", "stderr")]
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os._exit(_become(argv, environment, files))

    def wait() -> Ran:
        _, status = os.waitpid(child, 0)
        return Ran(os.waitstatus_to_exitcode(status), *(file.read_text("utf-8") for file in files))

    return wait


def _become(argv: list[str], environment: dict[str, str], files: list[Path]) -> int:
    for descriptor, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), descriptor)
    os.environ.update(environment)
    sys.argv = argv
    sys.path[0] = str(Path(argv[0]).parent)
    try:
        runpy.run_path(argv[0], run_name="__main__")
        status = 0
    except SystemExit as exit:
        status = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    except BaseException:  # noqa: BLE001  # whatever ends an interpreter
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def main(order: str) -> None:
    wanted = json.loads(order)
    for module in wanted["preload"]:
        __import__(module)
    with tempfile.TemporaryDirectory() as folder:
        ran: list[Ran] = []
        waiting: list[Callable[[], Ran]] = []
        for index, (argv, environment) in enumerate(wanted["programs"]):
            own = Path(folder) / str(index)
            own.mkdir()
            waiting.append(_forked(argv, environment, own))
            if not wanted["together"]:
                ran.append(waiting.pop()())
        ran += [wait() for wait in waiting]
    sys.stdout.write("\n" + json.dumps([[x.returncode, x.stdout, x.stderr] for x in ran]) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
