"""Worlds of processes, one after another, for the programs that check what sharding keeps."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

World = TypeVar("World")


def each_forked(
    run: Callable[..., None], folder: Path, worlds: Iterable[tuple[World, int, tuple[Any, ...]]]
) -> None:
    """`run(folder, world, *arguments, rank)` in each process of a world; exits if one fails.

    Args:
        run: what each process does.
        folder: where it leaves what it finds.
        worlds: each with its number of processes, and further arguments.
    """
    # Forked: what is imported by now need not be imported by every process, as torch does later.
    importlib.import_module("torch._dynamo")
    context = multiprocessing.get_context("fork")
    for world, size, arguments in worlds:
        processes = [
            context.Process(target=run, args=(folder, world, *arguments, rank))
            for rank in range(size)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(120)
        if any(process.exitcode for process in processes):
            for process in processes:
                process.kill()
            sys.exit(f"world of {world}: exit codes {[p.exitcode for p in processes]}")


def found_by(program: str, folder: Path, files: dict[World, list[str]]) -> dict[World, list[Any]]:
    """What each process of each world of a program left in its file."""
    ran = subprocess.run(
        [sys.executable, "-m", program, str(folder)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
    )
    assert ran.returncode == 0, ran.stderr
    return {
        world: [json.loads((folder / name).read_text(encoding="utf-8")) for name in names]
        for world, names in files.items()
    }
