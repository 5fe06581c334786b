"""What `make site` does beside MkDocs: pages that lie outside docs/ join the site.

A link on a page is relative to the file in the repository, so that it works on GitHub too. Here it
is turned into the place that the file has in the site: a page, or a copy under source/.
"""

from __future__ import annotations

import posixpath
import re
from functools import cache
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[1]

ELSEWHERE: Final = {
    "README.md": "index.md",
    "SPEC.md": "reference/spec.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "ARCHITECTURE.md": "explanation/architecture.md",
}
"""The pages outside docs/, and where they are in the site."""

MEASURED: Final = "benchmarks/results"

CODE: Final = (
    r"^(?P<indent> *)(?P<fence>```+|~~~+).*?^(?P=indent)(?P=fence)`*~* *$"
    r"|(?P<tick>`+)(?!`).*?(?<!`)(?P=tick)(?!`)"
)
LINK: Final = (
    r"(?P<before>\]\(\s*|(?:src|srcset|href)=\")"
    r"(?P<target>[^()\s\"#:]+)(?=#[^()\s\"]*|[)\s\"])"
)
CODE_OR_LINK: Final = re.compile(f"(?P<code>{CODE})|{LINK}", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/."""
    for source, place in _elsewhere().items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn each link to a file of the repository into one to its place in the site."""
    places = _elsewhere()
    here = {place: source for source, place in places.items()}.get(
        page.file.src_uri, f"docs/{page.file.src_uri}"
    )

    def moved(found: re.Match[str]) -> str:
        if found["code"]:
            return found[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(here), found["target"]))
        if target in places:
            place = places[target]
        elif target.startswith("docs/"):
            place = target.removeprefix("docs/")
        elif (ROOT / target).is_file():
            place = f"source/{target}"
            if files.get_file_from_path(place) is None:
                files.append(File.generated(config, place, abs_src_path=str(ROOT / target)))
        else:
            return found[0]  # strict: MkDocs tells that it leads nowhere
        start = posixpath.dirname(page.file.src_uri) or "."
        return found["before"] + posixpath.relpath(place, start)

    return CODE_OR_LINK.sub(moved, markdown)


@cache
def _elsewhere() -> dict[str, str]:
    measured = sorted((ROOT / MEASURED).glob("*.md"))
    return ELSEWHERE | {f"{MEASURED}/{file.name}": f"measured/{file.name}" for file in measured}
