"""The site is built strictly, and needs no other host."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# What a browser fetches by itself; a link that a reader follows may lead anywhere.
FETCHED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*?\bsrc(?:set)?=[\"']?(https?:|//)"
    r"|<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preload|preconnect|icon))"
    r"[^>]*?\bhref=[\"']?(https?:|//)"
    r"|@import\s+(?:url\()?[\"']?(https?:|//)|url\([\"']?(https?:|//)"
)


def build(root: Path, to: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(to)],
        cwd=root,
        env={"PATH": "/usr/bin:/bin", "NO_MKDOCS_2_WARNING": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("site")
    done = build(ROOT, to)
    assert done.returncode == 0, done.stdout
    return to


def fetched_from_elsewhere(site: Path) -> list[str]:
    files = [*site.rglob("*.html"), *site.rglob("*.css")]
    return [
        f"{file.relative_to(site)}: {found[0]}"
        for file in files
        for found in FETCHED.finditer(file.read_text(encoding="utf-8"))
    ]


def test_nothing_is_fetched_from_another_host(site: Path) -> None:
    assert list(site.rglob("*.html"))
    assert fetched_from_elsewhere(site) == []


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://unpkg.com/x.js"></script>',
        "<img alt='' src='//example.org/x.png'>",
        '<link href="https://fonts.example.org/x.css" rel="stylesheet">',
        "<style>@import url(https://example.org/x.css)</style>",
    ],
)
def test_what_is_fetched_is_found(tmp_path: Path, text: str) -> None:
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    assert len(fetched_from_elsewhere(tmp_path)) == 1


def test_every_public_name_is_on_its_page(site: Path) -> None:
    for page in sorted((ROOT / "docs" / "reference" / "api").glob("*.md")):
        init = next(ROOT.glob(f"*/{page.stem}/__init__.py"), ROOT / page.stem / "__init__.py")
        html = (site / "reference" / "api" / f"{page.stem}.html").read_text(encoding="utf-8")
        missing = [name for name in public_names(init) if f"{page.stem}.{name}" not in html]
        assert missing == [], page.stem


def public_names(init: Path) -> list[str]:
    for node in ast.parse(init.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    raise AssertionError(f"{init} has no __all__")


def test_every_package_has_its_page() -> None:
    pages = {page.stem for page in (ROOT / "docs" / "reference" / "api").glob("*.md")}
    kernel = {"lion_cpu"}  # for adapters, not for users
    packages = {"lion_ref", *(p.parent.name for p in ROOT.glob("[ac]*/*/__init__.py"))}
    assert pages == packages - kernel


def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    """Built as the site is, but for its pages: one of our own, and what the hook adds."""
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "hooks.py", tmp_path / "docs")
    (tmp_path / "mkdocs.yml").write_text(
        f"INHERIT: {ROOT / 'mkdocs.yml'}\nplugins: []\nextra_css: []\nnav: [index.md]\n",
        encoding="utf-8",
    )
    for name in ("SPEC.md", "CHANGELOG.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"):
        (tmp_path / name).write_text("# A page\n\n## A heading\n", encoding="utf-8")
    links = ["docs/gone.md", "SPEC.md#c99", "gone.py", "docs", "/SPEC.md", "#gone"]
    right = ["SPEC.md#a-heading", "mkdocs.yml", "#home", "https://example.org/gone"]
    (tmp_path / "README.md").write_text(
        "# Home\n\n" + "\n".join(f"[a]({link})" for link in links + right) + "\n`[a](code.md)`\n",
        encoding="utf-8",
    )
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    told = [line for line in done.stdout.splitlines() if "Doc file 'index.md'" in line]
    assert len(told) == len(links), done.stdout
    for place in ("gone.md", "spec.md#c99", "gone.py", "'docs'", "/SPEC.md", "#gone"):
        assert any(place in line for line in told), (place, done.stdout)
