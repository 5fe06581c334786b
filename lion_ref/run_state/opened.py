"""A file that is held open, and arrays of what lies in it."""

from __future__ import annotations

import mmap
import os
import weakref
from pathlib import Path
from typing import Any, Final

import numpy as np

from lion_ref.dtypes import STORAGE_DTYPES
from lion_ref.run_state.layout import Placed

_SMALL: Final = 1 << 20


class Opened:
    """A file's bytes: the same ones, whatever file its name is given to next.

    It is closed once nothing refers to it, or by `close`.

    Args:
        path: of the file.
        flags: as `os.open` takes them.
    """

    def __init__(self, path: Path, flags: int = os.O_RDONLY) -> None:
        # Windows has a text mode, which is no mode for tensors.
        self.number = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o666)
        self.close = weakref.finalize(self, os.close, self.number)

    def __reduce__(self) -> Any:
        # Elsewhere, or once this one is closed, its number is that of another file.
        raise TypeError("an open file cannot be copied or pickled; legal: its path, and load")

    @property
    def size(self) -> int:
        """Its bytes, now."""
        return os.fstat(self.number).st_size

    def head(self, count: int) -> bytes:
        """Its first bytes, or as many as there are."""
        with open(self.number, "rb", closefd=False) as file:
            file.seek(0)
            return file.read(count)

    def read(self, placed: Placed) -> np.ndarray[Any, Any]:
        """A tensor, whose numbers may be assigned to without any change of the file.

        A small one is a copy: each map takes a descriptor, of which a process has few.
        """
        array = self._mapped(placed, mmap.ACCESS_COPY)
        return array.copy() if placed.bytes <= _SMALL else array

    def write(self, placed: Placed) -> np.ndarray[Any, Any]:
        """A tensor in the file, to be assigned to."""
        return self._mapped(placed, mmap.ACCESS_WRITE)

    def _mapped(self, placed: Placed, access: int) -> np.ndarray[Any, Any]:
        dtype = STORAGE_DTYPES[placed.dtype].newbyteorder("<")
        if not placed.bytes:  # no memory can be mapped to none
            return np.empty(placed.shape, dtype)
        before = placed.begin % mmap.ALLOCATIONGRANULARITY
        try:
            memory = mmap.mmap(
                self.number, before + placed.bytes, access=access, offset=placed.begin - before
            )
        except ValueError:
            raise ValueError(
                f"the file has {self.size} bytes, fewer than when it was opened; legal: one that "
                "nothing writes to"
            ) from None
        return np.ndarray(placed.shape, dtype, memory, before)
