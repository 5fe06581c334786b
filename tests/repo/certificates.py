"""The table of the certificates that are committed, in docs/certificates/README.md.

python -m tests.repo.certificates    # writes it anew
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from lion_conformance.exhaustive import files
from lion_conformance.exhaustive.certificate import Certificate
from lion_conformance.exhaustive.question import SIZE

FOLDER: Final = Path(__file__).parents[2] / "docs" / "certificates"
PAGE: Final = FOLDER / "README.md"
TABLE: Final = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- /table -->)", re.DOTALL)

HEADS: Final = ("port", "door", "dtype", "semantics", "hash", "pairs", "seconds", "with", "date")
ALWAYS: Final = {"python", "SPEC.md", "ml_dtypes"}
"""Versions that are the same in all, or said above the table."""


def certificates() -> dict[Path, Certificate]:
    """Those that there are, by their files."""
    return {path: files.load(path) for path in sorted(FOLDER.glob("*.json"))}


def table(found: dict[Path, Certificate]) -> str:
    """A row for each, sorted by port, door and dtype."""
    rows = sorted(_row(path, certificate) for path, certificate in found.items())
    lines = [HEADS, ("---",) * len(HEADS), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _row(path: Path, certificate: Certificate) -> tuple[str, ...]:
    x = certificate
    versions = (f"{name} {y}" for name, y in x.versions.items() if name not in ALWAYS)
    return (
        x.port.name,
        x.port.door if x.port.device == "cpu" else f"{x.port.door}, {x.port.device}",
        f"[{x.question.dtype}]({path.name})",
        x.question.semantics.describe(),
        f"`{x.hash[:12]}`",
        f"{SIZE * len(x.blocks):,}",
        f"{x.seconds:.0f}",
        ", ".join(versions),
        x.date[:10],
    )


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    new = table(certificates())
    PAGE.write_text(TABLE.sub(lambda _: new, text, count=1), encoding="utf-8")
