"""Files of others' forms, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of `path` once it is whole and on the disk (SPEC C34).

    What was there stays until then, and stays for good where something is raised inside. A link is
    followed: the file that it leads to is replaced.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "run")
    >>> with replacing(path) as file:
    ...     file.write(b"whole"), path.exists()
    (5, False)
    >>> path.read_bytes()
    b'whole'
    """
    place = Path(os.path.realpath(path))
    part = place.with_name(place.name + ".part")
    part.unlink(missing_ok=True)  # what is left of another, or a link elsewhere
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(place)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
