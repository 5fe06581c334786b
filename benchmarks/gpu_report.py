"""The report of benchmarks/gpu.sh: its parts in one file, and the targets with what was measured.

    python -m benchmarks.gpu_report FOLDER REPORT [--dry]

In the folder `parts` names the parts in their order; NAME.how says how each ended, NAME.out and
NAME.err are what it printed, NAME.md is what it wrote, if it wrote anything; `figures` are those of
torch_step.py. The exit status is 1 if any part failed.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.results import Report, graphics_driver, present

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PACKAGES = ("torch", "triton", "jax", "jaxlib", "optax", "ml_dtypes", "hypothesis", "pytest")
CONTENT = ("passed", "skipped")
LAST_LINES = 40


@dataclass(frozen=True)
class Target:
    """A figure of lion_torch's step, called eagerly, that is to be reached."""

    arrays: str
    dtype: str
    figure: str
    sign: str
    limit: float
    words: str

    def judged(self, figures: Sequence[Mapping[str, Any]]) -> list[str]:
        """What was measured, and whether that is enough."""
        for found in figures:
            if (found["set"], found["dtype"]) == (self.arrays, self.dtype):
                value = found.get(self.figure)
                if value is not None:
                    met = value >= self.limit if self.sign == "≥" else value <= self.limit
                    return [f"{value:.4g}", "met" if met else "missed"]
        return ["-", "not measured"]


LARGE = [("1G", "float32"), ("1G", "bfloat16")]
TARGETS = [
    *(Target(*x, "of a copy", "≥", 0.92, "bandwidth ÷ a copy's") for x in LARGE),
    *(Target(*x, "of AdamW", "≤", 0.75, "time ÷ fused AdamW's") for x in LARGE),
    Target("1,000 of 1,000", "float32", "kernels", "≤", 1, "kernels in a step"),
]


def read(path: Path) -> str:
    """A file's text, or nothing where there is none."""
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def lowered(markdown: str) -> str:
    """The text with each heading two levels lower, to stand under one of ours."""
    return re.sub("^#", "###", markdown.strip(), flags=re.MULTILINE)


def tell(report: Report, folder: Path, name: str, how: str) -> None:
    """One part: what it wrote as Markdown, and the end of what it printed if it did not pass."""
    report.section(name)
    report.text(f"{how[:1].upper()}{how[1:]}.\n")
    out, err = (read(folder / f"{name}.{stream}") for stream in ("out", "err"))
    markdown = read(folder / f"{name}.md") or (out if out.startswith("# ") else "")
    if markdown:
        report.text(lowered(markdown))
    if not how.startswith(CONTENT):
        printed = err if markdown == out else out + err
        if printed:
            report.text("\n".join(["```text", *printed.splitlines()[-LAST_LINES:], "```"]))
    elif not markdown:
        report.text(out.strip().splitlines()[-1])


def card() -> str:
    """The graphics card and its driver; a report is owed without them too."""
    try:
        return graphics_driver()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no card that nvidia-smi tells of ({error})"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("report", type=Path)
    parser.add_argument("--dry", action="store_true")
    arguments = parser.parse_args()
    folder = arguments.folder
    parts = {x: read(folder / f"{x}.how").strip() for x in read(folder / "parts").splitlines()}
    figures = [json.loads(line) for line in read(folder / "figures").splitlines()]
    report = Report(
        "What a GPU says" + (": a dry run, on the CPU" if arguments.dry else ""),
        present(PACKAGES),
        "no GPU" if arguments.dry else card(),
        command="benchmarks/gpu.sh" + (" --dry" if arguments.dry else ""),
    )
    report.text("")
    for name, how in parts.items():
        report.text(f"- {name}: {how}")
    for name, how in parts.items():
        tell(report, folder, name, how)
    report.section("Targets")
    rows = [
        [f"{x.arrays}, {x.dtype}: {x.words}", f"{x.sign} {x.limit:g}", *x.judged(figures)]
        for x in TARGETS
    ]
    if arguments.dry:
        report.text("A dry run measures none of these.\n")
    report.table(["step of lion_torch", "target", "measured", "verdict"], rows)
    report.save(arguments.report)
    return int(not all(how.startswith(CONTENT) for how in parts.values()))


if __name__ == "__main__":
    sys.exit(main())
