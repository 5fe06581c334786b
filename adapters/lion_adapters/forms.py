"""The forms of file that a run can have, told by what is in a file, and their readers and writers.

A reader gives a `lion_ref.run_state.Checkpoint`, and a writer takes one. Those of a framework's own
files are in its adapter, which is imported when one of its files is read or written.
"""

from __future__ import annotations

import importlib
import os
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from lion_adapters.backends import pick
from lion_ref.checks import shown


@dataclass(frozen=True, slots=True)
class Form:
    """A form of file.

    Attributes:
        words: what it is called in a sentence.
        backend: whose files these are, as `pick` knows it; "" for a run state, which needs none.
        endings: of the names that such files have.
        environment: what the backend is to find set where nothing is.
    """

    words: str
    backend: str = ""
    endings: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


FORMS: Final = {
    "run-state": Form("a run state", "", (".safetensors",)),
    "torch": Form("a PyTorch checkpoint", "torch", (".pt", ".pth", ".ckpt", ".bin")),
    # On the host alone: memory of a GPU is not taken from who trains there.
    "orbax": Form("an Orbax folder", "jax", (".orbax",), (("JAX_PLATFORMS", "cpu"),)),
    "keras": Form(
        "a Keras file",
        "tensorflow",
        (".keras", ".weights.h5"),
        (("KERAS_BACKEND", "tensorflow"), ("TF_CPP_MIN_LOG_LEVEL", "3")),
    ),
}
_LEGAL: Final = ", ".join(form.words for form in FORMS.values())


def recognised(path: Path) -> str:
    """Which form a file has, by what is in it and not by its name.

    Raises:
        ValueError: none. OSError: it cannot be read.
    """
    if path.is_dir():
        if any((path / below / "_METADATA").is_file() for below in ("", "default")):
            return "orbax"
        raise ValueError(
            f"{shown(str(path))} is a folder, but none of one tree of Orbax's{_steps(path)}; "
            f"legal: {_LEGAL}"
        )
    path.stat()  # an OSError that says so if there is none
    if not path.is_file():
        raise ValueError(f"{shown(str(path))} is no regular file; legal: {_LEGAL}")
    with path.open("rb") as file:
        head = file.read(9)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "keras"
    if head[8:] == b"{":  # its length before it may begin as a pickle does
        return "run-state"
    names = _members(path)
    if "config.json" in names:
        return "keras"
    if any(name.endswith("data.pkl") for name in names):
        return "torch"
    if head.startswith(b"\x80"):  # a pickle: PyTorch's adapter says what it makes of it
        return "torch"
    raise ValueError(f"{shown(str(path))} is of no form that is known; legal: {_LEGAL}")


def _steps(path: Path) -> str:
    """Which folders in one are such a folder, as the steps of Orbax's CheckpointManager are."""
    places = (found.parent for deep in ("*", "*/*") for found in path.glob(f"{deep}/_METADATA"))
    found = sorted(str(x.parent if x.name == "default" else x) for x in places)
    return f", as {shown(found[-1])} in it is" if found else ""


def _members(path: Path) -> list[str]:
    """The names in a zip archive; none if it is no whole one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return []


def of_ending(path: Path) -> str:
    """Which form a file that is to be written has, by the end of its name; ValueError if none."""
    for name, form in FORMS.items():
        if path.name.endswith(form.endings):
            return name
    endings = ", ".join(ending for form in FORMS.values() for ending in form.endings)
    raise ValueError(
        f"{shown(str(path))} ends in nothing that says its form; legal: {endings}, or --to FORM"
    )


def checkpoints(form: Form) -> ModuleType:
    """The module of an adapter that reads and writes the form; ImportError that says what to do."""
    for name, value in form.environment:
        os.environ.setdefault(name, value)
    with _silent():
        adapter = pick(form.backend)
        return importlib.import_module(adapter.__name__ + ".checkpoints")


@contextmanager
def _silent() -> Iterator[None]:
    """Keep a framework from writing to standard error while it is imported: it says who it is."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
