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
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]


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


def run(
    programs: Sequence[Program], preload: Sequence[str], *, together: bool = False
) -> list[Ran]:
    """Run programs in turn or at once, each as if by an interpreter of its own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    if not hasattr(os, "fork"):

        def alone(program: Program) -> Ran:
            return _python(program.argv, environment | program.environment)

        with ThreadPoolExecutor(len(programs) if together else 1) as pool:
            return list(pool.map(alone, programs))
    each = [[list(x.argv), x.environment] for x in programs]
    done = _python([__file__, json.dumps([list(preload), each, together])], environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return [Ran(*left) for left in json.loads(done.stdout.splitlines()[-1])]


def _python(argv: Sequence[str], environment: dict[str, str]) -> Ran:
    done = subprocess.run(
        [sys.executable, *argv],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def _start(argv: list[str], environment: dict[str, str], folder: Path) -> Callable[[], Ran]:
    """Fork a program; a function that waits for it."""
    folder.mkdir()
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
    """Be the program, in a process that has just been forked; its exit status."""
    for descriptor, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), descriptor)
    os.environ.update(environment)
    sys.argv = argv
    sys.path[0] = str(Path(argv[0]).parent)
    status = 0
    try:
        runpy.run_path(argv[0], run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  # whatever ends an interpreter
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def main(order: str) -> None:
    preload, programs, together = json.loads(order)
    for module in preload:
        __import__(module)
    with tempfile.TemporaryDirectory() as folder:
        left: list[Ran] = []
        waiting: list[Callable[[], Ran]] = []
        for index, (argv, environment) in enumerate(programs):
            waiting.append(_start(argv, environment, Path(folder) / str(index)))
            if not together:
                left.append(waiting.pop()())
        left += [wait() for wait in waiting]
    sys.stdout.write("\n" + json.dumps([[x.returncode, x.stdout, x.stderr] for x in left]) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
