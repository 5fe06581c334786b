"""The algebra of numbers: an instruction on a few bit patterns."""

from __future__ import annotations

from typing import Any

import numpy as np

from lion_conformance.operations.evaluate import evaluate
from lion_conformance.operations.operation import Operation
from lion_conformance.operations.patterns import BITS, Array
from lion_conformance.ptx.instructions import meaning


class Numbers:
    """Arrays of bit patterns."""

    def apply(self, operation: Operation, *values: Any) -> Array:
        return evaluate(operation, *values)

    def constant(self, kind: str, bits: int) -> Any:
        return BITS[kind].type(bits)

    def number(self, value: Any) -> int | None:
        return None if np.ndim(value) else int(value)


def run(opcode: str, *sources: int | bool, known: bool = True) -> tuple[int | bool, ...]:
    """The results' bits; where not `known`, of values that the code does not show."""
    of = meaning(opcode)
    assert len(of.sources) == len(sources), of.sources
    values = [BITS[kind].type(bits) for kind, bits in zip(of.sources, sources, strict=True)]
    given = values if known else [np.array([value]) for value in values]
    results = of.compute(Numbers(), *given)
    assert len(results) == len(of.results)
    for kind, result in zip(of.results, results, strict=True):
        assert np.asarray(result).dtype == BITS[kind], opcode
    return tuple(np.asarray(result).ravel()[0].item() for result in results)
