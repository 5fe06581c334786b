"""A callable with lion_ref.step's signature, traced."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

import lion_ref
from lion_conformance.operations.expression import Node, leaf
from lion_conformance.operations.traced import NotTracedError, Traced
from lion_conformance.ports.protocol import PortError, check_environment
from lion_conformance.ports.recording.conversions import (
    Dtype,
    Unrecorded,
    dtype_of,
    kind_of,
    selected,
)
from lion_conformance.ports.recording.names import recording, scopes_around
from lion_conformance.ports.recording.paths import conditions, on_every_way
from lion_conformance.ports.recording.recorded import Cells, Number, Recorded, written
from lion_ref.dtypes import compute_dtype

SIZES: Final = (1, 2, 17)
"""An element alone, two, and a tail after a vector."""

_SCALARS: Final = ("lr", "beta1", "beta2", "weight_decay")
_OWN: Final = (str(Path(lion_ref.__file__).parent), str(Path(__file__).parents[1]))


def traced_callable(
    step: Callable[..., Any], triple: tuple[str, str, str], *, numpys: bool = True
) -> Iterator[Traced]:
    """What a step of NumPy's arrays computes, at some sizes; NotTracedError where it cannot be had.

    Every way that it takes for legal scalars is followed. What it does once is what is traced: of
    a callable that remembers its calls this is the first.

    numpys: code that asks for the type of what it is given hears that it is NumPy's or Python's.
    """
    dtypes = [dtype_of(name) for name in triple]
    for size in SIZES:
        run = partial(_once, step, dtypes, size)
        try:
            with recording(scopes_around(step), numpys=numpys):
                found = on_every_way(run, joined, compute_dtype(triple[0]))
        except Unrecorded as error:
            raise NotTracedError(located(error)) from error
        except PortError as error:
            raise NotTracedError(str(error)) from error
        yield found


def _once(step: Callable[..., Any], dtypes: list[Dtype], size: int) -> Traced:
    """One call."""
    arrays = []
    for name, dtype in zip(("param", "momentum", "grad"), dtypes, strict=True):
        cells = np.empty(size, object)
        cells[:] = [leaf(name, kind_of(dtype), i) for i in range(size)]
        arrays.append(Recorded(cells, dtype))
    before = [x.cells.copy() for x in arrays]
    scalars = {name: Number(leaf(name, "f64")) for name in _SCALARS}
    try:
        with np.errstate(all="ignore"):
            result = step(*arrays, **scalars)
    except Exception as error:
        words = " ".join(str(error).split())
        raise Unrecorded(f"raises {type(error).__name__}{conditions()}: {words}") from error
    finally:
        check_environment()
    new = _pair(result, arrays)
    findings = tuple(_findings(arrays, before, new))
    return Traced(size, _elements(new[0]), _elements(new[1]), findings)


def _findings(given: list[Recorded], before: list[Cells], new: list[Recorded]) -> Iterator[str]:
    """What a callable may not do, in the words of `ports.callable`."""
    for name, array, old in zip(("param", "momentum", "grad"), given, before, strict=True):
        if not all(a is b for a, b in zip(array.cells, old, strict=True)):
            yield (
                f"the port changed its input {name}; legal: inputs are only read, "
                "results are new arrays"
            )
    for name, result, others in (
        ("param", new[0], (*given, new[1])),
        ("momentum", new[1], given),
    ):
        if any(np.shares_memory(result.cells, other.cells) for other in others):
            yield (
                f"the port returned {name} in memory that an input or the other result lies in; "
                "legal: new arrays"
            )


def _elements(array: Recorded) -> tuple[Node, ...]:
    return tuple(written(x) for x in array.cells)


def _pair(result: Any, given: list[Recorded]) -> list[Recorded]:
    """Both results, of the dtypes and shapes that they have to be of."""
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise Unrecorded("returns something else than (param, momentum)")
    found = []
    for name, array, like in zip(("param", "momentum"), result, given, strict=False):
        if not isinstance(array, Recorded):
            raise Unrecorded(f"returns a {name} that is not made of what it was given")
        if array.plain != like.plain or array.shape != like.shape:
            raise Unrecorded(
                f"returns {name} as {array.plain} of shape {array.shape}; "
                f"legal: {like.plain} of shape {like.shape}, as given"
            )
        found.append(array)
    return found


def joined(condition: Node, first: Traced, second: Traced) -> Traced:
    """One result where a condition holds, else the other."""
    pairs = [
        tuple(selected(condition, a, b) for a, b in zip(x, y, strict=True))
        for x, y in (
            (first.new_param, second.new_param),
            (first.new_momentum, second.new_momentum),
        )
    ]
    findings = dict.fromkeys((*first.findings, *second.findings))
    return Traced(first.size, pairs[0], pairs[1], tuple(findings), first.caveat)


def located(error: Unrecorded) -> str:
    """What is not known, with the line of the callable that does it."""
    source = error.__cause__ if isinstance(error.__cause__, Exception) else error
    for frame in reversed(traceback.extract_tb(source.__traceback__)):
        if not frame.filename.startswith(_OWN) and "site-packages" not in frame.filename:
            text = linecache.getline(frame.filename, frame.lineno or 0).strip()
            place = f"line {frame.lineno} of {Path(frame.filename).name}"
            return f"{place} {error}" + (f": {text}" if text else "")
    return f"it {error}"
