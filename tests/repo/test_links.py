"""Every relative link in the project's Markdown leads to a file that is there, and to a heading
that is in it. Links to other sites are left alone: tests do not depend on a network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]

FENCE = re.compile(r"^( *)(```+|~~~+).*?^\1\2`*~* *$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
INLINE = re.compile(r"\]\(\s*<?([^()\s<>]+(?:\([^()\s]*\)[^()\s]*)*)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?([^\s<>]+)>?", re.MULTILINE)
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*\s*$", re.MULTILINE)
ANCHOR = re.compile(r"<a\s+(?:id|name)=\"([^\"]+)\"")
ELSEWHERE = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def documents(root: Path) -> Iterator[Path]:
    """The project's Markdown; what an environment or a build has left is not the project's."""
    for file in sorted(root.rglob("*.md")):
        folders = file.relative_to(root).parts[:-1]
        if not any(name.startswith(".") or name in {"build", "dist", "venv"} for name in folders):
            yield file


def links(markdown: str) -> list[str]:
    """The targets of the links, code left out."""
    text = CODE.sub("", FENCE.sub("", markdown))
    return INLINE.findall(text) + REFERENCE.findall(text)


def anchors(markdown: str) -> set[str]:
    """The fragments that lead somewhere in a document, as GitHub forms them from headings."""
    text = FENCE.sub("", markdown)
    found = set(ANCHOR.findall(text))
    counts: dict[str, int] = {}
    for heading in HEADING.findall(text):
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        seen = counts.get(slug, 0)
        found.add(f"{slug}-{seen}" if seen else slug)
        counts[slug] = seen + 1
    return found


def broken(root: Path) -> list[str]:
    """Every relative link below `root` that leads nowhere."""
    wrong = []
    for file in documents(root):
        for link in links(file.read_text(encoding="utf-8")):
            if ELSEWHERE.match(link):
                continue
            path, _, fragment = unquote(link).partition("#")
            base = root if path.startswith("/") else file.parent
            target = (base / path.lstrip("/")).resolve() if path else file
            name = file.relative_to(root).as_posix()
            if not target.is_relative_to(root.resolve()):
                wrong.append(f"{name}: {link} leaves the repository")
            elif not target.exists():
                wrong.append(f"{name}: {link} is not there")
            elif (
                fragment
                and target.suffix == ".md"
                and fragment not in anchors(target.read_text(encoding="utf-8"))
            ):
                wrong.append(f"{name}: {link} has no such heading")
    return wrong


def test_relative_links_lead_somewhere() -> None:
    assert broken(ROOT) == []


def test_there_are_documents_with_links() -> None:
    names = {file.name for file in documents(ROOT)}
    assert {"README.md", "SPEC.md", "CHANGELOG.md", "CONTRIBUTING.md"} <= names
    assert links((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](gone.md)", ["README.md: gone.md is not there"]),
        ("![a](img/gone.png)", ["README.md: img/gone.png is not there"]),
        ('[a](gone.md "title")', ["README.md: gone.md is not there"]),
        ("[a]\n\n[a]: gone.md", ["README.md: gone.md is not there"]),
        ("[a](docs/more.md#gone)", ["README.md: docs/more.md#gone has no such heading"]),
        ("[a](#gone)", ["README.md: #gone has no such heading"]),
        ("[a](../../etc)", ["README.md: ../../etc leaves the repository"]),
        ("[a](docs/more.md) [b](docs) [c](/docs/more.md)", []),
        ("[a](docs/more.md#c5-order-of-operations)", []),
        ("[a](docs/more.md#θ-and-lionstep-1)", []),
        ("# The top\n[a](#the-top)", []),
        ("`[a](gone.md)`\n\n```md\n[a](gone.md)\n```\n", []),
        ("[a](https://example.org/gone.md) [b](mailto:a@example.org)", []),
    ],
)
def test_a_broken_link_is_found(tmp_path: Path, text: str, expected: list[str]) -> None:
    more = tmp_path / "docs" / "more.md"
    more.parent.mkdir()
    more.write_text(
        "### C5. Order of operations\n## θ and `lion.step`\n## θ and `lion.step`\n",
        encoding="utf-8",
    )
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    assert broken(tmp_path) == expected
