"""The reports as files: the options that ask for them, and what is said of where they are."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lion_conformance.report import as_html, as_json, as_svg, reproduction
from lion_conformance.report.report import Report

DEFAULT_FOLDER: Final = Path("build", "lion-conformance")


def add_options(parser: argparse.ArgumentParser) -> None:
    """A file for each format, and one for what fell short."""
    for name in ("json", "markdown", "html"):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"write a {name} report")
    parser.add_argument(
        "--svg", type=Path, metavar="FILE", help="write the table as a picture, light and dark"
    )
    parser.add_argument(
        "--reproduction",
        type=Path,
        metavar="FILE",
        help="where a failure goes as a program of its own (default: beside the reports, else in "
        f"{DEFAULT_FOLDER})",
    )


def write(reports: Sequence[Report], parsed: argparse.Namespace) -> bool:
    """Write the reports that are asked for and say where; False if one could not be written."""
    formats = (
        ("--json", parsed.json, as_json.dumps),
        ("--markdown", parsed.markdown, parsed.as_markdown),
        ("--html", parsed.html, as_html.render),
        ("--svg", parsed.svg, as_svg.render),
    )
    complete = True
    for option, path, render in formats:
        if path is None:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(render(reports), encoding="utf-8")
        except OSError as error:
            print(
                f"lion-conformance: {option} {path} was not written: {error.strerror}; "
                "legal: a file that can be written",
                file=sys.stderr,
            )
            complete = False
        else:
            print(f"written: {path}")
    return complete


def reproduce(reports: Sequence[Report], parsed: argparse.Namespace) -> None:
    """Write what fell short as programs, and say how to run them; a verdict stands without."""
    beside = parsed.json or parsed.markdown or parsed.html
    folder = DEFAULT_FOLDER if beside is None else beside.parent
    try:
        paths = reproduction.write(reports, parsed.reproduction, folder)
    except OSError as error:
        print(f"lion-conformance: no reproduction was written: {error}", file=sys.stderr)
        return
    for path in paths:
        print(f"to reproduce: python {shlex.quote(str(path))}")
