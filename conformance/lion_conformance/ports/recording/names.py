"""`np`, `float` and `math` as recorded code sees them.

`np.asarray(x)`, `np.float32(lr)`, `float(lr)` and `math.isfinite(lr)` turn what they are given into
NumPy's and Python's own, and would lose what is recorded. So while code is traced the names of its
module and of its package's other modules, and of lion_ref's, are bound to stand-ins; NumPy itself
stays as it is, for all other code. What reaches the originals another way is found out, since they
ask a recorded array for its numbers.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

import ml_dtypes
import numpy as np

from lion_conformance.operations.expression import made
from lion_conformance.operations.operation import Operation
from lion_conformance.ports.recording.conversions import (
    FLOAT64,
    KnownDtype,
    Unrecorded,
    converted,
    plain_dtype,
)
from lion_conformance.ports.recording.functions import as_recorded, filled
from lion_conformance.ports.recording.paths import traced_here
from lion_conformance.ports.recording.recorded import (
    Number,
    Recorded,
    cells_of,
    elementwise,
    written,
)
from lion_ref import arithmetic, hyperparameters
from lion_ref.dtypes import compute_dtype

_SCALARS: Final = (
    *("float16", "float32", "float64"),
    *("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
)


# As they are: their own modules' names are bound to stand-ins, too.
_ROUND_TO: Final = arithmetic.round_to
_FMA: Final[Any] = arithmetic.fma
_ROUND_SCALARS: Final[Any] = hyperparameters.round_scalars
_ROUNDED_FLOATS: Final = hyperparameters.rounded_floats


class _StandIn(type):
    """A class that stands for another: it makes recorded things of recorded ones."""

    stands_for: Any
    make: Callable[..., Any]

    def __call__(cls, *args: Any, **options: Any) -> Any:
        if _recorded(args):
            return cls.make(*args, **options)
        return cls.stands_for(*args, **options)

    def __instancecheck__(cls, value: object) -> bool:
        if cls.stands_for is float and isinstance(value, Number):
            return True
        if cls.stands_for is np.ndarray and isinstance(value, Recorded):
            return not value.scalar
        return isinstance(value, cls.stands_for)

    def __eq__(cls, other: object) -> bool:
        return getattr(other, "stands_for", other) is cls.stands_for

    def __hash__(cls) -> int:
        return hash(cls.stands_for)


def _recorded(args: Any) -> bool:
    """Whether something recorded is among arguments, or in a list of them."""
    return any(
        isinstance(x, Recorded) or (isinstance(x, (list, tuple)) and _recorded(x)) for x in args
    )


def _number(value: Recorded) -> Number:
    return value if isinstance(value, Number) else value.item()


def _scalar(dtype: np.dtype[Any]) -> Callable[[Any], Recorded]:
    def make(value: Any) -> Recorded:
        found = as_recorded(value).astype(dtype)
        return Recorded(found.cells, dtype, scalar=found.ndim == 0)

    return make


def _standing_for(original: Any, make: Callable[..., Any]) -> Any:
    bases = (object,) if original is np.ndarray else (original,)
    members = {"stands_for": original, "make": staticmethod(make)}
    return _StandIn(original.__name__, bases, members)


PASSED: Final[list[type]] = []
"""Another library's arrays that are traced by it: they stay what they are."""


def _made_array(original: Callable[..., Any], *, copy: bool) -> Callable[..., Any]:
    def array(value: Any, dtype: Any = None, **options: Any) -> Any:
        if isinstance(value, tuple(PASSED)):
            passed: Any = value
            return passed if dtype is None else passed.astype(dtype)
        if not _recorded([value]):
            dtype = None if dtype is None else plain_dtype(dtype)
            return original(value, dtype, **options)
        return as_recorded(value, dtype, copy=copy and options.get("copy") is not False)

    return array


def _made_new(original: Callable[..., Any], value: Any) -> Callable[..., Any]:
    def new(shape: Any, dtype: Any = float, **options: Any) -> Any:
        if not traced_here():
            return original(shape, dtype, **options)
        return filled(shape, value, dtype)

    return new


def _full(shape: Any, value: Any, dtype: Any = None, **options: Any) -> Any:
    if not traced_here():
        return np.full(shape, value, dtype, **options)
    return filled(shape, value, as_recorded(value).plain if dtype is None else dtype)


def _astype(array: Any, dtype: Any, /, *, copy: bool = True) -> Any:
    return array.astype(plain_dtype(dtype), copy=copy)


def _dtype(value: Any, *args: Any, **options: Any) -> KnownDtype:
    return KnownDtype(np.dtype(plain_dtype(value), *args, **options))


class _Module(ModuleType):
    """A module some of whose names are others."""

    def __init__(self, original: ModuleType, others: dict[str, Any]) -> None:
        super().__init__(original.__name__)
        self.__dict__.update(others)
        self._original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


def _of_number(original: Callable[..., Any], known: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def function(*args: Any) -> Any:
        return known(*args) if _recorded(args) else original(*args)

    return function


def _root(value: Recorded) -> Number:
    return Number(made(Operation("sqrt", "f64"), _number(value).node))


def _round_to(values: Any, dtype: Any) -> Any:
    """lion_ref rounds once, where NumPy's own conversion may round twice."""
    if not isinstance(values, Recorded):
        return _ROUND_TO(values, dtype)
    target = plain_dtype(dtype)
    if target.name != "bfloat16" or values.plain != FLOAT64:
        return values.astype(target)
    once = functools.partial(made, Operation("convert", "bf16", source="f64"))
    return Recorded(elementwise(once, values.cells), target)


def _fma(*operands: Any) -> Any:
    """lion_ref's fused multiply-add, which it emulates exactly."""
    if not _recorded(operands):
        return _FMA(*operands)
    recorded = [as_recorded(x) for x in operands]
    kind = {4: "f32", 8: "f64"}[recorded[0].plain.itemsize]
    fused = functools.partial(made, Operation("fma", kind))
    return Recorded(elementwise(fused, *(x.cells for x in recorded)), recorded[0].plain)


def _round_scalars(values: Any, dtype: Any, subnormals: Any = "keep") -> Any:
    """lion_ref's rounded scalars: of those that are flushed, one conversion that flushes."""
    kept = _ROUND_SCALARS(values, dtype, subnormals)
    given = {name: getattr(values, name) for name in ("lr", "beta1", "beta2", "weight_decay")}
    if subnormals != "flush" or plain_dtype(dtype) == FLOAT64 or not _recorded(given.values()):
        return kept  # of float64 nothing is converted: bits are looked at
    given |= {f"one_minus_{name}": 1.0 - given[name] for name in ("beta1", "beta2")}
    once = functools.partial(made, Operation("convert", "f32", source="f64", ftz=True))
    return hyperparameters.Scalars(
        **{
            name: Recorded(elementwise(once, cells_of(x, FLOAT64)), np.float32, scalar=True)
            for name, x in given.items()
        }
    )


def _rounded_floats(values: Any, compute: str, subnormals: Any = "keep") -> Any:
    """lion_ref's rounded scalars as Python's numbers, which it remembers by their bytes."""
    if not isinstance(values.lr, Recorded):
        return _ROUNDED_FLOATS(values, compute, subnormals)
    rounded = _round_scalars(values, compute_dtype(compute), subnormals)
    return hyperparameters.Scalars(
        *(
            Number(converted(written(x.cells.item()), x.plain, FLOAT64))
            for x in (getattr(rounded, name) for name in hyperparameters.Scalars.__slots__)
        )
    )


def _stand_ins() -> dict[int, Any]:
    """What stands for each object, by its identity."""
    scalars = {name: _standing_for(getattr(np, name), _scalar(np.dtype(name))) for name in _SCALARS}
    scalars |= {"single": scalars["float32"], "double": scalars["float64"]}
    scalars["half"] = scalars["float16"]
    bfloat16 = ml_dtypes.bfloat16
    narrow = _standing_for(bfloat16, _scalar(np.dtype(bfloat16)))
    KnownDtype.makers.update({x.stands_for: x for x in (*scalars.values(), narrow)})
    arrays = {
        "asarray": _made_array(np.asarray, copy=False),
        "asanyarray": _made_array(np.asanyarray, copy=False),
        "ascontiguousarray": _made_array(np.ascontiguousarray, copy=False),
        "array": _made_array(np.array, copy=True),
        "empty": _made_new(np.empty, None),
        "zeros": _made_new(np.zeros, 0),
        "ones": _made_new(np.ones, 1),
        "full": _full,
        "ndarray": _standing_for(np.ndarray, _not_made),
    }
    numbers = {
        "isfinite": _of_number(math.isfinite, np.isfinite),
        "isnan": _of_number(math.isnan, np.isnan),
        "isinf": _of_number(math.isinf, np.isinf),
        "fabs": _of_number(math.fabs, abs),
        "sqrt": _of_number(math.sqrt, _root),
    }
    Recorded.namespace = _Module(np, scalars | arrays | {"dtype": _dtype, "astype": _astype})
    found: dict[int, Any] = {id(np): Recorded.namespace}
    found[id(math)] = _Module(math, numbers)
    found[id(ml_dtypes)] = _Module(ml_dtypes, {"bfloat16": narrow})
    found[id(bfloat16)] = narrow
    found |= {id(getattr(np, name)): other for name, other in (scalars | arrays).items()}
    found |= {id(getattr(math, name)): other for name, other in numbers.items()}
    found[id(np.dtype)] = _dtype
    found[id(_ROUND_TO)] = _round_to
    found[id(_FMA)] = _fma
    found[id(_ROUNDED_FLOATS)] = _rounded_floats
    found[id(_ROUND_SCALARS)] = _round_scalars
    return found


def _not_made(*_: Any, **__: Any) -> Any:
    raise Unrecorded("makes an array by np.ndarray(), which is not known here")


def _type_of(value: Recorded) -> Any:
    """The class that code takes it to be of, by the name that it has for it."""
    if isinstance(value, Number):
        return _FLOAT
    if value.scalar:
        return KnownDtype.makers.get(value.plain.type, value.plain.type)
    return Recorded.namespace.ndarray


_FLOAT: Final = _standing_for(float, _number)
_TYPE: Final = _standing_for(type, _type_of)
_BY_IDENTITY: Final = _stand_ins()


@contextmanager
def recording(scopes: list[dict[str, Any]], *, numpys: bool = True) -> Iterator[None]:
    """These modules' names, and those of lion_ref, are bound to stand-ins; as before afterwards.

    numpys: `type` is, too, so that a recorded array has that of NumPy's.
    """
    built_in = {"float": _FLOAT} | ({"type": _TYPE} if numpys else {})
    changed: list[tuple[dict[str, Any], dict[str, Any]]] = []
    try:
        for scope in [*scopes, *_scopes_of("lion_ref")]:
            old = {name: x for name, x in scope.items() if id(x) in _BY_IDENTITY}
            changed.append((scope, old))
            scope.update({name: _BY_IDENTITY[id(x)] for name, x in old.items()})
            for name, other in built_in.items():
                scope.setdefault(name, other)
        yield
    finally:
        for scope, old in changed:
            scope.update(old)
            for name, other in built_in.items():
                if scope.get(name) is other:
                    del scope[name]


def uses(package: str, step: Any) -> bool:
    """Whether a module of a package, if it is loaded at all, is among the names around a callable.

    >>> uses("numpy", uses), uses("jax", uses)
    (True, False)
    """
    modules = [x for name, x in sys.modules.items() if name.partition(".")[0] == package]
    return any(x is module for x in _own_scope(step).values() for module in modules)


def _own_scope(step: Any) -> dict[str, Any]:
    """The names of the module that a callable is of."""
    while isinstance(step, functools.partial):
        step = step.func
    function = getattr(step, "__wrapped__", getattr(step, "__func__", step))
    if not hasattr(function, "__globals__"):
        function = type(step).__call__
    found: dict[str, Any] = getattr(function, "__globals__", {})
    return found


def scopes_around(step: Any) -> list[dict[str, Any]]:
    """The names of the module that a callable is of, and of its package's other modules.

    This package's own record: they go on with NumPy itself.
    """
    own = _own_scope(step)
    package = str(own.get("__name__", "")).partition(".")[0]
    rest = [] if package in ("", "__main__", "lion_conformance") else _scopes_of(package)
    others = [scope for scope in rest if scope is not own]
    return [own, *others] if package != "lion_ref" else []


def _scopes_of(package: str) -> list[dict[str, Any]]:
    return [
        vars(module)
        for name, module in list(sys.modules.items())
        if (name == package or name.startswith(f"{package}.")) and type(module) is ModuleType
    ]
