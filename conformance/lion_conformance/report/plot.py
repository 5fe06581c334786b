"""A picture of the differences: |Δθ'| in ulps against |c| relative to its bound, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from lion_conformance.verdict.differences import Difference

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 72, 20, 16, 62
X_LOW, X_HIGH = -3, 8
"""Powers of ten of |c| over its bound; what lies beyond is drawn at the edge."""

# A shape and a colour for each reason: colour alone would tell some readers nothing.
_SHAPES = {
    "rounding": ("circle", "blue"),
    "sign-ambiguous": ("diamond", "orange"),
    "subnormal": ("square", "green"),
    "zero-sign": ("plus", "violet"),
    "decay-skip": ("triangle", "teal"),
    "outside": ("cross", "red"),
}
_OTHER = ("circle", "grey")

_PATHS = {
    "circle": "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z",
    "diamond": "M0 -5l4 5l-4 5l-4 -5z",
    "square": "M-3 -3h6v6h-6z",
    "triangle": "M0 -4l4 7h-8z",
    "plus": "M-4 0h8M0 -4v8",
    "cross": "M-4 -4l8 8M4 -4l-8 8",
}
_OPEN = ("plus", "cross")


def svg(differences: Sequence[Difference], title: str) -> str:
    """The picture, with its words; nothing to draw gives nothing."""
    if not differences:
        return ""
    top = max(1.0, math.log10(max(x.ulps for x in differences) or 1))
    points = "".join(_point(x, top) for x in differences)
    edge, floor = _x(1.0), HEIGHT - BOTTOM
    summary = ", ".join(
        f"{sum(x.reason == reason for x in differences)} {reason}"
        for reason in _reasons(differences)
    )
    label = f"{title}: how far θ' differs, in ulps, against |c| over its bound: {summary}"
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"<title>{escape(label)}</title>"
        f'<rect class="band" x="{LEFT}" y="{TOP}" width="{edge - LEFT:.1f}" '
        f'height="{floor - TOP}"/>'
        f'<path class="edge" d="M{edge:.1f} {TOP}V{floor}"/>'
        f"{_axes(top)}{points}"
        f'<text class="over" x="{LEFT + 8}" y="{TOP + 20}">sign ambiguous</text></svg>'
        f"<figcaption>How far θ' is from the reference's, against |c| over its bound, for "
        f"{len(differences)} of the elements that differ. Left of the broken line rounding may "
        f"decide the sign. {_legend(differences)}</figcaption></figure>"
    )


def _reasons(differences: Sequence[Difference]) -> list[str]:
    return sorted({x.reason for x in differences})


def _x(relative_c: float) -> float:
    power = math.log10(relative_c) if relative_c > 0 else X_LOW
    share = (min(max(power, X_LOW), X_HIGH) - X_LOW) / (X_HIGH - X_LOW)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(power: float, top: float) -> float:
    return HEIGHT - BOTTOM - power / top * (HEIGHT - TOP - BOTTOM)


def _point(difference: Difference, top: float) -> str:
    x, y = _x(difference.relative_c), _y(math.log10(max(1, difference.ulps)), top)
    return _marker(difference.reason, x, y)


def _marker(reason: str, x: float, y: float) -> str:
    shape, colour = _SHAPES.get(reason, _OTHER)
    classes = f"mark {colour}" if shape in _OPEN else f"mark filled {colour}"
    return f'<path class="{classes}" transform="translate({x:.1f} {y:.1f})" d="{_PATHS[shape]}"/>'


def _axes(top: float) -> str:
    floor, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    lines = [f'<path class="axis" d="M{LEFT} {TOP} V{floor} H{right}"/>']
    for power in range(X_LOW, X_HIGH + 1, 2):
        x = _x(10.0**power)
        lines.append(f'<text class="tick" x="{x:.1f}" y="{floor + 22}">{_power(power)}</text>')
    step = max(1, math.ceil(top / 5))
    for power in range(0, math.floor(top) + 1, step):
        y = _y(power, top) + 4
        lines.append(f'<path class="grid" d="M{LEFT} {y - 4:.1f}H{right}"/>')
        lines.append(f'<text class="tick left" x="{LEFT - 8}" y="{y:.1f}">{_power(power)}</text>')
    lines.append(
        f'<text class="tick" x="{(LEFT + right) / 2}" y="{HEIGHT - 8}">|c| over its bound</text>'
    )
    middle = (TOP + floor) / 2
    lines.append(
        f'<text class="tick" transform="translate(16 {middle}) rotate(-90)">|Δθ′| in ulps</text>'
    )
    return "".join(lines)


def _power(power: int) -> str:
    return "1" if power == 0 else f'10<tspan dy="-.4em" font-size=".75em">{power}</tspan>'


def _legend(differences: Sequence[Difference]) -> str:
    entries = (
        f'<span class="key"><svg viewBox="-7 -7 14 14" width="14" height="14" aria-hidden="true">'
        f"{_marker(reason, 0, 0)}</svg> {escape(reason)}</span>"
        for reason in _reasons(differences)
    )
    return " ".join(entries)
