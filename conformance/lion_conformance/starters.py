"""Starters: for each language a port that passes, its test and its workflow, to begin from."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, Final

HOME: Final = Path(__file__).parent / "data" / "starters"
READ_ME: Final = "LION.md"
"""Not README.md, which a repository that a starter is put into has already."""

WORKFLOW: Final = ".github/workflows/lion-conformance.yml"
LAUNCH: Final = "kernel.toml"
FILES: Final = {
    "python": ("my_lion.py", "test_my_lion.py", WORKFLOW, READ_ME),
    "c": ("lion_port.c", "test_lion_port.py", WORKFLOW, READ_ME),
    "javascript": ("lion_port.mjs", "test_lion_port.py", WORKFLOW, READ_ME),
    "triton": ("my_lion.py", "test_my_lion.py", WORKFLOW, READ_ME, LAUNCH),
    "cuda": ("lion_port.cu", "test_lion_port.py", WORKFLOW, READ_ME, LAUNCH),
}
"""Those of each language, in its folder below HOME as in that of whoever asked."""


def write(language: str, folder: Path) -> list[Path]:
    """Write a starter into a folder, new or not; the paths written.

    All of it or nothing: what is written when a file refuses is removed again.

    Raises:
        ValueError: a language that has no starter, a folder in which one of the files exists.
        OSError: a file that cannot be written.
    """
    if language not in FILES:
        raise ValueError(f"language={language!r} is not legal; legal: {', '.join(FILES)}")
    contents = {folder / name: (HOME / language / name).read_bytes() for name in FILES[language]}
    taken = [name for name in FILES[language] if os.path.lexists(folder / name)]
    if taken:
        raise ValueError(
            f"folder={str(folder)!r} is not legal: it has {', '.join(taken)}; legal: a folder "
            "without them, nothing is overwritten"
        )
    made: list[Path] = []
    try:
        for path, data in contents.items():
            missing = [x for x in (path.parent, *path.parent.parents) if not x.exists()]
            for parent in reversed(missing):
                parent.mkdir()
                made.append(parent)
            with path.open("xb") as file:
                made.append(path)
                file.write(data)
    except OSError:
        for path in reversed(made):
            path.rmdir() if path.is_dir() else path.unlink()
        raise
    return list(contents)


def add_command(commands: Any) -> None:
    """Put `init` beside the other commands."""
    parser = commands.add_parser(
        "init", help="write a port that passes, its test and its workflow, to begin from"
    )
    parser.add_argument("language", choices=list(FILES))
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where it goes, new or not (default: here); nothing is overwritten",
    )
    parser.set_defaults(action=_init)


def _init(parsed: argparse.Namespace) -> int:
    for path in write(parsed.language, parsed.folder):
        print(f"written: {path}")
    print(f"how to go on: {parsed.folder / READ_ME}")
    return 0
