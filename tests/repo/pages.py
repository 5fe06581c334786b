"""The code blocks of the project's Markdown, each as something that can be run.

A page is worked through from top to bottom in an empty folder, as its reader would: Python runs in
one namespace, a block with a title is a file, a console block is typed in and its output compared.
"""

from __future__ import annotations

import doctest
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import yaml
from sybil import Document, Example, Region, Sybil
from sybil.evaluators.doctest import DocTestEvaluator
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.abstract.doctest import DocTestStringParser
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

from tests.lion_conformance.installed import environment

FLAGS: Final = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SECONDS: Final = 120

NOT_SHOWN_TO_RUN: Final = frozenset({"", "text", "output"})
DATA: Final[dict[str, Callable[[str], object]]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}

BLOCKS: Final = RawFencedCodeBlockLexer(
    re.compile(r"(?P<language>[\w+-]*)(?: +title=\"(?P<title>[^\"\n]+)\")?[ ]*\n")
)
UNREADABLE: Final = RawFencedCodeBlockLexer(re.compile(r"(?P<info>[^\n]*)\n"))
LEFT_OUT: Final = re.compile(r"<!-- not run: (?P<reason>[^\n]+?) -->\s*\Z")
COMMAND: Final = re.compile(
    r"^\$ (?P<command>.*(?:\n> .*)*)\n?(?P<output>(?:(?!\$ ).*\n?)*)", re.MULTILINE
)
STATUS: Final = re.compile(r"\s+# exit status (?P<status>\d+)$")


def page(path: Path) -> Document:
    """The page with its blocks as examples that can be evaluated, from top to bottom."""
    return Sybil(parsers=[_examples]).parse(path)


def left_out(path: Path) -> list[str]:
    """Why blocks of the page are not run, in the page's own words."""
    document = Document(path.read_text(encoding="utf-8"), str(path))
    reasons = (_reason(document, block) for block in BLOCKS(document))
    return [reason for reason in reasons if reason]


def _examples(document: Document) -> Iterator[Region]:
    blocks = list(BLOCKS(document))
    known = {block.start for block in blocks}
    for block in UNREADABLE(document):
        if block.start not in known:
            raise ValueError(f'{_place(document, block)}: "{block.lexemes["info"]}" opens a block')
    for block in blocks:
        if _reason(document, block):
            continue
        language, title, source = (block.lexemes[x] for x in ("language", "title", "source"))
        if title:
            yield _run(block, (title, source), _write)
        elif language == "python" and source.lstrip().startswith(">>>"):
            for part in DocTestStringParser(DocTestEvaluator(FLAGS))(source, document.path):
                part.adjust(block, source)
                yield part
        elif language == "python":
            yield _run(block, source, PythonEvaluator())
        elif language == "console":
            yield _run(block, source, _type_in)
        elif language in DATA:
            yield _run(block, (language, source), _load)
        elif language not in NOT_SHOWN_TO_RUN:
            raise ValueError(
                f"{_place(document, block)}: a block of {language} is run by nobody; legal: a "
                "title, which makes it a file, or <!-- not run: REASON --> on the line before"
            )


def _run(block: Region, parsed: object, evaluator: Callable[[Example], str | None]) -> Region:
    return Region(block.start, block.end, parsed, evaluator, block.lexemes)


def _reason(document: Document, block: Region) -> str:
    found = LEFT_OUT.search(document.text, 0, block.start)
    return found["reason"] if found else ""


def _place(document: Document, block: Region) -> str:
    return f"{document.path}, {document.line_column(block.start)}"


def _write(example: Example) -> None:
    name, source = example.parsed
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"title {name!r} leaves the page's folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")


def _load(example: Example) -> None:
    language, source = example.parsed
    DATA[language](source)


def _type_in(example: Example) -> str | None:
    """What differs from the page when its commands are typed in, or None."""
    commands = list(COMMAND.finditer(example.parsed))
    if not commands:
        return 'a console block has no command; legal: lines that begin with "$ "'
    for found in commands:
        typed, expected = found["command"].replace("\n> ", "\n"), found["output"]
        wanted = STATUS.search(typed)
        try:
            done = subprocess.run(
                ["bash", "-c", typed],
                env=_environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"$ {typed}\nno end after {SECONDS} seconds"
        if done.returncode != (int(wanted["status"]) if wanted else 0):
            return f"$ {typed}\nexit status {done.returncode}\n{done.stdout}"
        if expected.strip() and not doctest.OutputChecker().check_output(
            expected, done.stdout, FLAGS
        ):
            return f"$ {typed}\nexpected:\n{expected}\ngot:\n{done.stdout}"
    return None


def _environment() -> dict[str, str]:
    """A terminal in which this checkout is installed, with what else the environment has."""
    inside = environment(Path.cwd() / ".commands")
    scripts = str(Path(sys.executable).parent)
    return inside | {
        "PATH": os.pathsep.join([inside["PATH"], scripts]),
        "NO_COLOR": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
