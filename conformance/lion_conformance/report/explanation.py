"""The pages of causes: found beside the package or in a checkout, and shown without the network."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lion_conformance.verdict.code import Code

_IN_A_WHEEL: Final = Path(__file__).parents[1] / "data" / "causes"
_IN_A_CHECKOUT: Final = Path(__file__).parents[3] / "docs" / "reference" / "causes"


def how_to_learn_more(code: Code) -> str:
    """What a report says behind the sentence of a cause.

    >>> how_to_learn_more(Code.BETAS_SWAPPED)
    'more: lion-conformance explain betas-swapped'
    """
    return f"more: lion-conformance explain {code}"


def explanation(code: Code) -> str:
    """The page of a code as plain text.

    >>> explanation(Code.BETAS_SWAPPED).splitlines()[0]
    'β1 and β2 are swapped'
    """
    return _plain(_page(code))


def listed() -> str:
    """All codes with what they stand for, in groups.

    >>> listed().splitlines()[1]
    '  betas-swapped                    β1 and β2 are swapped'
    """
    width = max(map(len, Code))
    lines, group = list[str](), ""
    for line in _page("index").splitlines():
        heading = re.fullmatch(r"## (.+)", line)
        row = re.fullmatch(r"\| \[(.+?)\]\(.+?\) \| (.+) \|", line)
        if heading:
            group = heading[1]
        elif row:
            if group:
                lines += [*([""] if lines else []), group]
                group = ""
            lines.append(f"  {row[1]:<{width}}  {row[2]}")
    return "\n".join(lines)


def code_named(name: str) -> Code:
    """The code of this name; ValueError with those that are spelled nearly so.

    >>> code_named("beta-swapped")
    Traceback (most recent call last):
        ...
    ValueError: code='beta-swapped' is not legal; near it: betas-swapped; legal: one of those that `lion-conformance explain` lists
    """  # noqa: E501 - an error is one line
    try:
        return Code(name)
    except ValueError:
        near = difflib.get_close_matches(name, Code)
        hint = f"near it: {', '.join(near)}; " if near else ""
        raise ValueError(
            f"code={name!r} is not legal; {hint}legal: one of those that "
            "`lion-conformance explain` lists"
        ) from None


def show(code: Code) -> None:
    """Print a page for a person: set by rich on a terminal, else as plain text."""
    if sys.stdout.isatty():
        try:
            from rich.console import Console
            from rich.markdown import Markdown
        except ModuleNotFoundError:
            pass
        else:
            Console().print(Markdown(_without_links(_page(code))))
            return
    print(explanation(code))


def _page(name: str) -> str:
    folder = _IN_A_WHEEL if _IN_A_WHEEL.is_dir() else _IN_A_CHECKOUT
    return (folder / f"{name}.md").read_text(encoding="utf-8")


def _without_links(page: str) -> str:
    """Their text alone: where they lead is not at hand."""
    return re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", page)


def _plain(page: str) -> str:
    return "\n".join(_lines(_without_links(page))).strip()


def _lines(page: str) -> Iterator[str]:
    """Headings without their marks, blocks indented instead of fenced."""
    indent = ""
    for line in page.splitlines():
        if line.startswith("```"):
            indent = "" if indent else "    "
        elif indent:
            yield f"{indent}{line}".rstrip()
        else:
            yield re.sub(r"^#+ ", "", line).replace("`", "")
