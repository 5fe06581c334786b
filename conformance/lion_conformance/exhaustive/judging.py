"""Blocks of a port's results, taken through its own door and compared bit for bit."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lion_conformance.exhaustive.machine import Machine, machine
from lion_conformance.exhaustive.question import (
    PARAMETER_PAIRS,
    PARAMETERS,
    ROWS,
    VALUES,
    Bits,
    Question,
    canonical,
    inputs,
)
from lion_conformance.exhaustive.reference import Reference
from lion_conformance.ports.protocol import Port, run_once
from lion_ref.arithmetic import bits

EXAMPLES: Final = 8
"""Differences that are kept of a block, and shown of a certificate."""


@dataclass(frozen=True, slots=True, order=True)
class Example:
    """One element that differs, as bits: θ, m and g, and θ' and m' of both."""

    given: tuple[int, int, int]
    expected: tuple[int, int]
    found: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Differing:
    """How many of what was judged differ."""

    pairs: int = 0
    """(m, g)."""
    parameters: int = 0
    """(θ, u)."""
    triples: int = 0
    """(θ, m, g), drawn at random."""

    def __add__(self, other: Differing) -> Differing:
        return Differing(
            self.pairs + other.pairs,
            self.parameters + other.parameters,
            self.triples + other.triples,
        )

    def any(self) -> bool:
        """Whether anything does."""
        return self != Differing()


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found of one block."""

    block: int
    digest: bytes
    """SHA-256 of the port's θ', then its m': canonical bits, each number little-endian."""
    differing: Differing = Differing()
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """Blocks judged in one go, and where."""

    blocks: tuple[Judged, ...]
    machine: Machine


class FaultyTablesError(Exception):
    """The reference by tables is not `lion_ref.step`: nothing that was judged by it stands."""


def judge(port: Port, question: Question, blocks: Iterable[int]) -> Found:
    """Take the port through blocks.

    Raises:
        PortError: the port raised, or returned what is no result.
        FaultyTablesError: a row of the reference, drawn from them, was not `lion_ref.step`'s.
    """
    reference, wanted = reference_of(question), tuple(blocks)
    hold(reference, random.choice(wanted))
    found = tuple(_judged(port, reference, block) for block in wanted)
    return Found(found, machine())


@lru_cache(maxsize=1)
def reference_of(question: Question) -> Reference:
    """The tables are made once a process."""
    return Reference(question)


def hold(reference: Reference, block: int) -> None:
    """FaultyTablesError unless a row of the block, drawn at random, is `lion_ref.step`'s."""
    start = random.randrange(ROWS) * VALUES
    row = slice(start, start + VALUES)
    for ours, theirs in zip(reference.block(block), reference.stepped(block, row), strict=True):
        if ours[row].tobytes() != theirs.tobytes():
            raise FaultyTablesError(
                f"row {start // VALUES} of block {block} is not what lion_ref.step gives: a fault "
                "of lion_conformance, and nothing that was judged stands"
            )


def digest(new_param: Bits, new_momentum: Bits) -> bytes:
    """SHA-256 of canonical bits, each number little-endian.

    >>> zero = np.zeros(1, np.uint16)
    >>> digest(zero, zero) == hashlib.sha256(bytes(4)).digest()
    True
    """
    found = hashlib.sha256(new_param.astype("<u2", copy=False).tobytes())
    found.update(new_momentum.astype("<u2", copy=False).tobytes())
    return found.digest()


def _judged(port: Port, reference: Reference, block: int) -> Judged:
    given = inputs(block, reference.question.dtype)
    found = tuple(canonical(x) for x in run_once(port, *given, **reference.question.scalars))
    expected = reference.block(block)
    ours = digest(*found)
    if all(np.array_equal(x, y) for x, y in zip(found, expected, strict=True)):
        return Judged(block, ours)
    differs = (found[0] != expected[0]) | (found[1] != expected[1])
    first = np.flatnonzero(differs)[:EXAMPLES]
    return Judged(block, ours, _counted(block, differs), _examples(first, given, expected, found))


def _counted(block: int, differs: NDArray[np.bool_]) -> Differing:
    if block != PARAMETERS:
        return Differing(pairs=int(differs.sum()))
    return Differing(
        parameters=int(differs[:PARAMETER_PAIRS].sum()),
        triples=int(differs[PARAMETER_PAIRS:].sum()),
    )


def _examples(
    at: NDArray[np.intp],
    given: tuple[NDArray[np.generic], ...],
    expected: tuple[Bits, ...],
    found: tuple[Bits, ...],
) -> tuple[Example, ...]:
    def rows(arrays: tuple[NDArray[np.generic], ...]) -> list[tuple[int, ...]]:
        return [tuple(int(bits(x)[i]) for x in arrays) for i in at]

    return tuple(
        Example((g[0], g[1], g[2]), (e[0], e[1]), (f[0], f[1]))
        for g, e, f in zip(rows(given), rows(expected), rows(found), strict=True)
    )
