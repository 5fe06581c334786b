"""A kernel made ready to run: blocks of steps, which are functions of a Run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from lion_conformance.ptx.syntax import Instruction

Step = Callable[[Any], None]
"""Does one instruction in the lanes that are at work in a Run."""


def nothing(_: Any) -> None:
    """The step of an instruction that changes nothing here."""


@dataclass(slots=True)
class Piece:
    """An instruction by what it reads and writes; `step` writes for the lanes at work alone."""

    instruction: Instruction
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    step: Step
    step_for_all: Step | None = None
    """The same without a look at who is at work, for registers that nobody else reads."""
    predicate: int = -1
    """The slot of its predicate, which it reads too; -1 where there is none."""
    negated: bool = False


End = Literal["next", "jump", "exit", "barrier"]


@dataclass(slots=True)
class Block:
    """Steps that are always done one after the other, and where their lanes go then."""

    number: int
    pieces: list[Piece] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    end: End = "next"
    target: int = -1
    """The block that a jump goes to."""
    barrier: int = 0
    instruction: Instruction | None = None
    predicate: int = -1
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Filled:
    """A slot that a launch fills: bytes of the parameters, or the address of a variable."""

    slot: int
    kind: Literal["param", "variable"]
    name: str
    offset: int
    width: int


@dataclass(slots=True)
class Program:
    """A compiled entry. `registers` is what each slot holds before the first instruction."""

    blocks: list[Block]
    registers: list[Any]
    bits: list[int]
    """How wide each slot is."""
    watched: frozenset[int]
    """Registers that may be read before they are written, as far as the code can tell."""
    specials: dict[str, int]
    filled: list[Filled]
    shared_size: int
    dynamic_shared: bool
    local_size: int
