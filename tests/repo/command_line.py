"""docs/reference/command-line.md: every command that is installed, in its own words.

    python -m tests.repo.command_line

writes it anew; a test compares.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from unittest.mock import patch

from lion_adapters.command import command_parser as conversion_parser
from lion_conformance.cli import command_parser

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "command-line.md"

INTRODUCTION: Final = """\
# Command line

<!-- Written by `python -m tests.repo.command_line`; an edit by hand is lost at the next run. -->

`lion-conformance` comes with `lion-ref[conformance]`. Every command exits with 0 if all is as
declared, 1 if something fell short, and 2 if something could not run; [verdicts](verdicts.md) has
the words.

`lion-ref` comes with `lion-ref` itself; [convert a checkpoint](../how-to/convert-a-checkpoint.md)
shows it at work.
"""


def page() -> str:
    """The page, as the parser of this checkout gives it."""
    with patch.dict(os.environ, {"COLUMNS": "90"}):
        parsers = (command_parser(), conversion_parser())
        return "\n".join([INTRODUCTION, *(x for parser in parsers for x in _sections(parser))])


def _sections(command: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## {command.prog}\n\n```text\n{command.format_help()}```\n"
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _sections(below)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
