"""lion_ref's own composition of the update, run on symbols: no formula of it is written twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import numpy as np

from lion_conformance.operations.expression import Node, constant, leaf, made
from lion_conformance.operations.operation import Operation
from lion_conformance.proof.evaluation import in_order
from lion_ref.arithmetic import bits, name_of
from lion_ref.dialects import Arithmetic, Dialect
from lion_ref.dtypes import STORAGE_DTYPES, compute_dtype, promoted
from lion_ref.hyperparameters import Hyperparameters
from lion_ref.semantics import Semantics

Dtype = np.dtype[Any]
Triple = tuple[str, str, str]
Made = TypeVar("Made")

TYPES: Final = {"float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64"}
"""Of each storage dtype, its type in the vocabulary of operations."""

ELEMENTS: Final = ("param", "momentum", "grad")
SCALARS: Final = ("lr", "beta1", "beta2", "weight_decay")

_BINARY64: Final = np.dtype(np.float64)
_FLOAT32: Final = np.dtype(np.float32)


class _Undecided(Exception):
    """The composition asks which of two formulas holds: it is run once for each answer."""

    def __init__(self, question: Node) -> None:
        super().__init__()
        self.question = question


@dataclass(frozen=True, eq=False)
class Symbol:
    """An expression in the place of an array, or of a scalar, which never widens a result."""

    node: Node
    dtype: Dtype
    is_scalar: bool
    answers: dict[Node, bool]

    __array_ufunc__ = None  # NumPy's scalars leave the operation to this class

    def __neg__(self) -> Symbol:
        return self._like(made(Operation("neg", self._type), self.node))

    def __sub__(self, other: object) -> Symbol:
        return self._like(made(Operation("sub", self._type), self.node, self._node_of(other)))

    def __rsub__(self, other: object) -> Symbol:
        return self._like(made(Operation("sub", self._type), self._node_of(other), self.node))

    def __mul__(self, other: object) -> Symbol:
        return self._like(made(Operation("mul", self._type), self.node, self._node_of(other)))

    def __ge__(self, other: object) -> bool:
        return self._asked("ge", other)

    def __eq__(self, other: object) -> bool:
        return self._asked("eq", other)

    __hash__ = None  # type: ignore[assignment]  # == asks

    @property
    def _type(self) -> str:
        return TYPES[name_of(self.dtype)]

    def _like(self, node: Node) -> Symbol:
        return Symbol(node, self.dtype, self.is_scalar, self.answers)

    def _node_of(self, value: object) -> Node:
        return value.node if isinstance(value, Symbol) else number(value, self.dtype)

    def _asked(self, comparison: Any, other: object) -> bool:
        """The answer, if it is known; else the composition stops here and is run for both."""
        operation = Operation("compare", "pred", source=self._type, comparison=comparison)
        question = made(operation, self.node, self._node_of(other))
        if question not in self.answers:
            raise _Undecided(question)
        return self.answers[question]


def number(value: object, dtype: Dtype) -> Node:
    """A number as a constant of a storage dtype that has it."""
    array = np.asarray(value).astype(dtype)
    return constant(TYPES[name_of(dtype)], int(bits(array)[()]))


class SymbolicArithmetic(Arithmetic):
    """⊗, ⊕, ⊖ and fma that make expressions; flushing is a property of each operation.

    An operand that is subnormal in the compute dtype is left to the operation that takes it, which
    flushes it. Only those on float32 do; none flushes before it rounds.
    """

    def __init__(self, semantics: Semantics, compute: Dtype, precision: Any) -> None:
        super().__init__(semantics, compute, precision)
        if semantics.subnormals == "flush-before-rounding":
            raise NotImplementedError("no operation flushes before it rounds")
        self._ftz = semantics.subnormals == "flush"
        if self._ftz and compute == _BINARY64:
            raise NotImplementedError("no operation on float64 flushes subnormals")
        self._type = TYPES[name_of(compute)]

    def load(self, array: Any) -> Any:
        """An input as the operations take it."""
        return self._wide(array) if self.precision == "compute" else array

    def scalar(self, value: Any, meets: Dtype) -> Any:
        """A scalar of binary64 as the one that multiplies an array of dtype `meets`."""
        rounded = value
        if self.semantics.scalars == "storage" and meets != self.compute:
            rounded = self._converted(self._converted(value, meets), _BINARY64)
        elif self.semantics.scalars == "float32":
            rounded = self._converted(self.narrowed(value, _FLOAT32), _BINARY64)
        return self.narrowed(rounded, self.compute)

    def multiply(self, a: Any, b: Any) -> Any:
        """a ⊗ b."""
        return self._done("mul", a, b)

    def add(self, a: Any, b: Any) -> Any:
        """a ⊕ b."""
        return self._done("add", a, b)

    def subtract(self, a: Any, b: Any) -> Any:
        """a ⊖ b."""
        return self._done("sub", a, b)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """a·b + c, rounded once to the compute dtype."""
        return self._done("fma", a, b, c)

    def sign(self, c: Any) -> Any:
        """sign(c), with the signs of zero and NaN that SPEC C22 lets it have."""
        wide = self._wide(c)
        zero = wide.node if self.semantics.zero_sign == "kept" else number(0.0, self.compute)
        of_nan = number(0.0 if self.semantics.nan_sign == "zero" else np.nan, self.compute)
        found = of_nan
        for comparison, result in (
            ("eq", zero),
            ("gt", number(1.0, self.compute)),
            ("lt", number(-1.0, self.compute)),
        ):
            compared: Any = comparison
            test = Operation("compare", "pred", source=self._type, comparison=compared)
            holds = made(test, wide.node, number(0.0, self.compute))
            found = made(Operation("select", self._type), holds, result, found)
        return self.stored(Symbol(found, self.compute, wide.is_scalar, wide.answers), c)

    def stored(self, result: Any, *operands: Any) -> Any:
        """A result as it is held: rounded to the dtype that its operands have together."""
        if self.precision == "compute":
            return result
        held = [x.dtype for x in operands if isinstance(x, Symbol) and not x.is_scalar]
        target = held[0] if held else self.compute
        for dtype in held[1:]:
            target = promoted(target, dtype)
        return self.narrowed(result, target)

    def narrowed(self, values: Any, dtype: Dtype) -> Any:
        """values rounded once to dtype, and flushed there if subnormals are."""
        # A float32 result has been flushed before it is stored in bfloat16, of the same range;
        # float16 keeps its subnormals, below which those of float32 are zeros anyhow.
        return self._converted(values, dtype, ftz=dtype == _FLOAT32)

    def scalar_where_it_meets(self, formed: Any, meets: Dtype) -> Any:
        """A scalar formed in the compute dtype, rounded to the dtype it meets where all are."""
        if self.semantics.scalars == "storage":
            formed = self._converted(formed, meets)
        return Symbol(
            self._converted(formed, self.compute).node, self.compute, True, formed.answers
        )

    def _wide(self, value: Any) -> Any:
        """An operand in the compute dtype."""
        return self._converted(value, self.compute)

    def _done(self, name: str, *operands: Any) -> Any:
        like = next(x for x in operands if isinstance(x, Symbol))
        symbols = [
            x
            if isinstance(x, Symbol)
            else Symbol(number(x, self.compute), self.compute, True, like.answers)
            for x in operands
        ]
        operation = Operation(name, self._type, ftz=self._ftz)
        node = made(operation, *(self._wide(x).node for x in symbols))
        result = Symbol(node, self.compute, all(x.is_scalar for x in symbols), like.answers)
        return self.stored(result, *symbols)

    def _converted(self, value: Any, dtype: Dtype, *, ftz: bool = False) -> Any:
        if value.dtype == dtype:
            return value
        source, target = (TYPES[name_of(x)] for x in (value.dtype, dtype))
        operation = Operation("convert", target, source=source, ftz=self._ftz and ftz)
        return Symbol(made(operation, value.node), dtype, value.is_scalar, value.answers)


@dataclass(frozen=True, slots=True)
class Reference:
    """θ' and m' as they are stored, and what is between them, in the clauses' names (SPEC C5)."""

    new_param: Node
    new_momentum: Node
    c: Node
    u: Node


def reference(semantics: Semantics, triple: Triple) -> Reference:
    """lion_ref's update of an element under a Semantics, in the leaves that `Traced` describes.

    NotImplementedError, in words, for what no expression has.
    """
    dtypes = [STORAGE_DTYPES[name] for name in triple]

    def composed(answers: dict[Node, bool]) -> tuple[Node, ...]:
        def symbol(of: str, dtype: Dtype, index: int) -> Any:
            return Symbol(leaf(of, TYPES[name_of(dtype)], index), dtype, index < 0, answers)

        values = Hyperparameters(*(symbol(x, _BINARY64, -1) for x in SCALARS))
        inputs = [symbol(x, dtype, 0) for x, dtype in zip(ELEMENTS, dtypes, strict=True)]
        parts = Dialect(
            semantics, compute_dtype(triple[0]), dtypes[0], dtypes[1], SymbolicArithmetic
        )
        c: Any = parts.interpolated(values, *inputs)
        u: Any = parts.sign(c)
        new_param: Any = parts.moved(values, inputs[0], u)
        new_momentum: Any = parts.kept(values, *inputs)
        stored: Any = parts.stored(new_param, new_momentum)
        return (*(x.node for x in stored), c.node, u.node)

    return Reference(*_in_all_cases(composed, {}))


def _in_all_cases(
    composed: Callable[[dict[Node, bool]], tuple[Node, ...]], answers: dict[Node, bool]
) -> tuple[Node, ...]:
    """The composition, with a selection wherever a scalar decides between two formulas."""
    try:
        return composed(answers)
    except _Undecided as undecided:
        question = undecided.question
    both = (_in_all_cases(composed, answers | {question: x}) for x in (True, False))
    return tuple(
        one if one is other else made(Operation("select", one.type), question, one, other)
        for one, other in zip(*both, strict=True)
    )


def with_plain_scalars(found: Reference) -> Reference:
    """The same where the host rounds the scalars and keeps what is tiny of them.

    An operation that flushes takes them as zeros in any case. Other bits have only scalars so
    little below the smallest normal number that they are rounded up to it: C18 flushes those.
    """
    plain: dict[Node, Node] = {}
    roots = (found.new_param, found.new_momentum, found.c, found.u)
    for node in in_order(roots):
        operation = node.operation
        if operation.name == "convert" and (operation.source, operation.type) == ("f64", "f32"):
            operation = replace(operation, ftz=False)
        plain[node] = made(operation, *(plain[x] for x in node.arguments))
    return Reference(*(plain[x] for x in roots))
