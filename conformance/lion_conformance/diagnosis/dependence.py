"""Whether an element's bits depend on its place or on the calls before, against SPEC C12."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.diagnosis import probes
from lion_conformance.diagnosis.evidence import Evidence
from lion_conformance.ports.protocol import Port, Triple, run_once
from lion_ref.arithmetic import Array, all_same_bits

PIECE: Final = 7
"""Elements of a short array: less than a vector."""


def depends_on_place(port: Port, triples: Sequence[Triple], scope: Callable[[Case], bool]) -> bool:
    """Whether some element of the probes has other bits among others, or at the other end.

    scope: the cases to look at.

    Raises PortError where the port does not answer.
    """
    for triple in probes.in_order(triples)[:1]:
        for case in filter(scope, probes.cases(triple)):
            whole = run_once(port, *case.arrays, **case.scalars)
            for move in _moves(compiles=port.compiles):
                moved = case.with_arrays(move(x) for x in case.arrays)
                alone = run_once(port, *moved.arrays, **case.scalars)
                if not all(all_same_bits(move(a), b) for a, b in zip(whole, alone, strict=True)):
                    return True
    return False


def differs_alone(port: Port, evidence: Evidence) -> bool:
    """Whether telling elements have other bits in an array of their own, or in a short one.

    Raises PortError where the port does not answer.
    """
    for piece in () if port.compiles else (slice(None), slice(PIECE)):
        few = evidence.telling.with_arrays(x[piece] for x in evidence.telling.arrays)
        alone = run_once(port, *few.arrays, **few.scalars)
        if not all(all_same_bits(a[piece], b) for a, b in zip(evidence.told, alone, strict=True)):
            return True
    return False


def differs_again(port: Port, evidence: Evidence) -> bool:
    """Whether the same case has other bits in either of the next two calls.

    Two, as what alternates is the same again at every second one.

    Raises PortError where the port does not answer.
    """
    case = evidence.case
    for _ in range(2):
        again = run_once(port, *case.arrays, **case.scalars)
        if not all(all_same_bits(a, b) for a, b in zip(evidence.got, again, strict=True)):
            return True
    return False


def _moves(*, compiles: bool) -> Iterator[Callable[[Array], Array]]:
    yield lambda array: np.ascontiguousarray(array[::-1])
    if not compiles:
        yield lambda array: array[-PIECE - PIECE : -PIECE].copy()
