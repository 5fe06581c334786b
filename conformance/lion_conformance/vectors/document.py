"""The file of vectors: built, written so that a change shows line by line, and read."""

from __future__ import annotations

import json
import reprlib
import shutil
from pathlib import Path
from typing import Any, Final

from lion_conformance.vectors.build import groups
from lion_conformance.vectors.flags import FLAGS
from lion_conformance.vectors.schema import fault as fault_of_form
from lion_conformance.vectors.sound import fault
from lion_conformance.vectors.splitmix import RULE
from lion_ref import SPEC_VERSION

DATA: Final = Path(__file__).parents[1] / "data"
VECTORS: Final = "lion-vectors.json"
SCHEMA: Final = "lion-vectors.schema.json"
ANSWERS_SCHEMA: Final = "lion-answers.schema.json"
FORMAT: Final = "lion-vectors"
ANSWERS_FORMAT: Final = "lion-answers"
VERSION: Final = 5
"""Raised whenever a reader of an older file would misread a newer one, or bits change."""

SIZE: Final = 10
"""Drawn cases in each group of steps of the file in the package, special cases aside."""


def build(size: int = SIZE) -> dict[str, Any]:
    """The whole document; the same for the same size, on every machine."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "spec_version": SPEC_VERSION,
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
    """A document of a format, and of vectors one that a port can be judged by.

    Raises:
        ValueError: anything else, in one line that says what is wrong with it.
    """
    try:
        document: Any = parsed(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"{path} is not legal: {error.strerror}; legal: a file that can be read"
        ) from error
    except RecursionError:
        raise ValueError(f"{path.name} is no JSON of ours: nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{path.name} is no JSON: {error}") from error
    found = (document.get("format"), document.get("version")) if isinstance(document, dict) else ()
    if found != (wanted, VERSION):
        raise ValueError(
            f"{path.name} is not legal; legal: a JSON object with "
            f'"format": "{wanted}", "version": {VERSION}'
        )
    _check_spec_version(path.name, document.get("spec_version"))
    if wanted == FORMAT:
        schema = json.loads((DATA / SCHEMA).read_text(encoding="utf-8"))
        wrong = fault_of_form(document, schema) or fault(document)
        if wrong:
            raise ValueError(f"{path.name} is damaged: {wrong}")
    checked: dict[str, Any] = document
    return checked


def _check_spec_version(name: str, given: object) -> None:
    """Bits of another version of SPEC.md are judged by a release that has that one (SPEC C32)."""
    if type(given) is not int or given != SPEC_VERSION:
        raise ValueError(
            f'{name} has "spec_version": {reprlib.repr(given)}; legal: {SPEC_VERSION}, the version '
            "of SPEC.md that this lion-ref has (docs/reference/versions.md)"
        )


def parsed(text: str) -> Any:
    """JSON, held to what it says of itself: no NaN, no key that overwrites another."""
    return json.loads(text, object_pairs_hook=_without_twins, parse_constant=_no_number)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the key {reprlib.repr(twin)} twice")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")
