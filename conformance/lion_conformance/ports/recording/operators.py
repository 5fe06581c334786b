"""Python's operators on arrays that record: each is one of NumPy's ufuncs."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from lion_conformance.ports.recording.conversions import Unrecorded

_BINARY: Final = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "left_shift",
    "rshift": "right_shift",
}
_COMPARISONS: Final = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}
_UNARY: Final = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}


class Operators:
    """What has them, in terms of `__array_ufunc__`."""

    scalar: bool
    """Whether NumPy would have a scalar here, which nothing changes in place."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        raise NotImplementedError

    def binary(self, name: str, other: Any, *, swapped: bool = False) -> Any:
        """An operation of two operands."""
        if not isinstance(other, (Operators, np.ndarray, np.generic, int, float)):
            return NotImplemented
        operands = (other, self) if swapped else (self, other)
        return self.__array_ufunc__(getattr(np, name), "__call__", *operands)

    def in_place(self, name: str, other: Any) -> Any:
        """The same, written over the first."""
        if self.scalar:
            return self.binary(name, other)
        return self.__array_ufunc__(getattr(np, name), "__call__", self, other, out=(self,))

    def unary(self, name: str) -> Any:
        """An operation of one operand."""
        return self.__array_ufunc__(getattr(np, name), "__call__", self)

    def __pow__(self, exponent: Any) -> Any:
        # NumPy's operator squares then, which its function need not do.
        if type(exponent) in (int, float) and exponent == 2 and not self.scalar:
            return self.unary("square")
        raise Unrecorded("raises to a power that is not known here")


_UNKNOWN: Final = {
    "round": "rounds",
    "trunc": "cuts",
    "floor": "rounds",
    "ceil": "rounds",
    "divmod": "divides by divmod()",
    "rdivmod": "divides by divmod()",
    "rpow": "raises to a power",
    "matmul": "multiplies matrices",
    "rmatmul": "multiplies matrices",
    "complex": "makes a complex number",
}
"""What NumPy's and Python's numbers have besides: without it a TypeError, which code may handle."""


def _define_unknown(symbol: str, words: str) -> None:
    def operator(*_: Any) -> Any:
        raise Unrecorded(f"{words}, which is not known here")

    setattr(Operators, f"__{symbol}__", operator)


def _define_binary(symbol: str, name: str) -> None:
    def forward(self: Operators, other: Any) -> Any:
        return self.binary(name, other)

    def backward(self: Operators, other: Any) -> Any:
        return self.binary(name, other, swapped=True)

    def in_place(self: Operators, other: Any) -> Any:
        return self.in_place(name, other)

    setattr(Operators, f"__{symbol}__", forward)
    if symbol in _BINARY:
        setattr(Operators, f"__r{symbol}__", backward)
        setattr(Operators, f"__i{symbol}__", in_place)


def _define_unary(symbol: str, name: str) -> None:
    def operator(self: Operators) -> Any:
        return self.unary(name)

    setattr(Operators, f"__{symbol}__", operator)


for _symbol, _name in (_BINARY | _COMPARISONS).items():
    _define_binary(_symbol, _name)
for _symbol, _name in _UNARY.items():
    _define_unary(_symbol, _name)
for _symbol, _words in _UNKNOWN.items():
    _define_unknown(_symbol, _words)
