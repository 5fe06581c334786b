"""Every code block of the project's Markdown runs, and prints what the page says it prints."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sybil.example import SybilFailure

from tests.repo.pages import left_out, page
from tests.repo.test_links import ROOT, documents

# The page of a starter is about the folder that it is written to: test_starters.py runs it there.
PAGES = [
    path.relative_to(ROOT).as_posix() for path in documents(ROOT) if "starters" not in path.parts
]


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder with the examples alone, whose modules are forgotten once the page has run."""
    before = set(sys.modules)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session()  # names are counted from the first again
    yield
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(tmp_path):
            del sys.modules[name]


def run(path: Path) -> None:
    for example in page(path):
        example.evaluate()


@pytest.mark.pages
@pytest.mark.filterwarnings("default")  # as a reader's Python has them
@pytest.mark.parametrize("name", PAGES)
def test_the_blocks_of_a_page_run(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    for reason in left_out(ROOT / name):
        record_property("not run", reason)
    run(ROOT / name)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("```python\n>>> 1 + 1\n3\n```\n", "Expected"),
        ("```python\nx = 1\n```\n\n```python\n>>> x\n2\n```\n", "Expected"),
        ("```console\n$ echo right\nwrong\n```\n", "got:\nright"),
        ("```console\n$ false\n```\n", "exit status 1"),
        ("```console\n$ true  # exit status 1\n```\n", "exit status 0"),
        ("```console\necho\n```\n", "has no command"),
        ('```c title="a.c"\nint x = 1;\n```\n\n```console\n$ cat b.c\n```\n', "b.c"),
    ],
)
def test_a_block_that_does_not_do_what_the_page_says_fails(
    tmp_path: Path, text: str, what: str
) -> None:
    path = tmp_path / "page.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SybilFailure, match=what):
        run(path)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("```python\n1 / 0\n```\n", "division by zero"),
        ("```json\n{\n```\n", "Expecting"),
        ("```rust\nfn main() {}\n```\n", "a block of rust is run by nobody"),
        ("```python hl_lines=3\n1\n```\n", "opens a block"),
        ('```python title="../x.py"\n1\n```\n', "leaves the page's folder"),
    ],
)
def test_a_block_that_cannot_be_run_fails(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "page.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises((ValueError, ZeroDivisionError), match=what):
        run(path)


def test_a_page_is_worked_through_as_its_reader_would(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(
        '```python title="mine.py"\nNUMBER = 7\n```\n\n'
        "```python\nfrom mine import NUMBER\n```\n\n"
        "```python\n>>> NUMBER\n7\n>>> list(range(30))\n[0, 1, ..., 29]\n```\n\n"
        '```console\n$ python -c "import mine, \\\n> sys; print(mine.NUMBER)"\n7\n'
        "$ exit 3  # exit status 3\n```\n\n"
        "<!-- not run: it takes a GPU -->\n```console\n$ nvcc kernel.cu\n```\n\n"
        "```text\nanything\n```\n",
        encoding="utf-8",
    )
    run(path)
    assert left_out(path) == ["it takes a GPU"]
