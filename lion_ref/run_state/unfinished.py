"""A file until it is whole: what stood under its name stays there while anything is missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from operator import index
from pathlib import Path
from types import TracebackType
from typing import Self

from lion_ref.checks import shown
from lion_ref.dtypes import check_dtypes
from lion_ref.run_state.layout import laid_out
from lion_ref.run_state.metadata import written
from lion_ref.run_state.opened import Opened
from lion_ref.run_state.state import KINDS, Header, Tensors, check_name
from lion_ref.run_state.strict_json import check


class Unfinished:
    """A run state that is being written, tensor by tensor, by one process or by several.

        with Unfinished(path, tensors, header) as file:
            file["w"].param[...], file["w"].momentum[...] = theta, m

    The bytes go to `PATH.part`, which takes the place of `path` once all are there and on the disk;
    an error inside, or the end of the process, leaves `path` as it was. Only what is assigned at a
    time need be in memory. Where several processes write a share each, one of them calls `create`,
    each assigns and calls `sync`, and then the one calls `finish`: see `shared`.

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
        # The file that a link leads to is to be another, not the link.
        self.path = Path(os.path.realpath(path))
        check(
            self.path.is_file() or not os.path.lexists(self.path),
            f"{shown(str(path))} is no regular file",
            "a file, or what is to be one",
        )
        self.part = self.path.with_name(self.path.name + ".part")
        self._names = frozenset(tensors)
        self._asked: set[str] = set()
        self._file: Opened | None = None
        self._made: os.stat_result | None = None
        placed: dict[str, tuple[str, tuple[int, ...]]] = {}
        for name, (shape, param, momentum) in tensors.items():
            check_name(name)
            check_dtypes(param, momentum, param)
            for kind, dtype in zip(KINDS, (param, momentum), strict=True):
                placed[f"{kind}.{name}"] = dtype, tuple(map(index, shape))
        self._layout = laid_out(placed, written(header.of(tensors)))

    def create(self) -> None:
        """Make the file in its full size, or raise if there is no room, with its header."""
        # A new file, for what is left of another export may be mapped there, or a link elsewhere.
        self.part.unlink(missing_ok=True)
        number = self._hold(Opened(self.part, os.O_RDWR | os.O_CREAT | os.O_EXCL)).number
        try:
            with open(number, "wb", closefd=False) as file:
                file.write(self._layout.head)
            if hasattr(os, "posix_fallocate"):
                # Memory-mapped bytes for which there is no room on the disk would end the process.
                os.posix_fallocate(number, 0, self._layout.size)
            os.ftruncate(number, self._layout.size)
        except BaseException:
            self.discard()
            raise

    def __getitem__(self, name: str) -> Tensors:
        """θ and m of a parameter in the file: two arrays to assign to, whole or in part."""
        self._asked.add(name)
        file, tensors = self._opened(), self._layout.tensors
        return Tensors(*(file.write(tensors[f"{kind}.{name}"]) for kind in KINDS))

    def sync(self) -> None:
        """Wait until what this process has assigned is on the disk."""
        os.fsync(self._opened().number)

    def finish(self) -> None:
        """Give the file its name: all has been assigned, and synced by whoever did it."""
        self.sync()
        if not self._is_ours():
            raise FileExistsError(
                f"another export to {shown(str(self.path))} began before this one was finished; "
                "legal: one at a time"
            )
        self._opened().close()  # Windows renames no open file
        self._file = None
        self.part.replace(self.path)

    @contextmanager
    def shared(
        self, agreed: Callable[[], AbstractContextManager[None]], *, first: bool
    ) -> Iterator[None]:
        """The file while several processes write a share each, if all of them enter this.

        Args:
            agreed: what is done within it is done by all: an error in one is an error in each.
            first: whether this process makes the file and gives it its name. One does.
        """
        try:
            with agreed():
                if first:
                    self.create()
            with agreed():
                yield
                self.sync()
            with agreed():
                if first:
                    self.finish()
        except BaseException:
            if first:
                self.discard()
            raise

    def discard(self) -> None:
        """Remove what has been written."""
        if self._is_ours():
            self.part.unlink()

    def _opened(self) -> Opened:
        """The file that `create` made, here or in another process."""
        if self._file is not None:
            return self._file
        file, layout = Opened(self.part, os.O_RDWR), self._layout
        check(
            file.size == layout.size and file.head(len(layout.head)) == layout.head,
            f"{shown(str(self.part))} is of another export",
            "the same path, tensors and header in every process, and `create` in one before",
        )
        return self._hold(file)

    def _hold(self, file: Opened) -> Opened:
        self._file, self._made = file, os.fstat(file.number)
        return file

    def _is_ours(self) -> bool:
        """Whether the unfinished file is still the one that was made or opened here."""
        try:
            there = self.part.stat(follow_symlinks=False)
        except FileNotFoundError:
            return False
        return self._made is not None and os.path.samestat(there, self._made)

    def __enter__(self) -> Self:
        self.create()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                forgotten = ", ".join(map(shown, sorted(self._names - self._asked)[:20]))
                check(not forgotten, f"{forgotten} has not been assigned", "all of the run's are")
                self.finish()
        finally:
            self.discard()
