"""An instruction's meaning taken down once, as operations on numbered places, to be done often."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lion_conformance.operations.operation import Operation
from lion_conformance.ptx.instructions import Meaning


@dataclass(frozen=True, slots=True)
class Place:
    """A value that is not known before the launch: a source, or what an operation gives."""

    number: int


@dataclass(frozen=True, slots=True)
class Known:
    """A number that is in the code."""

    kind: str
    bits: int


@dataclass
class Recorder:
    """An algebra that computes nothing; it writes down what is asked of it."""

    places: int
    done: list[tuple[Operation, tuple[Place | Known, ...]]] = field(default_factory=list)

    def apply(self, operation: Operation, *values: Any) -> Place:
        """Note the operation."""
        self.done.append((operation, values))
        self.places += 1
        return Place(self.places - 1)

    def constant(self, kind: str, bits: int) -> Known:
        """A number by its bits."""
        return Known(kind, bits)

    def number(self, value: Any) -> int | None:
        """The bits of a value that is in the code."""
        return value.bits if isinstance(value, Known) else None


@dataclass(frozen=True, slots=True)
class Recorded:
    """Operations in order; operation i gives the place `sources + i`."""

    sources: int
    operations: tuple[tuple[Operation, tuple[Place | Known, ...]], ...]
    results: tuple[Place | Known, ...]


def record(meaning: Meaning, sources: tuple[Place | Known, ...]) -> Recorded:
    """Take down what an instruction does with these sources: places 0, 1, ... or numbers."""
    recorder = Recorder(len(sources))
    results = meaning.compute(recorder, *sources)
    return Recorded(len(sources), tuple(recorder.done), tuple(results))
