"""The picture in ARCHITECTURE.md: packages and rooms, and how many imports run between them.

python -m tests.repo.rooms    # writes it anew
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import grimp

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "ARCHITECTURE.md"
BLOCK: Final = re.compile(r"(?<=```text\n).*?(?=```)", re.DOTALL)
FOLDER: Final = ROOT / "conformance" / "lion_conformance"


def picture() -> str:
    """A row for each room and package, from the doors down, and its imports from those below it.

    They stand on its left: an import back would be a number right of the diagonal.
    """
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    linter = tomllib.loads(text)["tool"]["importlinter"]
    layers = next(x["layers"] for x in linter["contracts"] if x["id"] == "rooms")
    every = [name for layer in layers for name in layer.split(" | ")]
    rooms = [name for name in every if (FOLDER / name).is_dir()]
    rows = ["doors", *rooms, "adapters", "lion_ref"]
    columns = rows[:0:-1]
    graph = grimp.build_graph(*linter["root_packages"], cache_dir=None)

    def home(module: str) -> str:
        package, _, rest = module.partition(".")
        room = rest.partition(".")[0]
        if package == "lion_conformance":
            return room if room in rooms else "doors"
        return package if package in rows else "adapters"

    imports = Counter(
        (home(importer), home(imported))
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
    )
    widths = [len(name) + 2 for name in columns]

    def line(first: str, cells: Iterable[str]) -> str:
        row = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False))
        return (f"{first:<10}" + "".join(row)).rstrip()

    lines = [line("", columns)]
    for name in rows:
        here = columns.index(name) if name in columns else len(columns)
        empty = ["·"] * here + ["─"] + [""] * len(columns)
        cells = (str(imports[name, to] or "") if to != name else "" for to in columns)
        shown = (cell or blank for cell, blank in zip(cells, empty, strict=False))
        lines.append(line(name, shown))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(BLOCK.sub(lambda _: picture(), text, count=1), encoding="utf-8")
