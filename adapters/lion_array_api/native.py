"""NumPy's arrays in one pass, by lion_cpu's kernel, where the namespace takes one an operation."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

import numpy as np

import lion_cpu
from lion_ref.hyperparameters import Scalars


def takes(arrays: Iterable[Any]) -> bool:
    """Whether there is a kernel, and these lie in memory as it needs them."""
    return not lion_cpu.missing() and all(
        type(x) is np.ndarray and x.flags.c_contiguous and x.dtype.isnative for x in arrays
    )


def step(param: Any, momentum: Any, grad: Any, scalars: Scalars, *, flush: bool) -> tuple[Any, Any]:
    """(θ', m') as new arrays, in the caller's thread alone, as NumPy computes."""
    new = param.copy(), momentum.copy()
    addresses = [array("q", [x.ctypes.data]) for x in (*new, grad)]
    theta, m, g = (x.dtype.name for x in (param, momentum, grad))
    sizes, six = array("q", [param.size]), lion_cpu.in_order(scalars)
    lion_cpu.step(addresses, sizes, (theta, m, g), six, flush=flush)
    return new
