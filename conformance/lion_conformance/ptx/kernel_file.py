"""A kernel's arguments and launch as a TOML file: what a command line says of a kernel in PTX."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from lion_conformance.ports.declaration import semantics_of
from lion_conformance.ports.protocol import Port
from lion_conformance.ptx.port import ptx_port


def load(path: Path, *, source: Path | None = None, entry: str | None = None) -> Port:
    """The port that a file describes; ValueError in one line that names the file, key and value.

    Args:
        path: the file.
        source: the PTX, instead of the one that the file names; a path there is relative to it.
        entry: the kernel's name, instead of the one there.
    """
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        return _port(fields, path.parent, source, entry)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


def _port(fields: dict[str, Any], folder: Path, source: Path | None, entry: str | None) -> Port:
    for key, value in fields.items():
        if key not in _KEYS:
            raise ValueError(f"key {key!r} is not legal; legal: {', '.join(_KEYS)}")
        fits, legal = _KEYS[key]
        if not fits(value):
            raise ValueError(f"{key} = {value!r} is not legal; legal: {legal}")
    for key in _REQUIRED:
        if key not in fields:
            raise ValueError(f"the key {key!r} is missing; legal: {_KEYS[key][1]}")
    named = fields.pop("source", None)
    if source is None and named is None:
        raise ValueError(f"the key 'source' is missing; legal: {_KEYS['source'][1]}, or --ptx FILE")
    if entry is not None:
        fields["entry"] = entry
    if "dtypes" in fields:
        fields["dtypes"] = tuple(tuple(x) for x in fields["dtypes"])
    if "declared" in fields:
        fields["declared"] = semantics_of(fields["declared"])
    return ptx_port(source or folder / named, **fields)


def _text(value: object) -> bool:
    return isinstance(value, str)


def _whole(value: object) -> bool:
    return type(value) is int and value >= 1  # a bool is an int, and a mistake


def _arguments(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(x, (str, int, float)) for x in value)


def _triples(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(x, list) and len(x) == 3 and all(map(_text, x)) for x in value
    )


def _table(value: object) -> bool:
    return isinstance(value, dict)


_KEYS: Final[dict[str, tuple[Callable[[object], bool], str]]] = {
    "source": (_text, 'the PTX\'s path, as source = "lion.ptx"'),
    "entry": (_text, 'the name of a kernel, as entry = "lion"'),
    "arguments": (_arguments, 'a list of names and numbers, one a parameter, as ["param", 0]'),
    "threads": (_whole, "a whole number >= 1, of the threads of a program"),
    "elements_per_program": (_whole, "a whole number >= 1, of the elements of a program"),
    "dtypes": (_triples, 'a list of three dtypes each, as [["float32", "float32", "float32"]]'),
    "name": (_text, "what the port is called in reports"),
    "declared": (_table, 'choices of semantics, as { subnormals = "flush" }'),
    "aligned": (_whole, "the bytes to which the host aligns each array, as aligned = 16"),
}
"""What each key has to be, and how that is said."""

_REQUIRED: Final = ("arguments", "elements_per_program")
