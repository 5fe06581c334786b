"""Elements as rows of a table: what of each, and of the case that it is in, may tell where.

A table is a dictionary of columns, so that a feature is a few operations on whole arrays. What is
the same for all elements of a case is a column too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

import lion_ref
from lion_conformance.cases.case import Case
from lion_conformance.ports.layouts import layout_of
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array
from lion_ref.dtypes import compute_dtype

Table = dict[str, Array]

ARRAYS: Final = ("θ", "m", "g")
DTYPES: Final = tuple(STORAGE_DTYPES)
LAYOUTS: Final = (
    "plain",
    "read_only",
    "shifted",
    "transposed",
    "every_second",
    "columns",
    "channels_last",
    "repeated",
    "rows_repeated",
    "one_repeated",
)


def table_of(case: Case, at: Array | None = None) -> Table:
    """The elements of a case, or those at some flat indices."""
    index = np.arange(case.param.size) if at is None else np.asarray(at, np.intp)
    theta, m, g = (x.reshape(-1)[index] for x in case.arrays)
    return (
        _places(case, index)
        | _of_all(_of_the_case(case), index.size)
        | _values(case.with_arrays((theta, m, g)))
    )


def joined(tables: Sequence[Table]) -> Table:
    """The rows of all."""
    if not tables:
        return {}
    return {name: np.concatenate([x[name] for x in tables]) for name in tables[0]}


def rows(table: Table, where: Array) -> Table:
    """Some of the rows."""
    return {name: column[where] for name, column in table.items()}


def decision(case: Case) -> Array:
    """c = β1·m + (1-β1)·g of flat arrays, in the compute dtype."""
    kind = compute_dtype(case.param.dtype.name).type
    with np.errstate(all="ignore"):
        m, g = (np.asarray(x, kind) for x in case.arrays[1:])
        return np.asarray(kind(case.beta1) * m + kind(1 - case.beta1) * g)


def _of_all(values: dict[str, Any], count: int) -> Table:
    return {name: np.full(count, value) for name, value in values.items()}


def _places(case: Case, index: Array) -> Table:
    shape = case.param.shape or (1,)
    size = case.param.size
    first, last = shape[0], shape[-1]
    return {
        "i": index,
        "row": index // max(1, size // max(1, first)),
        "column": index % max(1, last),
        "n": np.full(index.size, size),
        "rows": np.full(index.size, first),
        "columns": np.full(index.size, last),
    }


def _of_the_case(case: Case) -> dict[str, Any]:
    shape = case.param.shape
    found: dict[str, Any] = {
        "axes": len(shape),
        "shortest": min(shape, default=0),
        "η": float(case.lr),
        "λ": float(case.weight_decay),
        "β1": float(case.beta1),
        "β2": float(case.beta2),
    }
    with np.errstate(all="ignore"):
        for name, array in zip(ARRAYS, case.arrays, strict=True):
            found[f"dtype {name}"] = DTYPES.index(array.dtype.name)
            found[f"layout {name}"] = LAYOUTS.index(layout_of(array).__name__)
            found[f"channels last {name}"] = _has_channels_last(array)
            low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
            found[f"low {name}"], found[f"high {name}"] = low, high
            found[f"any NaN {name}"] = bool(np.isnan(low))
            found[f"any inf {name}"] = bool(np.isinf(array).any())
    return found


def _has_channels_last(array: Array) -> bool:
    """Whether the second axis is innermost in memory, whatever else it is called."""
    moved = np.moveaxis(array, 1, -1) if array.ndim > 2 else array
    return moved.flags.c_contiguous and not array.flags.c_contiguous


def _values(case: Case) -> Table:
    """Of flat arrays: θ, m, g, c and the new ones, in float64."""
    with np.errstate(all="ignore"):
        new_param, new_momentum = lion_ref.step(*case.arrays, **case.scalars)
        arrays = (*case.arrays, decision(case), new_param, new_momentum)
        return {
            name: np.asarray(x, np.float64)
            for name, x in zip((*ARRAYS, "c", "θ'", "m'"), arrays, strict=True)
        }
