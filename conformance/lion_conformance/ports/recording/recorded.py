"""Arrays and numbers that record what is done to them: each element is an expression.

The elements lie in a NumPy array of objects, so that shapes, slices and views are NumPy's own. A
view as another dtype has the same elements: an expression is a bit pattern, whoever reads it.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar, Final, Self

import numpy as np

from lion_conformance.operations.expression import Node, made
from lion_conformance.operations.operation import Operation
from lion_conformance.ports.recording.conversions import (
    BOOL,
    FLOAT64,
    Dtype,
    KnownDtype,
    Unrecorded,
    compared,
    constant_of,
    converted,
    kind_of,
    plain_dtype,
    selected,
)
from lion_conformance.ports.recording.elementwise import MEANINGS
from lion_conformance.ports.recording.operators import Operators
from lion_conformance.ports.recording.paths import decide

Cells = np.ndarray[Any, np.dtype[np.object_]]

FUNCTIONS: Final[dict[Any, Callable[..., Any]]] = {}
"""What NumPy's functions come to that are no ufuncs; `functions` enters them."""

_SEEN_BY_NUMPY: Final = {"__array__", "__array_interface__", "__array_struct__"}


class Recorded(Operators):
    """An array, or one of NumPy's scalars, whose elements are expressions."""

    namespace: ClassVar[Any]
    """The array-API namespace that it is of, NumPy's; `names` has it."""

    def __init__(self, cells: Any, dtype: Any, *, scalar: bool = False) -> None:
        if not isinstance(cells, np.ndarray):
            cells, element = np.empty((), object), cells
            cells[()] = element
        self.cells: Cells = cells
        self.plain = plain_dtype(dtype)
        self.scalar = scalar
        """Whether NumPy would have a scalar here, which nothing changes in place."""

    # What is asked of any array.

    @property
    def dtype(self) -> Any:
        """As NumPy's, for all that is asked of it."""
        return KnownDtype(self.plain)

    shape = property(lambda self: self.cells.shape)
    size = property(lambda self: self.cells.size)
    ndim = property(lambda self: self.cells.ndim)
    flags = property(lambda self: self.cells.flags)
    itemsize = property(lambda self: self.plain.itemsize)
    nbytes = property(lambda self: self.plain.itemsize * self.cells.size)
    real = property(lambda self: self)
    flat = property(lambda self: self.ravel())
    T = property(lambda self: self.of(self.cells.T))

    def of(self, cells: Any) -> Recorded:
        """Elements of this array as an array of its dtype."""
        return Recorded(cells, self.plain, scalar=not isinstance(cells, np.ndarray))

    def __getattr__(self, name: str) -> Any:
        if name in _SEEN_BY_NUMPY:
            raise Unrecorded("hands an array to code that does not record")
        if hasattr(np.float64 if self.scalar else np.ndarray, name) and not name.startswith("__"):
            of = "a number" if self.scalar else "an array"
            raise Unrecorded(f"uses {of}'s {name}, which is not known here")
        raise AttributeError(name)

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[Recorded]:
        return (self[i] for i in range(len(self)))

    # Shapes, copies, elements.

    def copy(self, order: str = "C") -> Recorded:
        """The same elements elsewhere."""
        del order
        return self.of(self.cells.copy())

    __copy__ = copy

    def __deepcopy__(self, _: Any) -> Recorded:
        return self.copy()

    def reshape(self, *shape: Any, **options: Any) -> Recorded:
        """As NumPy's."""
        return self.of(self.cells.reshape(*shape, **options))

    def ravel(self, *order: Any) -> Recorded:
        """As NumPy's."""
        return self.of(self.cells.ravel(*order))

    def flatten(self, *order: Any) -> Recorded:
        """As NumPy's."""
        return self.of(self.cells.flatten(*order))

    def squeeze(self, *axes: Any) -> Recorded:
        """As NumPy's."""
        return self.of(self.cells.squeeze(*axes))

    def transpose(self, *axes: Any) -> Recorded:
        """As NumPy's."""
        return self.of(self.cells.transpose(*axes))

    def fill(self, value: Any) -> None:
        """As NumPy's."""
        self[...] = value

    def item(self, *index: Any) -> Any:
        """An element as Python's number: of binary64, exactly."""
        if self.cells.size != 1 and not index:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        cell = self.cells.item(*index)
        return Number(converted(written(cell), self.plain, FLOAT64))

    def astype(self, dtype: Any, *_: Any, copy: bool = True, **__: Any) -> Recorded:
        """Each element converted."""
        target = plain_dtype(dtype)
        if target == self.plain and not copy:
            return self
        return Recorded(each(self.cells, self.plain, target), target, scalar=self.scalar)

    def view(self, dtype: Any = None, *_: Any) -> Recorded:
        """The same elements read as another dtype of the same width."""
        target = self.plain if dtype is None else plain_dtype(dtype)
        if target.itemsize != self.plain.itemsize:
            raise Unrecorded(f"views {self.plain} as {target}, which is not known here")
        kind_of(target)
        return Recorded(self.cells, target, scalar=self.scalar)

    def __getitem__(self, index: Any) -> Recorded:
        return self.of(self.cells[_index(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        if self.scalar:
            raise TypeError("a NumPy scalar does not support item assignment")
        if isinstance(index, Recorded) and index.plain == BOOL:
            if isinstance(value, Recorded) and value.cells.ndim:
                raise Unrecorded("assigns an array where a mask holds, which is not known here")
            self.assign(value, where=index)
        else:
            self.cells[_index(index)] = cells_of(value, self.plain)[()]

    def assign(self, value: Any, where: Any = True) -> None:
        """Write a value, converted, where a mask holds."""
        new = cells_of(value, self.plain)
        if where is not True:
            mask = cells_of(where, BOOL)
            kind = kind_of(self.plain)
            new = elementwise(partial(selected, kind=kind), mask, new, self.cells)
        self.cells[...] = new

    # Numbers.

    def __bool__(self) -> bool:
        if self.cells.size != 1:
            raise ValueError("the truth value of an array with more than one element is ambiguous")
        node = converted(written(self.cells.item()), self.plain, BOOL)
        return decide(node)

    def __repr__(self) -> str:
        raise Unrecorded("writes numbers as text")  # which code may compare

    def __format__(self, _: str) -> str:
        return repr(self)

    def __hash__(self) -> int:
        if not self.scalar:
            raise TypeError("unhashable type: 'numpy.ndarray'")
        raise Unrecorded("looks a number up, as in a set or a dict")

    def __float__(self) -> float:
        raise Unrecorded("takes a number out, as float() does")

    def __int__(self) -> int:
        raise Unrecorded("takes a whole number out, as int() does")

    __index__ = __int__

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return recorded_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, _: Any, args: Any, options: Any) -> Any:
        known = FUNCTIONS.get(function)
        if known is None:
            raise Unrecorded(f"np.{function.__name__} is not known here")
        return known(*args, **options)

    def any(self, axis: None = None) -> Recorded:
        """Whether one element is not zero."""
        return self._folded("or", axis)

    def all(self, axis: None = None) -> Recorded:
        """Whether no element is zero."""
        return self._folded("and", axis)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        del api_version
        return self.namespace

    def _folded(self, name: str, axis: object) -> Recorded:
        if axis is not None:
            raise Unrecorded("asks any or all along an axis, which is not known here")
        truths = [written(x) for x in each(self.cells, self.plain, BOOL).ravel()]
        whole = constant_of(name == "and", BOOL)
        for truth in truths:
            whole = made(Operation(name, "pred"), whole, truth)
        return Recorded(whole, BOOL, scalar=True)


class Number(Recorded):
    """Python's number: binary64, which takes the dtype of an array that it meets."""

    def __init__(self, node: Node) -> None:
        super().__init__(node, FLOAT64, scalar=True)

    @property
    def node(self) -> Node:
        """The expression."""
        return written(self.cells.item())

    def binary(self, name: str, other: Any, *, swapped: bool = False) -> Any:
        """A number of two numbers, or an array."""
        if type(other) in (int, float, bool):
            other = Number(constant_of(float(other), FLOAT64))
        found = super().binary(name, other, swapped=swapped)
        if not isinstance(other, Number) or found is NotImplemented:
            return found
        if name == "divide":
            divisor = self if swapped else other
            if decide(compared("eq", "f64", divisor.node, constant_of(0, FLOAT64))):
                raise ZeroDivisionError("float division by zero")
        return Number(written(found.cells.item())) if found.plain == FLOAT64 else found

    def unary(self, name: str) -> Any:
        """A number again."""
        return Number(super().unary(name).cells.item())

    def conjugate(self) -> Self:
        """As Python's."""
        return self


# So that code which asks whether it was given a number hears that it was.
numbers.Real.register(Number)


def written(cell: Any) -> Node:
    """An element, unless nothing was ever written there."""
    if cell is None:
        raise Unrecorded("reads an element that was never written")
    node: Node = cell
    return node


def _index(index: Any) -> Any:
    """An index that is known."""
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(part, Recorded) for part in parts):
        raise Unrecorded("takes elements by an index, or a mask, that the numbers decide")
    return index


def elementwise(function: Callable[..., Node], *operands: Cells) -> Cells:
    """A function of expressions, of each element; operands are broadcast."""
    checked: Any = np.frompyfunc(lambda *x: function(*map(written, x)), len(operands), 1)
    return Recorded(checked(*operands), BOOL).cells


def each(cells: Cells, source: Dtype, target: Dtype) -> Cells:
    """Every element converted."""
    return elementwise(partial(converted, source=source, target=target), cells)


def cells_of(value: Any, dtype: Dtype) -> Cells:
    """Whatever stands for an array, as elements of a dtype."""
    if isinstance(value, Recorded):
        return each(value.cells, value.plain, dtype)
    if isinstance(value, (list, tuple)):
        return np.stack([cells_of(x, dtype) for x in value]) if value else np.empty(0, object)
    if isinstance(value, np.ndarray):
        found = np.empty(value.shape, object)
        for index in np.ndindex(value.shape):
            found[index] = constant_of(value[index], dtype)
        return found
    return Recorded(constant_of(value, dtype), dtype).cells


def promotion(value: Any) -> Any:
    """What a value is for NumPy's promotion: a dtype, or a Python number's type."""
    if isinstance(value, Number):
        return float
    if isinstance(value, Recorded):
        return value.plain
    if type(value) in (int, float):
        return type(value)
    return np.asarray(value).dtype


def recorded_ufunc(
    ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    """What a ufunc of recorded operands comes to."""
    name = ufunc.__name__
    is_numpys = ufunc in (getattr(np, name, None), vars(np)["_core"].umath.clip)
    if method != "__call__" or name not in MEANINGS or not is_numpys:
        of = "" if method == "__call__" else f".{method}"
        raise Unrecorded(f"np.{name}{of} is not known here")
    outs, where = options.pop("out", None), options.pop("where", True)
    asked = options.pop("dtype", None)
    signed = {} if asked is None else {"signature": (*(None,) * ufunc.nin, plain_dtype(asked))}
    casting = options.pop("casting", "same_kind")
    options = {k: v for k, v in options.items() if k not in ("order", "subok")}
    if options:
        raise Unrecorded(f"np.{name} with {', '.join(options)} is not known here")
    keys = (*map(promotion, inputs), None)
    loop = ufunc.resolve_dtypes(keys, casting=casting, **signed)
    if len(set(loop[:-1])) != 1:
        raise Unrecorded(f"np.{name} of {loop[0]} and {loop[1]} is not known here")
    meaning = MEANINGS[name]
    operands = [cells_of(x, loop[0]) for x in inputs]
    found = elementwise(partial(meaning, loop[0]), *operands)
    result = Recorded(found, loop[-1], scalar=found.ndim == 0)
    if outs is None:
        if where is not True:
            raise Unrecorded(f"np.{name} with where but no out leaves elements as they come")
        return result
    return _written_out(name, result, outs, where, casting)


def _written_out(name: str, result: Recorded, outs: Any, where: Any, casting: str) -> Any:
    (out,) = outs if isinstance(outs, tuple) else (outs,)
    if not isinstance(out, Recorded):
        raise Unrecorded(f"np.{name} writes into an array that was made elsewhere")
    if not np.can_cast(result.plain, out.plain, casting):  # type: ignore[arg-type]
        raise TypeError(f"cannot cast ufunc {name!r} output from {result.plain} to {out.plain}")
    if np.broadcast_shapes(result.shape, out.shape) != out.shape:
        raise ValueError(f"non-broadcastable output operand with shape {out.shape}")
    out.assign(result, where)
    return out
