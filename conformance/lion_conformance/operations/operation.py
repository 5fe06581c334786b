"""The vocabulary: one operation, of one type, rounded once.

A value is its bit pattern. Types: "f16", "bf16", "f32", "f64"; "u8" to "u64" and "s8" to "s64";
"b8" to "b64" where only the bits count; "pred" for true and false.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Rounding = Literal["rn", "rz", "rm", "rp"]
Comparison = Literal[
    "eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"
]

WIDTHS: Final = {
    "pred": 1,
    "f16": 16,
    "bf16": 16,
    "f32": 32,
    "f64": 64,
    **{f"{kind}{width}": width for kind in "usb" for width in (8, 16, 32, 64)},
}
"""Bits of each type."""

FLOATS: Final = ("f16", "bf16", "f32", "f64")


@dataclass(frozen=True, slots=True)
class Operation:
    """What is done, and how it is rounded; the name says how many arguments there are.

    Numbers (of `type`, and all rounded once, to nearest even unless `rounding` says otherwise):
        add sub mul div (a, b), fma (a, b, c), neg abs sqrt (a), min max (a, b): of two NaN-free
        arguments the smaller or larger, -0 below +0; of one NaN the other, or NaN with `nan`.
        integral (a): the whole number that `rounding` says, as a float.
    Whole numbers: add sub mul (the low half) mulhi div rem min max neg abs, each modulo 2**width.
        Quotients are cut towards zero; of a division by zero all bits are set, its remainder is a.
    Bits: and or xor not shl shr (of an s type with the sign drawn in; a count of the width or more
        shifts all out), popc clz; "pred" has and or xor not.
    Conversions: convert (a), of `source` to `type`: floats round by `rounding` ("rn" unless it says
        otherwise; to a whole number "rz" unless so), whole numbers are cut, or extended by the sign
        if `source` is signed. A float beyond a whole type becomes the end of its range, a NaN 0, or
        the highest bit alone if f64, u64 or s64 is in play. `ftz` is about f32 on either side.
    Comparisons: compare (a, b) of `source` gives a "pred"; the letters u at the end: or a NaN.
    Pieces: select (pred, a, b); concat (low, high, ...) of `source` makes one `type`; extract (a)
        of `source` takes the `type` that begins at bit `low`.
    Leaves, of which there is no evaluation: input (`of`, and its element `index`, -1 for a scalar),
        constant (`bits`).
    """

    name: str
    type: str
    source: str = ""
    rounding: str = ""
    comparison: str = ""
    ftz: bool = False
    """Subnormal arguments and results are zeros of their sign; tiny is what is so when rounded."""
    saturate: bool = False
    """A float result is cut to [0, 1], NaN and -0 to 0; a whole number to its type's range."""
    nan: bool = False
    low: int = 0
    of: str = ""
    index: int = -1
    bits: int = 0
