"""A picture of the differences: |Δθ'| in ulps against |c| relative to its bound, as inline SVG."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lion_conformance.differences import Difference

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 16, 56
X_LOW, X_HIGH = -3, 8
"""Powers of ten of |c| over its bound; what lies beyond is drawn at the edge."""

# A shape and a colour for each reason: colour alone would tell some readers nothing.
_SHAPES = {
    "rounding": ("circle", "#2f6fb2"),
    "sign-ambiguous": ("diamond", "#b5651d"),
    "subnormal": ("square", "#5b7f3b"),
    "zero-sign": ("plus", "#6a4fa3"),
    "decay-skip": ("plus", "#3d7d7a"),
    "outside": ("cross", "#b3261e"),
}
_OTHER = ("circle", "#6b7280")


def svg(differences: Sequence[Difference], title: str) -> str:
    """The picture, with its words; nothing to draw gives nothing."""
    if not differences:
        return ""
    top = max(1.0, math.log10(max(x.ulps for x in differences) or 1))
    points = "".join(_point(x, top) for x in differences)
    band = _x(1.0) - LEFT
    summary = ", ".join(
        f"{sum(x.reason == reason for x in differences)} {reason}"
        for reason in _reasons(differences)
    )
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}: '
        f'{escape(summary)}">'
        f'<rect class="band" x="{LEFT}" y="{TOP}" width="{band:.1f}" '
        f'height="{HEIGHT - TOP - BOTTOM}"/>'
        f'<text x="{LEFT + 6}" y="{TOP + 16}">the sign is ambiguous</text>'
        f"{_axes(top)}{points}</svg>"
        f"<figcaption>{escape(title)}: |Δθ'| in ulps against |c| over its bound, for a sample of "
        f"the elements that differ. {_legend(differences)}</figcaption></figure>"
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
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}" fill-opacity=".65"/>'
    if shape == "square":
        return (
            f'<rect x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6" fill="{colour}" '
            'fill-opacity=".65"/>'
        )
    paths = {
        "diamond": "m0 -5 l4 5 l-4 5 l-4 -5 z",
        "plus": "m-4 0 h8 m-4 -4 v8",
        "cross": "m-4 -4 l8 8 m0 -8 l-8 8",
    }
    fill = colour if shape == "diamond" else "none"
    return (
        f'<path transform="translate({x:.1f} {y:.1f})" d="{paths[shape]}" fill="{fill}" '
        f'fill-opacity=".65" stroke="{colour}" stroke-width="1.5"/>'
    )


def _axes(top: float) -> str:
    floor, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    lines = [f'<path class="axis" d="M{LEFT} {TOP} V{floor} H{right}"/>']
    for power in range(X_LOW, X_HIGH + 1):
        x = _x(10.0**power)
        lines.append(f'<text class="tick" x="{x:.1f}" y="{floor + 18}">{_power(power)}</text>')
    step = max(1, math.ceil(top / 5))
    for power in range(0, math.floor(top) + 1, step):
        y = _y(power, top) + 4
        lines.append(f'<text class="tick left" x="{LEFT - 8}" y="{y:.1f}">{_power(power)}</text>')
    lines.append(
        f'<text class="tick" x="{(LEFT + right) / 2}" y="{HEIGHT - 10}">|c| / bound</text>'
    )
    lines.append(
        f'<text class="tick" transform="translate(14 {(TOP + floor) / 2}) rotate(-90)">ulps</text>'
    )
    return "".join(lines)


def _power(power: int) -> str:
    return "1" if power == 0 else f'10<tspan dy="-5" font-size="9">{power}</tspan>'


def _legend(differences: Sequence[Difference]) -> str:
    entries = (
        f'<span class="key"><svg viewBox="-7 -7 14 14" width="14" height="14" aria-hidden="true">'
        f"{_marker(reason, 0, 0)}</svg> {escape(reason)}</span>"
        for reason in _reasons(differences)
    )
    return " ".join(entries)
