"""Between which numbers something lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lion_ref.arithmetic import Array, Mask


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between what a feature lies; an edge that is left out is None."""

    low: float | None = None
    high: float | None = None
    low_in: bool = True
    high_in: bool = True
    vague: tuple[bool, bool] = (False, False)
    """Of either edge: whether the number is not the edge, but lies near."""

    def hold(self, values: Array) -> Mask:
        """Where the values lie between them; a NaN never does."""
        inside = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
        if self.low is not None:
            inside &= (values >= self.low) if self.low_in else (values > self.low)
        if self.high is not None:
            inside &= (values <= self.high) if self.high_in else (values < self.high)
        return inside


UNBOUNDED = Bounds()
