"""The pictures of docs/explanation: `python docs/assets/pictures.py` draws them anew.

Every number in them is computed by `lion_ref`. The same files come out at every run. Lines and
words are of a grey that can be read on white and on black, since a picture in a page does not know
which of the two its reader has chosen.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("svg")

import matplotlib.pyplot as plt
import numpy as np

from lion_ref import CANONICAL, Semantics, bounds, step
from lion_ref.acceptance import problem_of, sign_set
from lion_ref.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

GREY, BLUE, RED = "#7a8088", "#3b82c4", "#d9534f"

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "lion-ref",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 12,
    "text.color": GREY,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
}

USUAL: dict[str, Any] = {"lr": 1e-4, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.05}
"""What people train with."""

RIGHT = Semantics(decay="factor", sign_fused="gradient", momentum_fused="gradient")
"""The bits of lion-pytorch's loop in float32 (docs/ports.md), but for sign(NaN)."""

RTOL = 1e-5


def elements(count: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """θ, m and g of a training run's size; in half of the elements g cancels m, more or less."""
    rng = np.random.default_rng(0)
    theta, m, g = rng.standard_normal((3, count))
    near = rng.integers(0, 2, count) == 1
    beside = 10.0 ** rng.uniform(-9, -1, count) * rng.choice([-1, 1], count)
    g[near] = (-9 * m * (1 + beside))[near]
    return theta.astype(np.float32), m.astype(np.float32), g.astype(np.float32)


def tolerance() -> Figure:
    """How far two ports' θ' are from the reference's: no line has the right one below it."""
    theta, m, g = elements(4_000)
    expected, _ = step(theta, m, g, **USUAL)
    right, _ = step(theta, m, g, **USUAL, semantics=RIGHT)
    wrong, _ = step(theta, m, g, **USUAL | {"weight_decay": 0.0})
    problem = problem_of([theta, m, g], Hyperparameters(**USUAL))
    c = bounds.interpolation(problem, USUAL["beta1"], flushing=True)
    nearness = np.abs(c.low + c.high) / (c.high - c.low)

    figure, axes = plt.subplots(figsize=(8, 4.4))
    ports = [
        ("a port that forgets the weight decay: wrong", wrong, RED, "x"),
        ("a port that rounds elsewhere: right", right, BLUE, "o"),
    ]
    for label, port, colour, marker in ports:
        distance = np.abs(port.astype(np.float64) - expected) / np.abs(expected)
        shown = (distance > 0) & (nearness > 10**-2.5)
        close = np.flatnonzero(shown & (nearness < 1))
        far = np.flatnonzero(shown & (nearness >= 1))[:140]
        where = np.concatenate([close[:50], far])
        axes.plot(
            nearness[where],
            distance[where],
            marker,
            color=colour,
            label=label,
            markersize=4,
            alpha=0.8,
            linestyle="none",
        )
    axes.set(xscale="log", yscale="log", xlim=(10**-2.5, 1e8), ylim=(1e-8, 1))
    axes.axhline(RTOL, color=GREY, linewidth=1.2)
    axes.text(7e7, RTOL * 1.5, "rtol = 1e-5: accepted below", ha="right")
    axes.axvline(1, color=GREY, linewidth=1.2, linestyle="--")
    axes.text(0.8, 0.08, "rounding may\ndecide the sign", ha="right")
    axes.set_xlabel("|c| over what rounding can do to c")
    axes.set_ylabel("|θ' - reference| / |reference|")
    axes.legend(frameon=False, loc="upper right", labelcolor="linecolor")
    return figure


def accepted_set() -> Figure:
    """One element whose c straddles 0: its interval, the signs in it, the θ' that they give."""
    scalars = {"lr": 0.5, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.0}
    theta, m, g = (np.array([x], np.float32) for x in (1.0, 0.1, -0.9))
    problem = problem_of([theta, m, g], Hyperparameters(**scalars))
    c = bounds.interpolation(problem, scalars["beta1"], flushing=False)
    low, high = c.low[0], c.high[0]
    signs = [s for s, held in sign_set(problem, flushing=False).items() if held[0]]
    reach = 1.6 * max(abs(low), abs(high))

    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 3.6))
    figure.subplots_adjust(hspace=1.1)
    _number_line(above, (-reach, reach), [low, 0, high], "c")
    above.plot([low, high], [0, 0], color=BLUE, linewidth=7, solid_capstyle="butt")
    above.plot([0], [0], "o", color=GREY, zorder=3)
    above.set_title("c may be any number in here: its sign is -1, 0 or 1", color=BLUE, fontsize=12)

    ends = {s: bounds.parameter(problem, s, flushing=False)[0] for s in signs}
    _number_line(below, (0.2, 1.8), [ends[s].low[0] for s in sorted(signs, reverse=True)], "θ'")
    names = {-1: "u = -1", 0: "u = 0", 1: "u = +1"}
    for s, interval in ends.items():
        below.plot([interval.low[0], interval.high[0]], [0, 0], "o-", color=BLUE, markersize=9)
        below.text(interval.low[0], 0.3, names[s], ha="center")
    for x in (0.75, 1.25):
        below.plot([x], [0], "x", color=RED, markersize=9)
        below.text(x, 0.3, "refused", ha="center", color=RED)
    return figure


def subnormals() -> Figure:
    """A weight without a gradient, over 12,000 steps: m and θ, subnormals kept and flushed."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 4.8), sharex=True)
    rules = [("kept", CANONICAL, BLUE), ("flushed", Semantics(subnormals="flush"), RED)]
    for label, semantics, colour in rules:
        m, theta = without_gradient(12_000, semantics)
        above.plot(np.where(m > 0, m, np.nan), color=colour, label=f"subnormals {label}")
        below.plot(theta, color=colour)
    smallest = float(np.finfo(np.float32).smallest_normal)
    above.axhline(smallest, color=GREY, linewidth=1.2, linestyle="--")
    above.text(0, smallest * 10, "below: subnormal")
    above.set(yscale="log", ylabel="m")
    below.set(ylabel="θ", xlabel="steps with a gradient of 0, η = 1e-4, β2 = 0.99, λ = 0")
    above.legend(frameon=False, loc="upper right", labelcolor="linecolor")
    return figure


def without_gradient(steps: int, semantics: Semantics) -> tuple[NDArray[Any], NDArray[Any]]:
    """m and θ, both 1 at first, before each step and after the last."""
    theta, m, g = (np.array([x], np.float32) for x in (1.0, 1.0, 0.0))
    rows = [(m[0], theta[0])]
    for _ in range(steps):
        theta, m = step(theta, m, g, **USUAL | {"weight_decay": 0.0}, semantics=semantics)
        rows.append((m[0], theta[0]))
    momenta, params = zip(*rows, strict=True)
    return np.array(momenta), np.array(params)


def _number_line(axes: Axes, limits: tuple[float, float], ticks: list[float], name: str) -> None:
    axes.axhline(0, color=GREY, linewidth=1)
    axes.set(xlim=limits, ylim=(-0.5, 1), yticks=[], xticks=ticks, xlabel=name)
    axes.set_xticklabels([f"{x:.2g}" for x in ticks])
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)


PICTURES = {
    "tolerance.svg": tolerance,
    "accepted-set.svg": accepted_set,
    "subnormals.svg": subnormals,
}


def draw(folder: Path) -> None:
    """Write every picture into the folder."""
    with mpl.rc_context(STYLE):
        for name, made in PICTURES.items():
            figure = made()
            file = folder / name
            metadata = {"Date": None, "Creator": None}
            figure.savefig(file, transparent=True, bbox_inches="tight", metadata=metadata)
            plt.close(figure)
            lines = (line.rstrip() for line in file.read_text(encoding="utf-8").splitlines())
            file.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent)
