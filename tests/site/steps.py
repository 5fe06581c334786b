"""What `lion_ref` gives for the steps that the scripts are asked for, as bit patterns."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import numpy as np

import lion_ref
from lion_conformance.cases.case import Case
from lion_ref import Semantics
from lion_ref.arithmetic import Array, bits, round_to
from lion_ref.dialects import Dialect
from lion_ref.hyperparameters import Hyperparameters
from lion_ref.update import operations
from tests.site.engines import LION_STEP

NAMES: Final = ("a", "b", "c", "u", "d", "s", "e", "θ'", "x", "y", "m'")

EXCESS: Final = "excess=float64"
"""The one choice that is no row of SPEC C16: a register wider than the numbers of a float32."""

_QUIET = {2: "7fc0", 4: "7fc00000", 8: "7ff8000000000000"}
_FLOAT32 = np.dtype(np.float32)


def hexadecimal(array: Array) -> list[str]:
    """Bit patterns; of a NaN always the same one, since any NaN equals any NaN."""
    with np.errstate(invalid="ignore"):  # a signalling bfloat16 NaN raises the flag in isnan
        unknown = np.isnan(array)
    width, quiet = array.dtype.itemsize * 2, _QUIET[array.dtype.itemsize]
    pairs = zip(bits(array).tolist(), unknown.tolist(), strict=True)
    return [quiet if is_nan else f"{pattern:0{width}x}" for pattern, is_nan in pairs]


@lru_cache(maxsize=1)
def offered() -> list[str]:
    """Every choice that a page may offer, read from the script."""
    table = LION_STEP.split("const CHOICES = {")[1].split("\n  };")[0]
    return re.findall(r'^ {4}"([^"]+)":', table, re.MULTILINE)


def semantics_of(choice: str) -> Semantics:
    """A choice as it is written on a page: fields and values, with commas between them."""
    pairs = (pair.split("=") for pair in choice.split(", "))
    chosen: dict[str, Any] = {name: value == "True" or value for name, value in pairs}
    return Semantics(**chosen)


def expected(case: Case, choice: str) -> list[str]:
    """The bits of each element: of all operations for the reference, whose choice is ""; else of c.

    Then those of θ' and m' as they are stored.
    """
    if not choice:
        found = operations(*case.arrays, **case.scalars)
        return _joined(*found, *lion_ref.step(*case.arrays, **case.scalars))
    if choice == EXCESS:
        with np.errstate(invalid="ignore"):  # a signalling NaN raises the flag in a cast
            wide = [x.astype(np.float64) for x in case.arrays]
        c = operations(*wide, **case.scalars).c
        stored = (round_to(x, _FLOAT32) for x in lion_ref.step(*wide, **case.scalars))
        return _joined(c, *stored)
    semantics = semantics_of(choice)
    dtype = case.param.dtype
    parts = Dialect(semantics, _FLOAT32, dtype, dtype)
    with np.errstate(all="ignore"):
        c = parts.interpolated(Hyperparameters.checked(**case.scalars), *case.arrays)
    return _joined(c, *lion_ref.step(*case.arrays, **case.scalars, semantics=semantics))


def _joined(*columns: Array) -> list[str]:
    return [" ".join(row) for row in zip(*map(hexadecimal, columns), strict=True)]
