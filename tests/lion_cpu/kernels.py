"""The kernel built for one set of instructions at a time: as it is, or wrong on purpose."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest
import torch

import hatch_build
from lion_cpu import library

SOURCES = Path(library.__file__).parent / "kernel"

try:
    TARGET: hatch_build.Target | None = hatch_build.this_machine(os.environ)
    WITHOUT = ""
except hatch_build.BuildError as error:
    TARGET, WITHOUT = None, str(error)

INSTRUCTIONS = (
    tuple(hatch_build.UPDATES[TARGET.processor]) if TARGET is not None else ("updates_baseline",)
)
"""The sets of instructions that update.cpp is compiled for."""

# torch's words for what the processor has.
_NEEDED = {"updates_avx2": ("AVX2", "AVX512"), "updates_avx512": ("AVX512",)}


def not_run(instructions: str) -> str:
    """Why a kernel for these instructions cannot be built and run here; empty if it can."""
    has = torch.backends.cpu.get_cpu_capability()
    if has not in _NEEDED.get(instructions, (has,)):
        return f"not run: this processor has no {instructions.removeprefix('updates_')}"
    return f"not run: {WITHOUT}" if WITHOUT else ""


class Edit(NamedTuple):
    """What stands in a source file, once, and what is put in its place."""

    file: str
    old: str
    new: str


@cache
def built(
    folder: Path,
    instructions: str,
    edits: tuple[Edit, ...] = (),
    flags: tuple[str, ...] = (),
) -> Path:
    """A library that takes one set of instructions, whatever else the processor has."""
    assert TARGET is not None
    here = folder / f"{instructions}{len(list(folder.iterdir()))}"
    kernel = here / "kernel"
    shutil.copytree(SOURCES, kernel, ignore=shutil.ignore_patterns("lion_cpu.*o", "__pycache__"))
    for file, old, new in edits:
        source = (kernel / file).read_text(encoding="utf-8")
        assert source.count(old) == 1, f"{file} has {old!r} {source.count(old)} times"
        (kernel / file).write_text(source.replace(old, new), encoding="utf-8")
    alone = {instructions: hatch_build.UPDATES[TARGET.processor][instructions]}
    path = here / hatch_build.library_name(TARGET.system)
    with (
        mock.patch.dict(hatch_build.UPDATES, {TARGET.processor: alone}),
        mock.patch.object(
            hatch_build,
            "FLAGS",
            (*hatch_build.FLAGS, f"-DLION_UPDATES={instructions}", *flags),
        ),
    ):
        hatch_build.build(TARGET, kernel, path)
    return path


@contextmanager
def taken(path: Path) -> Iterator[None]:
    """Within, lion_cpu takes the library at a path."""
    library._load.cache_clear()
    try:
        with mock.patch.object(library, "library_path", return_value=path):
            yield
    finally:
        library._load.cache_clear()


def need(instructions: str) -> None:
    """Skip the test where there is no such kernel to be had."""
    if reason := not_run(instructions):
        pytest.skip(reason)
