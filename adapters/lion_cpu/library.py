"""The kernel's library: found in the package, loaded once, called by address."""

from __future__ import annotations

import ctypes
import sys
from array import array
from collections.abc import Callable, Sequence
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import TypeAlias

Table: TypeAlias = "array[int]"
"""Addresses or sizes, 64 bits each: array("q")."""

in_order = attrgetter("beta1", "one_minus_beta1", "beta2", "one_minus_beta2", "lr", "weight_decay")
"""The six scalars of lion_ref's Scalars, or of what has the same names, as a step takes them."""

_CODES = {"float16": 0, "bfloat16": 1, "float32": 2, "float64": 3}
_SUFFIXES = {"darwin": ".dylib", "win32": ".dll"}


def library_path() -> Path:
    """Where the build puts the library."""
    suffix = _SUFFIXES.get(sys.platform, ".so")
    return Path(__file__).parent / "kernel" / f"lion_cpu{suffix}"


def missing() -> str:
    """Why there is no kernel here; empty if there is one.

    An installation from source has none unless a compiler was there, nor has a checkout in which
    `python hatch_build.py` was not run.
    """
    loaded = _load()
    return loaded if isinstance(loaded, str) else ""


def step(
    addresses: Sequence[Table],
    sizes: Table,
    dtypes: tuple[str, str, str],
    scalars: Sequence[float],
    *,
    flush: bool = False,
    threads: int = 1,
    team: int | None = None,
) -> None:
    """One step of many tensors, in place: θ' over θ and m' over m.

    Each tensor's elements lie in a row, in memory that no other has a part of. Nothing of it is
    checked here.

    Args:
        addresses: of the first elements, a table each for θ, m and g.
        sizes: how many elements each tensor has.
        dtypes: of θ, m and g, by SPEC.md's names; a legal triple.
        scalars: β1, 1-β1, β2, 1-β2, η and λ (`in_order`), rounded to the compute dtype already,
            and flushed if subnormals are.
        flush: whether subnormals are flushed as SPEC C18 has it, else they are kept; in either case
            whatever the threads' own environment is, which they have again afterwards.
        threads: how many may work on it; small steps start none.
        team: the address of OpenMP's GOMP_parallel in the library whose threads are to do it;
            without, threads begin with the step and end with it.

    Raises:
        RuntimeError: there is no kernel, and `missing()` says why; or a triple that is not legal.

    >>> import numpy as np
    >>> theta, m, g = (np.full(3, x, np.float32) for x in (1.0, 0.0, -2.0))
    >>> tables = [array("q", [x.ctypes.data]) for x in (theta, m, g)]
    >>> step(tables, array("q", [3]), ("float32",) * 3, (0.5, 0.5, 0.5, 0.5, 0.25, 0.0))
    >>> theta.tolist(), m.tolist()
    ([1.25, 1.25, 1.25], [-1.0, -1.0, -1.0])
    """
    function = _load()
    if not callable(function):
        raise RuntimeError(function)  # noqa: TRY004 - what was found in its place is a message
    numbers = array("d", scalars)
    tables = (table.buffer_info()[0] for table in (*addresses, sizes))
    codes = (_CODES[name] for name in dtypes)
    if function(len(sizes), *tables, *codes, numbers.buffer_info()[0], flush, threads, team):
        raise RuntimeError(f"dtypes={dtypes} is not legal; legal: a triple of SPEC C3")


@cache
def _load() -> Callable[..., int] | str:
    """The kernel, or why there is none."""
    path = library_path()
    if not path.exists():
        return (
            f"there is no {path.name} in this installation of lion-ref; legal: a wheel for this "
            "platform, an installation from source with a C++ compiler (`pip -v` says why none was "
            "taken), in a checkout `python hatch_build.py`"
        )
    try:
        function = ctypes.CDLL(str(path)).lion_step
    except (OSError, AttributeError) as error:
        return f"{path.name} cannot be loaded: {error}; legal: lion-ref installed again"
    function.restype = ctypes.c_int
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    function.argtypes = [
        *(ctypes.c_int64, pointer, pointer, pointer, pointer),
        *(integer, integer, integer, pointer, integer, integer, pointer),
    ]
    kernel: Callable[..., int] = function
    return kernel
