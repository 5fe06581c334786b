"""The pages of causes, and what the judge says of the lines that they call wrong."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from lion_conformance import Port, from_callable, ptx_port, verify
from lion_conformance.diagnosis.cause_of_step import cause_at_once, cause_of_step
from lion_conformance.ports.dtypes import asked_for
from lion_conformance.verdict.cause import Cause
from lion_conformance.verdict.failure import Failure
from lion_conformance.verdict.sentences import headline
from lion_ref import CANONICAL
from tests.lion_conformance.mutants.catalogue import load
from tests.lion_conformance.mutants.causes import cause_of, rejected
from tests.lion_conformance.runs import rich

FOLDER: Final = Path(__file__).parents[3] / "docs" / "reference" / "causes"
INDEX: Final = (FOLDER / "index.md").read_text(encoding="utf-8")

_MODULE = "my_lion"
_KERNEL = "my_lion.ptx"
_BLOCK = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PRINTED = re.compile(r"rejected  (.+?), (\w+): .+")


class PageError(Exception):
    """A page of which nothing can be judged."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Lines that are right, and what is wrong in their place."""

    wrong: str
    right: str


def text_of(code: str) -> str:
    """A page."""
    return (FOLDER / f"{code}.md").read_text(encoding="utf-8")


def block(title: str) -> str:
    """A file that the index shows."""
    found = re.search(rf'^```\w+ title="{title}"\n(.*?)^```$', INDEX, re.MULTILINE | re.DOTALL)
    if found is None:
        raise PageError(f"the index has no {title}")
    return found[1]


def right_program(name: str = "") -> str:
    """The port, or the kernel, of these pages, of which every line is right."""
    return block(_KERNEL if name.startswith(_KERNEL) else f"{_MODULE}.py")


def edits(page: str) -> list[Edit]:
    """What a page calls wrong, and what stands there rightly."""
    block = next((x for x in _BLOCK.findall(page) if x.startswith("wrong ")), "")
    return [Edit(*_sides(group)) for group in block.strip("\n").split("\n\n") if group]


def _sides(group: str) -> Iterator[str]:
    found = re.fullmatch(r"wrong   (.*?)\nright   (.*)", group, re.DOTALL)
    if found is None:
        raise PageError(f"no wrong and right lines: {group}")
    for side in found.groups():
        yield "\n".join(line.removeprefix(" " * 8) for line in f"{' ' * 8}{side}".split("\n"))


def spoiled(program: str, edit: Edit) -> str:
    """The program with wrong lines in the place of right ones."""
    for indent in (" " * n for n in (0, 4, 8, 12)):
        right, wrong = (_indented(x, indent) for x in (edit.right, edit.wrong))
        if program.count(right) == 1:
            return program.replace(right, wrong)
    raise PageError(f"not a line of the port: {edit.right}")


def _indented(lines: str, indent: str) -> str:
    return "\n" + "".join(f"{indent}{line}\n" for line in lines.split("\n"))


def printed(page: str) -> str:
    """What a page says is printed first."""
    blocks: list[str] = _BLOCK.findall(page)
    return next(x for x in blocks if x.startswith("rejected  "))


def port_of(name: str, dtype: str, program: str) -> Port:
    """The port that a page speaks of: its own program's, or a wrong one of the tests."""
    if name.startswith(_KERNEL):
        described: dict[str, Any] = tomllib.loads(block("my_lion.toml"))
        return ptx_port(program, **{x: y for x, y in described.items() if x != "source"})
    if not name.startswith(f"{_MODULE}."):
        mutant = next((x for x in load() if x.name == name), None)
        return mutant.port() if mutant else rich.port(getattr(rich, name))
    module = ModuleType(_MODULE)
    exec(compile(program, f"{_MODULE}.py", "exec"), vars(module))
    made = getattr(module, name.removeprefix(f"{_MODULE}."))
    if isinstance(made, Port):
        return made
    all_dtypes = tuple(x for x in module.TRIPLES if x[0] == dtype)
    mixed = "dtype.itemsize" in program
    return from_callable(made, name=name, triples=all_dtypes if mixed else ((dtype,) * 3,))


def cause_of_port(port: Port, dtype: str) -> Cause | None:
    """What is said of a port; the whole judging is asked if less does not tell."""
    if port.door == "PTX":  # of which the smallest case names other threads
        return verify(port, max_examples=1).cause
    failure = rejected(port, dtype)
    if failure is None and not port.offers:
        return None
    asked = asked_for(port, [dtype]).port
    found = cause_of(asked, dtype, failure)
    if found is None and isinstance(failure, Failure):
        found = cause_at_once(asked, dtype, failure) or cause_of_step(
            asked, dtype, failure, CANONICAL
        )
    return found or verify(port, dtypes=["/".join([dtype] * 3)], max_examples=1).cause


def faults(code: str, page: str) -> list[str]:
    """What a page says that is not so."""
    said = printed(page)
    name, dtype = _PRINTED.match(said).groups()  # type: ignore[union-attr]  # else it is no page
    program = right_program(name)
    for edit in edits(page):
        program = spoiled(program, edit)
    cause = cause_of_port(port_of(name, dtype, program), dtype)
    if cause is None:
        return ["the judge has no cause"]
    what, more = headline(cause.line())
    lines = [f"rejected  {name}, {dtype}: {what}", *(f"    {x}" for x in more)]
    lines.append(f"    more: lion-conformance explain {cause.code}")
    found = [] if said.rstrip("\n").split("\n") == lines else ["\n".join(["printed:", *lines])]
    if cause.code != code:
        found.append(f"the code is {cause.code}")
    if cause.clause and f"[{cause.clause}, " not in page:
        found.append(f"{cause.clause} is not linked")
    return found
