"""Draw the README's chart from the saved results: one step of 28M parameters in each framework.

    python benchmarks/chart.py

Each group was measured side by side in one process; benchmarks/results/ says when and where. The
ground is transparent and the ink grey, so that one file serves light and dark pages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "lion", "font.family": "sans-serif"}

from matplotlib import pyplot as plt  # noqa: E402  the backend comes first

from benchmarks.results import RESULTS  # noqa: E402

CHART: Final = Path(__file__).parents[1] / "docs" / "assets" / "speed.svg"
SECTION: Final = "28M, 40 tensors, float32"
SHOWN: Final = {
    "torch_step.md": {
        "lion-pytorch": "lion-pytorch",
        "timm": "timm Lion",
        "AdamW, fused": "torch AdamW, fused",
        "lion_torch": "lion_torch",
    },
    "jax_step.md": {
        "optax.lion": "optax.lion",
        "optax.adamw": "optax.adamw",
        "lion_jax, step": "lion_jax",
    },
    "tf_step.md": {
        "keras Lion, jit_compile": "keras Lion, XLA",
        "keras AdamW, jit_compile": "keras AdamW, XLA",
        "lion_tf, jit_compile": "lion_tf, XLA",
    },
}
"""Of each file the rows that are drawn, and what a reader calls them."""
OURS, OTHERS, INK = "#00897b", "#9aa0a6", "#80868b"


def milliseconds(file: str) -> dict[str, float]:
    """What a step took in the median, by name, in the section that is drawn."""
    text = (RESULTS / file).read_text(encoding="utf-8")
    (section,) = (part for part in text.split("\n## ") if part.startswith(SECTION))
    rows = [line[1:-1].split("|") for line in section.splitlines() if line.startswith("|")]
    heads, _, *body = [[cell.strip() for cell in row] for row in rows]
    return {row[0]: float(row[heads.index("ms")]) for row in body}


def draw(path: Path) -> None:
    """Write the chart."""
    bars: list[tuple[str, float] | None] = []
    for file, names in SHOWN.items():
        taken = milliseconds(file)
        bars += [None, *((label, taken[name]) for name, label in names.items())]
    places = {-place: bar for place, bar in enumerate(bars[1:]) if bar is not None}
    figure, axes = plt.subplots(figsize=(7.4, 3.0), layout="constrained")
    ours = [name.startswith("lion_") for name, _ in places.values()]
    drawn = axes.barh(
        list(places),
        [taken for _, taken in places.values()],
        color=[OURS if one else OTHERS for one in ours],
    )
    axes.bar_label(drawn, fmt="%.0f ms", padding=4, color=INK)
    axes.set_yticks(list(places), [name for name, _ in places.values()])
    axes.set_title("One step of 28M float32 parameters on two CPU cores", color=INK, loc="left")
    axes.tick_params(colors=INK, length=0)
    axes.xaxis.set_visible(False)
    axes.spines[:].set_visible(False)
    figure.savefig(path, transparent=True, metadata={"Date": None, "Creator": None})
    plt.close(figure)


if __name__ == "__main__":
    draw(CHART)
    print(f"written: {CHART}")
