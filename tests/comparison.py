"""Two arrays that should have the same bits, and where they do not."""

from __future__ import annotations

import numpy as np

from lion_ref.arithmetic import Array, bits, same_bits


def compared(what: str, mine: Array, wanted: Array) -> list[str]:
    """The first element whose bits differ, if there is one; any NaN equals any NaN (SPEC C11)."""
    differs = np.flatnonzero(bits(mine) != bits(wanted))
    differs = differs[~same_bits(mine[differs], wanted[differs])]
    if not differs.size:
        return []
    first = differs[0]
    return [
        f"{what}[{first}]: {mine[first]!r}, not {wanted[first]!r}; {differs.size} of {mine.size}"
    ]
