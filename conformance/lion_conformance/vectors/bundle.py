"""The vectors as one archive for people without Python: with a page that says all they need.

It has the same bytes on every machine: members are stored as they are, since what compression makes
of them is a matter of the library, and all bear the date at which the format begins.
"""

from __future__ import annotations

import importlib.metadata
import zipfile
from pathlib import Path
from typing import Final

import lion_ref
from lion_conformance.vectors import document

PAGE: Final = document.DATA / "vectors-README.md"


def export(folder: Path) -> Path:
    """Write lion-vectors-VERSION.zip into a folder; its path. The vectors are those of the package.

    Raises:
        ValueError: a folder that cannot be made.
        OSError: an archive that cannot be written.
    """
    name = f"lion-vectors-{lion_ref.__version__}"
    members = {"README.md": PAGE.read_bytes(), "LICENSE": _license()}
    for file in (document.VECTORS, document.SCHEMA, document.ANSWERS_SCHEMA):
        members[file] = (document.DATA / file).read_bytes()
    document.make(folder)
    path = folder / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for member, data in sorted(members.items()):
            info = zipfile.ZipInfo(f"{name}/{member}")  # dated 1980-01-01, midnight
            info.create_system, info.external_attr = 3, 0o100644 << 16
            archive.writestr(info, data)
    return path


def _license() -> bytes:
    """The license, as it is installed beside the packages."""
    for file in importlib.metadata.files("lion-ref") or ():
        if file.name == "LICENSE":
            return Path(str(file.locate())).read_bytes()
    raise ValueError("lion-ref has no LICENSE beside it; legal: one that pip has installed")
