"""The file of vectors: built, written so that a change shows line by line, and read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Final

from lion_conformance.vectors.build import groups
from lion_conformance.vectors.flags import FLAGS
from lion_conformance.vectors.splitmix import RULE

DATA: Final = Path(__file__).parents[1] / "data"
VECTORS: Final = "lion-vectors.json"
SCHEMA: Final = "lion-vectors.schema.json"
ANSWERS_SCHEMA: Final = "lion-answers.schema.json"
FORMAT: Final = "lion-vectors"
ANSWERS_FORMAT: Final = "lion-answers"
VERSION: Final = 4
"""Raised whenever a reader of an older file would misread a newer one, or bits change."""

SIZE: Final = 10
"""Drawn cases in each group of steps of the file in the package, special cases aside."""


def build(size: int = SIZE) -> dict[str, Any]:
    """The whole document; the same for the same size, on every machine."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "size": size,
        "generator": RULE,
        "flags": {
            name: {"reason": reason, "clauses": list(clauses)}
            for name, (reason, clauses) in FLAGS.items()
        },
        "groups": list(groups(size)),
    }


def dumps(document: dict[str, Any]) -> str:
    """JSON with a line for each case, step and checkpoint."""
    return _lines(document, 0) + "\n"


def _lines(value: Any, depth: int) -> str:
    parts = value.values() if isinstance(value, dict) else value
    nests = isinstance(value, (dict, list)) and any(isinstance(x, (dict, list)) for x in parts)
    if depth == 4 or not nests:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        begin, end = "{", "}"
        items = [f"{json.dumps(key)}: {_lines(x, depth + 1)}" for key, x in value.items()]
    else:
        begin, end = "[", "]"
        items = [_lines(x, depth + 1) for x in value]
    indent = " " * (depth + 1)
    return f"{begin}\n" + ",\n".join(indent + item for item in items) + f"\n{' ' * depth}{end}"


def export(folder: Path, size: int = SIZE) -> list[Path]:
    """Write the vectors and both schemas into a folder; the paths written.

    Raises:
        ValueError: a size that is not legal, a folder that cannot be made.
    """
    if type(size) is not int or size < 1:
        raise ValueError(f"size={size!r} is not legal; legal: an integer >= 1")
    make(folder)
    path = folder / VECTORS
    path.write_text(dumps(build(size)), encoding="utf-8")
    written = [path]
    for name in (SCHEMA, ANSWERS_SCHEMA):
        if (folder / name).resolve() != (DATA / name).resolve():
            shutil.copyfile(DATA / name, folder / name)
        written.append(folder / name)
    return written


def make(folder: Path) -> None:
    """Make a folder that is not there; ValueError in one line if it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"folder={str(folder)!r} is not legal: {error.strerror}; legal: one that can be made"
        ) from error


def load(path: Path, wanted: str) -> dict[str, Any]:
    """A document of a format; ValueError in one line for anything else."""
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"{path} is not legal: {error.strerror}; legal: a file that can be read"
        ) from error
    except ValueError as error:
        raise ValueError(f"{path.name} is no JSON: {error}") from error
    found = (document.get("format"), document.get("version")) if isinstance(document, dict) else ()
    if found != (wanted, VERSION):
        raise ValueError(
            f"{path.name} is not legal; legal: a JSON object with "
            f'"format": "{wanted}", "version": {VERSION}'
        )
    checked: dict[str, Any] = document
    return checked
