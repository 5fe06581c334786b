"""Arguments of operations on floats: all kinds of numbers, and those that cancel or nearly so."""

from __future__ import annotations

import numpy as np

from lion_conformance.operations.operation import Operation
from lion_conformance.operations.patterns import BITS, NUMBERS, Array
from lion_ref.arithmetic import round_to
from tests.adversarial import landmarks, values

COUNTS = {"neg": 1, "abs": 1, "sqrt": 1, "integral": 1, "fma": 3}
"""Arguments of an operation, where they are not two."""


def of(kind: str, *patterns: int) -> Array:
    """These bits."""
    return np.array(patterns, BITS[kind])


def patterns(rng: np.random.Generator, kind: str, size: int) -> Array:
    """Bits of numbers of all kinds."""
    return values(rng, NUMBERS[kind].name, size).view(BITS[kind])


def all_landmarks(kind: str) -> Array:
    """The bits at the edges of the type."""
    return landmarks(NUMBERS[kind].name).view(BITS[kind])


def arguments(rng: np.random.Generator, operation: Operation, size: int) -> list[Array]:
    """Bits for an operation's arguments; in half of them the result nearly cancels or is tiny."""
    kind = operation.type
    given = [patterns(rng, kind, size) for _ in range(COUNTS.get(operation.name, 2))]
    with np.errstate(all="ignore"):
        numbers = [a.view(NUMBERS[kind]).astype(np.float64) for a in given]
        if operation.name == "fma":
            near = round_to(-(numbers[0] * numbers[1]), NUMBERS[kind])
        elif operation.name in {"add", "sub"}:
            near = (-numbers[0] if operation.name == "add" else numbers[0]).astype(NUMBERS[kind])
        elif operation.name in {"mul", "div"}:
            tiny = 2.0 ** float(np.finfo(NUMBERS[kind]).minexp) if kind != "bf16" else 2.0**-126
            factor = tiny / numbers[0] if operation.name == "mul" else numbers[0] / tiny
            near = round_to(factor, NUMBERS[kind])
        else:
            return given
    # A few last places beside it.
    beside = near.view(BITS[kind]) + rng.integers(-2, 3, size).astype(np.int8).astype(BITS[kind])
    given[-1] = np.where(rng.random(size) < 0.5, beside, given[-1]).astype(BITS[kind])
    return given
