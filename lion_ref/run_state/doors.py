"""`save` and `load`: a run in NumPy's arrays, and the way for who has no framework."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lion_ref.checks import as_array, check_shapes, shown
from lion_ref.dtypes import check_dtypes, storage_name
from lion_ref.run_state.layout import Placed, header_length, parsed
from lion_ref.run_state.metadata import read
from lion_ref.run_state.opened import Opened
from lion_ref.run_state.state import KINDS, Group, Header, Tensors, check_name
from lion_ref.run_state.strict_json import check
from lion_ref.run_state.unfinished import Unfinished
from lion_ref.semantics import CANONICAL, Semantics


@dataclass(frozen=True, slots=True)
class RunState:
    """A run as a file has it.

    Attributes:
        path: of the file.
        header: how many steps have been done, the groups with their numbers, the semantics, the
            versions.
        tensors: θ and m by name. Each is taken from the file when it is asked for, one above 1 MiB
            as a memory map; assigning to it changes no file. The file stays open for it, so it is
            the same file even if another has been given its name.
    """

    path: Path
    header: Header
    tensors: _Tensors


class _Tensors(Mapping[str, Tensors]):
    """θ and m by name, each taken from the file as it is asked for."""

    def __init__(self, file: Opened, placed: Mapping[str, tuple[Placed, Placed]]) -> None:
        self._file = file
        self._placed = placed

    def __getitem__(self, name: str) -> Tensors:
        return Tensors(*map(self._file.read, self._placed[name]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._placed)

    def __len__(self) -> int:
        return len(self._placed)

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a parameter, without reading it."""
        return self._placed[name][0].shape

    def dtypes(self, name: str) -> tuple[str, str]:
        """The names of the dtypes of θ and m."""
        param, momentum = self._placed[name]
        return param.dtype, momentum.dtype


def save(
    path: str | os.PathLike[str],
    tensors: Mapping[str, tuple[Any, Any]],
    *,
    step: int,
    groups: Group | Sequence[Group],
    semantics: Semantics = CANONICAL,
    versions: Mapping[str, str] | None = None,
) -> None:
    """Write a run to a file, which load and the adapters' import_state read (SPEC C34).

    The file is written beside its place and put there once it is whole.

    Args:
        path: where to.
        tensors: (θ, m) by name: arrays of any strides, or what `np.asarray` makes one of, each when
            it is written. It has to have a shape and a dtype.
        step: how many steps have been done.
        groups: η, β1, β2, λ, and which parameters have them.
        semantics: which bits the steps had.
        versions: of what made the run, by package; lion_ref's is added.

    Raises:
        TypeError, ValueError: a name, dtype, shape or number that is not legal.
        OSError: the file cannot be written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "run.safetensors")
    >>> theta, m = np.ones(3, np.float32), np.zeros(3, np.float32)
    >>> save(path, {"w": (theta, m)}, step=10, groups=Group(lr=1e-4))
    >>> state = load(path)
    >>> state.header.step, state.header.group_of("w").lr, state.tensors["w"].param
    (10, 0.0001, array([1., 1., 1.], dtype=float32))
    """
    described = {name: _described(name, *pair) for name, pair in tensors.items()}
    given = (groups,) if isinstance(groups, Group) else tuple(groups)
    header = Header(step, given, semantics, dict(versions or {}))
    with Unfinished(path, described, header) as file:
        for name, pair in tensors.items():
            for place, source in enumerate(pair):  # θ's map is gone before m's is filled
                _assign(f"{KINDS[place]} of {shown(name)}", file[name][place], source)


def _described(name: str, param: Any, momentum: Any) -> tuple[tuple[int, ...], str, str]:
    """The shape, and the dtypes' names, of a parameter and its momentum."""
    try:
        check_dtypes(param.dtype, momentum.dtype, param.dtype)
        check_shapes(param.shape, momentum=momentum.shape)
    except AttributeError:
        raise TypeError(
            f"the tensors of {shown(name)} are of types {type(param).__name__} and "
            f"{type(momentum).__name__}; legal: two arrays, θ and m"
        ) from None
    except (TypeError, ValueError) as error:
        raise type(error)(f"{shown(name)}: {error}") from None
    return tuple(param.shape), storage_name(param.dtype), storage_name(momentum.dtype)


def _assign(what: str, target: np.ndarray[Any, Any], source: Any) -> None:
    """Copy every bit, or raise if the array is another than its shape and dtype had said."""
    array = as_array(what, source)
    if array.shape != target.shape or storage_name(array.dtype) != target.dtype.name:
        raise ValueError(
            f"{what} has become {array.dtype} of shape {array.shape}; legal: {target.dtype} of "
            f"shape {target.shape}, as it was"
        )
    target[...] = array


def load(path: str | os.PathLike[str]) -> RunState:
    """A run from a file, its tensors mapped into memory as they are asked for (SPEC C34).

    Nothing in the file is run, and no number of it is believed before it is held against its size.

    Raises:
        ValueError: no run state, or a damaged one: in one line what is wrong with it.
        OSError: the file cannot be read.
    """
    place = Path(path)
    try:
        # Not opened before it is known to be one: opening a pipe waits for who writes to it.
        check(stat.S_ISREG(place.stat().st_mode), "it is no regular file", "a run state")
        file = Opened(place)
        size = file.size
        length = header_length(file.head(8), size)
        tensors, text = parsed(file.head(8 + length), size)
        placed = _paired(tensors)
        return RunState(place, read(text).of(placed), _Tensors(file, placed))
    except ValueError as error:
        raise ValueError(f"{shown(str(place))}: {error}") from None


def _paired(tensors: Mapping[str, Placed]) -> dict[str, tuple[Placed, Placed]]:
    """θ and m by their parameter's name."""
    found: dict[str, dict[str, Placed]] = {}
    for key, placed in tensors.items():
        kind, _, name = key.partition(".")
        if kind not in KINDS:
            legal = ", ".join(f"{kind}.NAME" for kind in KINDS)
            raise ValueError(f"it has a tensor {shown(key)}; legal: {legal}")
        check_name(name)
        found.setdefault(name, {})[kind] = placed
    paired = {}
    for name, both in found.items():
        if len(both) < len(KINDS):
            raise ValueError(f"{shown(name)} has a {next(iter(both))} alone; legal: both")
        param, momentum = (both[kind] for kind in KINDS)
        try:
            check_dtypes(param.dtype, momentum.dtype, param.dtype)
            check_shapes(param.shape, momentum=momentum.shape)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{shown(name)}: {error}") from None
        paired[name] = param, momentum
    return paired
