"""A file until it is whole: what stood under its name stays there while anything is missing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from lion_ref.dtypes import check_dtypes
from lion_ref.run_state.layout import check_name, laid_out
from lion_ref.run_state.state import KINDS, Header, Tensors, written


class Unfinished:
    """A run state that is being written, tensor by tensor, by one process or by several.

        with Unfinished(path, tensors, header) as file:
            file["w"].param[...], file["w"].momentum[...] = theta, m

    The bytes go to `PATH.part`, which takes the place of `path` once all are there and on the disk;
    an error inside, or the end of the process, leaves `path` as it was. Only what is assigned at a
    time need be in memory. Where several processes write a share each, one of them calls `create`,
    each assigns and calls `sync`, and then the one calls `finish`.

    Args:
        path: where the file is to be.
        tensors: for each parameter by name its shape and the names of the dtypes of θ and m.
        header: the rest of the run.

    Raises:
        ValueError: a name, a group or a number that is not legal. TypeError: dtypes that are not.
        OSError: no room, no right; nothing of the old file is touched.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        tensors: Mapping[str, tuple[tuple[int, ...], str, str]],
        header: Header,
    ) -> None:
        self.path = Path(path)
        self.part = self.path.with_name(self.path.name + ".part")
        placed: dict[str, tuple[str, tuple[int, ...]]] = {}
        for name, (shape, param, momentum) in tensors.items():
            check_name(name)
            check_dtypes(param, momentum, param)
            for kind, dtype in zip(KINDS, (param, momentum), strict=True):
                placed[f"{kind}.{name}"] = dtype, tuple(shape)
        self._layout = laid_out(placed, written(header.of(tensors)))

    def create(self) -> None:
        """Make the file in its full size, or raise if there is no room, with its header."""
        with self.part.open("wb") as file:
            file.write(self._layout.head)
            file.flush()
            if hasattr(os, "posix_fallocate"):
                # Memory-mapped bytes for which there is no room on the disk would end the process.
                os.posix_fallocate(file.fileno(), 0, self._layout.size)
            file.truncate(self._layout.size)

    def __getitem__(self, name: str) -> Tensors:
        """θ and m of a parameter in the file: two arrays to assign to, whole or in part."""
        with self.part.open("r+b") as file:
            placed = (self._layout.tensors[f"{kind}.{name}"] for kind in KINDS)
            return Tensors(*(x.mapped(file, "r+") for x in placed))

    def sync(self) -> None:
        """Wait until what this process has assigned is on the disk."""
        with self.part.open("r+b") as file:
            os.fsync(file.fileno())

    def finish(self) -> None:
        """Give the file its name: all has been assigned, and synced by whoever did it."""
        self.sync()
        self.part.replace(self.path)

    def discard(self) -> None:
        """Remove what has been written."""
        with suppress(FileNotFoundError):
            self.part.unlink()

    def __enter__(self) -> Self:
        self.create()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self.discard()
