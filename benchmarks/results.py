"""What a benchmark reports: a heading that says what ran where and when, tables, times in rounds.

    report = Report("One step of lion_tf", ["tensorflow", "keras"])
    report.section("16M, float32")
    times = in_rounds({"a copy": copy, "lion_tf": step}, rounds=9)
    rows = [[name, f"{median(taken) * 1e3:.2f}"] for name, taken in times.items()]
    report.table(["", "ms"], rows)
    report.save(arguments.save)

All of it is Markdown, printed as it comes; `save` writes the same into a file, and does nothing
if it is given None. `add_save_option(parser, "tf_step")` adds the option `--save`, whose default
file is benchmarks/results/tf_step.md.
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import Distribution, version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Mapping, Sequence

RESULTS = Path(__file__).parent / "results"
Name = TypeVar("Name")


class Report:
    """A benchmark's findings in Markdown, printed line by line and kept."""

    def __init__(
        self, title: str, packages: Sequence[str], *remarks: str, command: str | None = None
    ) -> None:
        """Print the title, the command line, the date, the versions and the machine.

        Args:
            title: what was measured.
            packages: the distributions whose versions matter, beside NumPy.
            remarks: what else matters: the device, the number of threads.
            command: what was called, if it was not this program.
        """
        self._lines: list[str] = []
        self.text(f"# {title}\n")
        self.text(", ".join([f"`{command or command_line()}`", *setting(packages), *remarks]) + ".")

    def section(self, title: str) -> None:
        """A heading."""
        self.text(f"\n## {title}\n")

    def text(self, text: str) -> None:
        """A line, or several."""
        self._lines.append(text)
        print(text, flush=True)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table whose first column is names and whose others are numbers."""
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]

        def line(cells: Sequence[str]) -> str:
            first, *others = zip(cells, widths, strict=True)
            padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
            return "| " + " | ".join(padded) + " |"

        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        self.text("\n".join([line(heads), line(rule), *map(line, rows)]))

    def save(self, path: Path | None) -> None:
        """Write all of it into a file, if there is to be one."""
        if path is not None:
            path.write_text("\n".join(self._lines) + "\n", encoding="utf-8")


def add_save_option(parser: argparse.ArgumentParser, name: str) -> None:
    """--save [FILE]: by default into benchmarks/results/NAME.md."""
    default = RESULTS / f"{name}.md"
    parser.add_argument(
        "--save",
        nargs="?",
        type=Path,
        const=default,
        metavar="FILE",
        help=f"write the report into a file as well, {default.name} beside this script's results",
    )


def command_line() -> str:
    """How this program was started, from the repository's root; without the files it writes."""
    words = sys.argv[1:]
    for option in {"--save", "--figures"}.intersection(words):
        place = words.index(option)
        has_value = words[place + 1 : place + 2] and not words[place + 1].startswith("-")
        del words[place : place + (2 if has_value else 1)]
    return shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])


def setting(packages: Sequence[str]) -> list[str]:
    """The date, the versions and the machine."""
    versions = [f"{package} {version(package)}" for package in (*packages, "numpy")]
    machine = platform.machine().replace("_", "-")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    today = datetime.now(UTC).date().isoformat()
    return [today, *versions, f"Python {platform.python_version()}", f"{machine}, {cores} cores"]


def present(packages: Iterable[str]) -> list[str]:
    """Those of the distributions that are installed."""
    return [name for name in packages if any(Distribution.discover(name=name))]


def graphics_driver() -> str:
    """The first graphics card and its driver's version, as nvidia-smi names them."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    card, driver = found.stdout.splitlines()[0].split(", ")
    return f"{card}, driver {driver}"


def seconds(task: Callable[[], Any]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def in_rounds(
    tasks: Mapping[Name, Callable[[], Any]],
    rounds: int,
    seconds: Callable[[Callable[[], Any]], float] = seconds,
) -> dict[Name, list[float]]:
    """The seconds of each task, in each of several rounds in which every task has one turn.

    Whatever else the machine does then slows all alike. Two rounds before touch the memory.
    """
    times: dict[Name, list[float]] = {name: [] for name in tasks}
    for number in range(-2, rounds):
        for name, task in tasks.items():
            taken = seconds(task)
            if number >= 0:
                times[name].append(taken)
    return times


def ratio(times: Sequence[float], baseline: Sequence[float]) -> float:
    """The median ratio of two tasks' times in the same rounds."""
    return median(a / b for a, b in zip(times, baseline, strict=True))
