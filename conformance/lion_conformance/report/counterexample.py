"""A counterexample as plain values: the inputs, what is expected, accepted and got, in bits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.ports.layouts import layout_of
from lion_conformance.ports.protocol import ScalarArguments
from lion_conformance.verdict.accepted_set import AcceptedSet, accepted_sets
from lion_conformance.verdict.failure import Failure, RunFailure, first_difference
from lion_ref import Semantics, step
from lion_ref.arithmetic import Array, bits


@dataclass(frozen=True, slots=True)
class Value:
    """One number: decimal for the reader, hexadecimal bits for the machine."""

    decimal: str
    hex: str

    @classmethod
    def of(cls, array: Any) -> Value:
        """The array's first element."""
        flat = np.asarray(array).reshape(-1)
        width = 2 * flat.dtype.itemsize
        return cls(decimal=str(flat[0]), hex=f"0x{int(bits(flat)[0]):0{width}x}")


@dataclass(frozen=True, slots=True)
class Accepted:
    """What is accepted of one element's result: any number of an interval, or an outcome."""

    intervals: tuple[tuple[Value, Value], ...]
    outcomes: tuple[str, ...]
    """Of nan, inf and -inf."""

    @classmethod
    def of(cls, accepted: AcceptedSet, index: int) -> Accepted:
        """The set of one element, from the lowest interval."""
        found = accepted.outcomes
        masks = (("nan", found.nan), ("inf", found.positive), ("-inf", found.negative))
        return cls(
            intervals=tuple(
                (Value.of(low), Value.of(high)) for low, high in accepted.intervals(index)
            ),
            outcomes=tuple(name for name, mask in masks if mask[index]),
        )

    def words(self) -> str:
        """The set in one line."""
        parts = [
            f"{low.hex} {low.decimal}"
            if low == high
            else f"{low.hex} {low.decimal} to {high.hex} {high.decimal}"
            for low, high in self.intervals
        ]
        return " or ".join([*parts, *self.outcomes])


@dataclass(frozen=True, slots=True)
class Counterexample:
    """The smallest case found at fault: one element, unless it takes more to fail.

    Where a single step is right and a run of several is not, the case is the last event of a run.
    """

    why: str
    dtypes: dict[str, str]
    scalars: ScalarArguments
    shape: tuple[int, ...]
    inputs: dict[str, Value]
    expected: dict[str, Value]
    """The bits that the port promises, or the reference's."""
    got: dict[str, Value]
    """Empty where the port returned nothing."""
    again: dict[str, Value] = field(default_factory=dict)
    """What a second call with the same inputs returned, where it returned other bits."""
    run: tuple[str, ...] = ()
    """A run as text: where each tensor starts, then each event; empty for a single step."""
    accepted: dict[str, Accepted] = field(default_factory=dict)
    """Empty where the port promises very bits, and breaks that promise alone."""
    index: int = 0
    """Which element of the flat case is shown."""
    layout: dict[str, str] = field(default_factory=dict)
    """How the arrays lie in memory, those that do not in C's order: see LAYOUTS."""
    alone: bool = True
    """Whether the port fails on this case alone, not only after those before it."""
    promised: Semantics | None = None
    """The semantics whose bits are expected, where a promise of bits is what was broken."""
    case: Case | None = field(default=None, compare=False, repr=False)
    """All its elements, for a reproduction."""

    @classmethod
    def of(cls, failure: Failure | RunFailure[Any]) -> Counterexample:
        """The failure as plain values, for its first element at fault."""
        if isinstance(failure, Failure):
            return cls._of_step(failure)
        step = cls._of_step(failure.last)
        return replace(step, why=failure.why, run=tuple(failure.run.lines()), alone=False)

    @classmethod
    def _of_step(cls, failure: Failure) -> Counterexample:
        case = failure.case
        names = ("param", "momentum", "grad")
        index = first_difference(failure) or 0
        at = case.at(index) if case.param.size else case
        expected = failure.expected_at(index) or _expected(at, failure.promised)
        accepted = {}
        if failure.promised is None and failure.expected is None and case.param.size:
            sets = zip(names[:2], accepted_sets(at), strict=True)
            accepted = {name: Accepted.of(found, 0) for name, found in sets}
        return cls(
            why=failure.why,
            dtypes=dict(zip(names, case.triple, strict=True)),
            scalars=case.scalars,
            shape=tuple(case.param.shape),
            inputs={n: Value.of(x) for n, x in zip(names, at.arrays, strict=True) if x.size},
            expected={n: Value.of(x) for n, x in zip(names[:2], expected, strict=True) if x.size},
            got=_values(failure.got, index),
            again=_values(failure.again, index),
            accepted=accepted,
            index=index,
            layout=_layout(case),
            alone=failure.alone,
            promised=failure.promised,
            case=case,
        )

    def results(self) -> tuple[Array, Array]:
        """What is expected of every element of the case: (θ', m')."""
        if self.case is None:
            raise ValueError("a counterexample without its case has no results")
        return _expected(self.case, self.promised)

    def layout_words(self) -> list[str]:
        """Which arrays do not lie in C's order, and how they do; nothing if all do."""
        return [f"{name} {LAYOUTS[layout]}" for name, layout in self.layout.items()]


LAYOUTS = {
    "transposed": "in Fortran's order",
    "every_second": "with gaps along the last axis",
    "shifted": "one element behind its allocation's beginning",
    "columns": "as the first columns of a wider array",
    "channels_last": "with the second axis innermost",
    "repeated": "with a stride of 0 along the last axis",
    "rows_repeated": "with a stride of 0 along the first axis",
    "one_repeated": "with no stride but 0",
    "read_only": "read-only",
}


def _layout(case: Case) -> dict[str, str]:
    names = zip(("param", "momentum", "grad"), case.arrays, strict=True)
    found = {name: layout_of(array).__name__ for name, array in names}
    return {name: layout for name, layout in found.items() if layout in LAYOUTS}


def _values(results: tuple[Array, Array] | None, index: int) -> dict[str, Value]:
    """θ' and m' of one element; empty where there is none."""
    if results is None:
        return {}
    named = zip(("param", "momentum"), results, strict=True)
    return {name: Value.of(x.reshape(-1)[index : index + 1]) for name, x in named if x.size}


def _expected(case: Case, promised: Semantics | None) -> tuple[Array, Array]:
    return step(*case.arrays, **case.scalars, semantics=promised or Semantics())
