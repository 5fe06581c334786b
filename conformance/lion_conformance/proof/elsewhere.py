"""The port itself where it was not traced: other sizes, axes, strides, calls.

A proof is about what was traced. A function of Python may do otherwise with another array; a kernel
with another grid. No proof covers that, but a look at `verify`'s fixed cases is cheap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import lion_ref
from lion_conformance.cases.case import Case, Named
from lion_conformance.cases.fixed import named_cases, ordinary_case
from lion_conformance.ports.protocol import Port, PortError, Triple, run_once
from lion_conformance.proof.samples import takes_tiny_scalars
from lion_conformance.ptx.port import DOOR
from lion_ref import Semantics
from lion_ref.arithmetic import Array, same_bits

UNLESS: Final = "proved where it was traced, but not"
_NAMES: Final = ("θ'", "m'")


def differs_elsewhere(
    port: Port, triple: Triple, semantics: Semantics, *, tiny_scalars: bool = True
) -> str:
    """Where the port has other bits than lion_ref, in words; nothing where it has none."""
    few = port.compiles or port.door == DOOR  # a grid tells little that its edges have not told
    for name, case in (*_shapes(triple), *named_cases([triple], compiles=few)):
        if not tiny_scalars and takes_tiny_scalars(case):
            continue
        try:
            got = run_once(port, *case.arrays, **case.scalars)
        except PortError as error:
            return f"{UNLESS} at shape {case.param.shape} ({name}): {error}"
        words = other_bits(case, got, semantics)
        if words:
            return f"{UNLESS} at shape {case.param.shape} ({name}): {words}"
    return ""


def other_bits(case: Case, got: Sequence[Array], semantics: Semantics) -> str:
    """How many elements differ from lion_ref's, in words; nothing where none does."""
    expected = lion_ref.step(*case.arrays, **case.scalars, semantics=semantics)
    for which, one, other in zip(_NAMES, got, expected, strict=True):
        wrong = int((~same_bits(one, other)).sum())
        if wrong:
            return f"{which} has other bits in {wrong} of {one.size} elements"
    return ""


def _shapes(triple: Triple) -> Iterator[Named]:
    """No axis, and an axis of no length."""
    case = ordinary_case(triple, 1)
    yield Named("no axis", case.with_arrays(x.reshape(()) for x in case.arrays))
    yield Named("no element", case.with_arrays(x[:0].reshape(0, 3) for x in case.arrays))
