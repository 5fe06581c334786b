"""NumPy's functions that are no ufuncs: shapes, new arrays, selections."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np

from lion_conformance.ports.recording.conversions import (
    BOOL,
    Dtype,
    Unrecorded,
    constant_of,
    kind_of,
    plain_dtype,
    selected,
)
from lion_conformance.ports.recording.recorded import (
    FUNCTIONS,
    Number,
    Recorded,
    cells_of,
    elementwise,
    promotion,
    recorded_ufunc,
)

_CLIP: Final[Any] = vars(np)["_core"].umath.clip
"""The ufunc that `np.clip` calls."""

_OF_SHAPES: Final = (
    *("reshape", "ravel", "squeeze", "transpose", "expand_dims", "atleast_1d", "broadcast_to"),
    *("moveaxis", "swapaxes", "flip", "roll", "repeat", "tile", "take", "rot90", "fliplr"),
)
_OF_PARTS: Final = ("split", "array_split")
_OF_SEVERAL: Final = ("concatenate", "stack", "hstack", "vstack")
_SAME_AS_METHOD: Final = ("any", "all", "copy")


def _enter(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS[getattr(np, name)] = function
        return function

    return enter


def _of_shape(function: Any) -> Callable[..., Any]:
    def known(array: Recorded, *args: Any, **options: Any) -> Any:
        return array.of(function(array.cells, *args, **options))

    return known


def _of_parts(function: Any) -> Callable[..., Any]:
    def known(array: Recorded, *args: Any, **options: Any) -> Any:
        return [array.of(x) for x in function(array.cells, *args, **options)]

    return known


def _of_several(function: Any) -> Callable[..., Any]:
    def known(arrays: Any, *args: Any, **options: Any) -> Any:
        dtype = common(*arrays)
        return Recorded(function([cells_of(x, dtype) for x in arrays], *args, **options), dtype)

    return known


def _of_array(name: str) -> Callable[..., Any]:
    def known(array: Recorded, *args: Any, **options: Any) -> Any:
        return getattr(array, name)(*args, **options)

    return known


for _names, _make in ((_OF_SHAPES, _of_shape), (_OF_PARTS, _of_parts), (_OF_SEVERAL, _of_several)):
    for _name in _names:
        FUNCTIONS[getattr(np, _name)] = _make(getattr(np, _name))
for _name in _SAME_AS_METHOD:
    FUNCTIONS[getattr(np, _name)] = _of_array(_name)
for _name in ("shape", "size", "ndim"):
    FUNCTIONS[getattr(np, _name)] = lambda array, _name=_name: getattr(array.cells, _name)


def common(*values: Any) -> Dtype:
    """The dtype that NumPy promotes values to."""
    keys = [promotion(x) for x in values]
    return np.result_type(*(0.0 if x is float else 0 if x is int else x for x in keys))


@_enter("result_type")
def _result_type(*values: Any) -> Dtype:
    return common(*values)


@_enter("where")
def _where(condition: Any, *choices: Any) -> Recorded:
    if len(choices) != 2:
        raise Unrecorded("np.where without two choices has as many elements as the numbers say")
    dtype = common(*choices)
    cells = (cells_of(condition, BOOL), *(cells_of(x, dtype) for x in choices))
    kind = kind_of(dtype)
    return Recorded(elementwise(partial(selected, kind=kind), *cells), dtype)


@_enter("copyto")
def _copyto(target: Any, source: Any, casting: Any = "same_kind", where: Any = True) -> None:
    if not isinstance(target, Recorded):
        raise Unrecorded("np.copyto writes into an array that was made elsewhere")
    kind = promotion(source)
    if kind not in (int, float) and not np.can_cast(kind, target.plain, casting):
        raise TypeError(f"cannot cast array data from {kind} to {target.plain}")
    target.assign(source, where)


@_enter("clip")
def _clip(array: Any, low: Any = None, high: Any = None, out: Any = None, **options: Any) -> Any:
    options |= {} if out is None else {"out": (out,)}
    if low is None or high is None:
        raise Unrecorded("np.clip with one end is not known here")
    return recorded_ufunc(_CLIP, "__call__", (array, low, high), options)


@_enter("nan_to_num")
def _nan_to_num(
    array: Recorded, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Recorded:
    most = np.finfo(array.plain).max
    result = array.copy() if copy else array
    result.assign(nan, np.isnan(array))
    plus, minus = np.equal(array, np.inf), np.equal(array, -np.inf)
    result.assign(most if posinf is None else posinf, plus)
    result.assign(-most if neginf is None else neginf, minus)
    return result


def filled(shape: Any, value: Any, dtype: Any) -> Recorded:
    """A new array of one value; of None, of nothing yet."""
    kind = plain_dtype(dtype)
    cells = np.empty(shape, object)
    if isinstance(value, Recorded):
        cells[...] = cells_of(value, kind)
    elif value is not None:
        cells[...] = constant_of(value, kind)
    return Recorded(cells, kind)


def _like(value: Any) -> Callable[..., Recorded]:
    def known(array: Recorded, dtype: Any = None, shape: Any = None, **_: Any) -> Recorded:
        kind = array.plain if dtype is None else dtype
        return filled(array.shape if shape is None else shape, value, kind)

    return known


FUNCTIONS[np.empty_like] = _like(None)
FUNCTIONS[np.zeros_like] = _like(0)
FUNCTIONS[np.ones_like] = _like(1)


@_enter("full_like")
def _full_like(array: Any, value: Any, dtype: Any = None, shape: Any = None, **_: Any) -> Recorded:
    given = array if isinstance(array, Recorded) else np.asarray(array)
    kind = given.dtype if dtype is None else dtype
    return filled(given.shape if shape is None else shape, value, kind)


@_enter("broadcast_arrays")
def _broadcast_arrays(*arrays: Any, **_: Any) -> tuple[Any, ...]:
    recorded = [as_recorded(x) for x in arrays]
    cells = np.broadcast_arrays(*(x.cells for x in recorded))
    return tuple(x.of(part) for x, part in zip(recorded, cells, strict=True))


@_enter("shares_memory")
@_enter("may_share_memory")
def _shares_memory(first: Any, second: Any, **_: Any) -> bool:
    cells = [x.cells if isinstance(x, Recorded) else x for x in (first, second)]
    return bool(np.shares_memory(cells[0], cells[1]))


def as_recorded(value: Any, dtype: Any = None, *, copy: bool = False) -> Recorded:
    """A value as `np.asarray` has it, or `np.array` with `copy`."""
    if isinstance(value, Recorded) and not isinstance(value, Number):
        target = value.plain if dtype is None else plain_dtype(dtype)
        result = value.astype(target, copy=copy)
        return Recorded(result.cells, target)
    if dtype is None:
        dtype = common(*value) if isinstance(value, (list, tuple)) else common(value)
        dtype = np.result_type(dtype)
    return Recorded(cells_of(value, plain_dtype(dtype)), dtype)
