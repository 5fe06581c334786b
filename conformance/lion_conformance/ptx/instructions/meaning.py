"""What is said of an instruction, and to whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from lion_conformance.operations.operation import Operation


class Algebra(Protocol):
    """Who computes: on arrays of bit patterns, or on expressions."""

    def apply(self, operation: Operation, *values: Any) -> Any:
        """The operation on these values."""
        ...

    def constant(self, kind: str, bits: int) -> Any:
        """A value by its bits, the same in every lane."""
        ...

    def number(self, value: Any) -> int | None:
        """The bits of a value that is known and the same in every lane; None if it is not."""
        ...


Compute = Callable[..., tuple[Any, ...]]
"""compute(algebra, *sources) gives the results."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """One instruction, with all its modifiers."""

    sources: tuple[str, ...]
    """The type of each source operand: of a wider register the low bits count."""
    results: tuple[str, ...]
    """The type of each destination: a wider register is filled up with zeros, or with the sign of
    an s type. setp may have two: p|q."""
    compute: Compute
    contractible: str = ""
    """"mul", "add" or "sub" that carries no rounding: the assembler may make a fused one of it."""


class UnknownInstruction(Exception):
    """An instruction, or a modifier of one, whose meaning is not known here."""


class Approximate(UnknownInstruction):
    """An instruction whose bits NVIDIA leaves to each GPU."""
