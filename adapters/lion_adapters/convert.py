"""Convert a run from one form of file to another, all of it checked before anything is written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lion_adapters.forms import FORMS, checkpoints, of_ending, recognised
from lion_ref import run_state
from lion_ref.checks import listed, shown
from lion_ref.run_state import Checkpoint, Group, Header, Tensors


@dataclass(frozen=True, slots=True)
class Converted:
    """What was read, and where it went.

    Attributes:
        source, target: the names of the forms.
        header: steps done and groups.
        parameters: how many.
        size: bytes of the target.
    """

    source: str
    target: str
    header: Header
    parameters: int
    size: int


def convert(
    source: Path,
    target: Path,
    *,
    to: str | None = None,
    step: int | None = None,
    numbers: Group | None = None,
    mapping: Mapping[str, Any] | None = None,
    like: Path | None = None,
    force: bool = False,
) -> Converted:
    """Convert a run; the source is only read, and the target is there once it is whole.

    Args:
        source: of any form, which is told by what is in it.
        target: where to.
        to: the target's form; by its ending if omitted.
        step: how many steps have been done, for a source that does not say so.
        numbers: η, β1, β2 and λ, likewise.
        mapping: from a name in the source to the name in the target, or to that and an order of
            axes as numpy.transpose takes it. Others stay as they are.
        like: for a Keras file, one that Keras saved of the same model, of which it becomes a copy.
        force: replace what is there, if that is of a known form.

    Raises:
        ValueError, TypeError: a source that is no run, and what the target cannot have.
        ImportError: the framework of a form is not installed.
        OSError: a file cannot be read or written.
    """
    own = recognised(source)
    form = to or of_ending(target)
    _check_target(source, target, force)
    if like is not None and form != "keras":
        raise ValueError(
            f"--like is for a Keras file, and {shown(str(target))} is {FORMS[form].words}"
        )
    if like is None and form == "keras":
        raise ValueError(
            f"{shown(str(target))}: Keras alone can make a file of a model; legal: --like, and a "
            "file that Keras saved of the same model after a step"
        )
    found = _read(own, source, step, numbers)
    if mapping is not None:
        found = found._replace(checkpoint=_renamed(found.checkpoint, mapping, source))
    with tempfile.TemporaryDirectory(prefix=".lion-ref-", dir=target.absolute().parent) as folder:
        new = Path(folder, target.name)
        _write(form, found, new, like)
        size = _size(new)
        _put(new, target, Path(folder, ".replaced"))
    header = Header(found.checkpoint.step, found.checkpoint.groups)
    return Converted(own, form, header, len(found.checkpoint.tensors), size)


class _Read(NamedTuple):
    """A run, and what a run state alone says besides."""

    checkpoint: Checkpoint
    versions: Mapping[str, str]


def _read(form: str, path: Path, step: int | None, numbers: Group | None) -> _Read:
    if form in ("run-state", "torch") and numbers is not None:
        raise ValueError(
            f"{shown(str(path))}: {FORMS[form].words} has η, β1, β2 and λ; legal: without --lr"
        )
    if form == "run-state":
        if step is not None:
            raise ValueError(f"{shown(str(path))}: a run state has its step; legal: without --step")
        state = run_state.load(path)
        header = state.header
        found = Checkpoint(state.tensors, header.step, header.groups, header.semantics)
        return _Read(found, header.versions)
    given = {} if form == "torch" else {"numbers": numbers}
    return _Read(checkpoints(FORMS[form]).read(path, step=step, **given), {})


def _write(form: str, found: _Read, path: Path, like: Path | None) -> None:
    if form == "run-state":
        run_state.save(path, **found.checkpoint._asdict(), versions=found.versions)
        return
    given = {"like": like} if form == "keras" else {}
    checkpoints(FORMS[form]).write(found.checkpoint, path, **given)


# --- names ------------------------------------------------------------------------------------


def _renamed(checkpoint: Checkpoint, mapping: Mapping[str, Any], path: Path) -> Checkpoint:
    """A run under other names; ValueError, of all that is wrong, before any is read."""
    wrong = [f"{shown(name)} is not in it" for name in mapping if name not in checkpoint.tensors]
    places: dict[str, tuple[str, tuple[int, ...] | None]] = {}
    origin: dict[str, str] = {}
    for name in checkpoint.tensors:
        target, axes = _place(mapping.get(name, name))
        if target is None:
            wrong.append(f"{shown(name)} is mapped to {shown(mapping[name])}")
            continue
        rank = len(checkpoint.tensors[name].param.shape) if axes is not None else 0
        if axes is not None and sorted(axes) != list(range(rank)):
            wrong.append(f"{shown(name)} has {rank} axes, not {shown(list(axes))}")
        if target in origin:
            wrong.append(f"{shown(target)} would be of {shown(origin[target])} and {shown(name)}")
        origin[target], places[target] = name, (name, axes)
    if wrong:
        raise ValueError(
            f"{shown(str(path))}: the mapping does not fit. {listed(wrong, '; ')}; legal: from a "
            "name in it to a name, or to [name, [axes]], each name once"
        )
    names = {name: target for target, name in origin.items()}
    header = Header(checkpoint.step, checkpoint.groups).renamed(names)
    return checkpoint._replace(tensors=_Renamed(checkpoint.tensors, places), groups=header.groups)


def _place(place: Any) -> tuple[str | None, tuple[int, ...] | None]:
    """A name, and an order of axes if there is one; None for anything else."""
    if isinstance(place, str):
        return place, None
    if isinstance(place, list) and len(place) == 2:
        name, axes = place
        if isinstance(name, str) and isinstance(axes, list):
            return (name, tuple(axes)) if all(type(x) is int for x in axes) else (None, None)
    return None, None


class _Renamed(Mapping[str, Tensors]):
    """Tensors by other names, and in other orders of axes, each read when it is asked for."""

    def __init__(
        self,
        tensors: Mapping[str, Tensors],
        places: Mapping[str, tuple[str, tuple[int, ...] | None]],
    ) -> None:
        self._tensors = tensors
        self._places = places

    def __getitem__(self, name: str) -> Tensors:
        old, axes = self._places[name]
        pair = self._tensors[old]
        return pair if axes is None else Tensors(*(np.transpose(x, axes) for x in pair))

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


# --- the target -------------------------------------------------------------------------------


def _check_target(source: Path, target: Path, force: bool) -> None:
    """ValueError unless the target may be written."""
    folder = target.absolute().parent
    if not folder.is_dir():
        raise ValueError(f"{shown(str(folder))} is no folder; legal: one that is there")
    if source.resolve() in target.resolve().parents:
        raise ValueError(f"{shown(str(target))} is in the source; legal: another folder")
    if not os.path.lexists(target):
        return
    if not force:
        raise ValueError(f"{shown(str(target))} is there already; legal: another name, or --force")
    if target.exists() and source.exists() and target.samefile(source):
        raise ValueError(f"{shown(str(target))} is the source; legal: another name")
    try:
        recognised(target)
    except ValueError:
        raise ValueError(
            f"{shown(str(target))} is there, and is no file of a run; legal: another name"
        ) from None


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [x for x in path.rglob("*") if x.is_file()]
    return sum(file.stat().st_size for file in files)


def _put(new: Path, target: Path, replaced: Path) -> None:
    """Give a file or folder its place; what was there is moved away first if it is a folder."""
    if not (new.is_dir() or target.is_dir()) or not os.path.lexists(target):
        new.replace(target)
        return
    target.rename(replaced)
    try:
        new.rename(target)
    except BaseException:
        replaced.rename(target)
        raise
    shutil.rmtree(replaced) if replaced.is_dir() else replaced.unlink()
