"""What PTX text is read as: a module of kernels, their declarations and their instructions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

TYPE_WIDTHS: Final = {
    "pred": 1,
    **{f"{kind}{width}": width for kind in "bus" for width in (8, 16, 32, 64)},
    "f16": 16,
    "bf16": 16,
    "f16x2": 32,
    "bf16x2": 32,
    "tf32": 32,
    "f32": 32,
    "f64": 64,
}
"""Bits of each type that a register or variable can be declared with."""


class SourceError(Exception):
    """PTX that is not understood; one line that names the line of the file and what is there."""


@dataclass(frozen=True, slots=True)
class Register:
    """A declared register, by a name that no other register of its entry has."""

    name: str


@dataclass(frozen=True, slots=True)
class Negated:
    """`!p`, a predicate turned round."""

    register: Register


@dataclass(frozen=True, slots=True)
class Special:
    """A register that the machine fills, as %tid.x."""

    name: str


@dataclass(frozen=True, slots=True)
class Number:
    """An immediate; `form` is "whole", "f32" or "f64" for bits, or "decimal"."""

    value: int | float
    form: str


@dataclass(frozen=True, slots=True)
class Symbol:
    """The address of a variable or parameter, or a label, and bytes past it."""

    name: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Address:
    """`[base + offset]`; the base 0 where an address is a number alone."""

    base: Register | Symbol | None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Sink:
    """`_`: a result that is thrown away."""


@dataclass(frozen=True, slots=True)
class Vector:
    """`{a, b}`."""

    parts: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """`p|q`: two results in one place."""

    first: Operand
    second: Operand


Operand = Register | Negated | Special | Number | Symbol | Address | Sink | Vector | Pair


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its predicate, and where it stands."""

    opcode: str
    operands: tuple[Operand, ...]
    predicate: Register | Negated | None
    line: int
    text: str

    @property
    def place(self) -> str:
        """What a reader finds it by."""
        return f"line {self.line}: {self.text}"

    def refused(self, why: str) -> SourceError:
        """The error for an instruction that is not understood."""
        return SourceError(f"{self.place}: {why}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a kernel: `size` is in bytes, `type` "b8" for an array of bytes."""

    name: str
    type: str
    size: int
    alignment: int
    is_pointer: bool


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable in memory. `data` is what it begins with; a size of None is told at launch."""

    name: str
    space: str
    size: int | None
    alignment: int
    data: bytes | None = None
    unknown: bool = False
    """It begins with an address, which only a loader knows."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A kernel. `labels` are indices into `body`; `registers` have a type each."""

    name: str
    params: tuple[Parameter, ...]
    registers: dict[str, str]
    variables: tuple[Variable, ...]
    body: tuple[Instruction, ...]
    labels: dict[str, int]
    reqntid: tuple[int, int, int] | None
    maxntid: tuple[int, int, int] | None
    target: str
    line: int


@dataclass(frozen=True, eq=False)
class Module:
    """A file: its kernels by name, and why those are refused that are not understood."""

    version: str
    target: str
    entries: dict[str, Entry]
    functions: tuple[str, ...] = field(default=())
    refused: dict[str, SourceError] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """All kernels, those that are not understood last."""
        return *self.entries, *self.refused

    def kernel(self, name: str) -> Entry:
        """The kernel of this name; its SourceError if it is not understood."""
        if name in self.refused:
            raise self.refused[name]
        return self.entries[name]
