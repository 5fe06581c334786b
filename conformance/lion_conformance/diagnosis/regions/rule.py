"""A rule: what may be asked of an element, and the answers that mean that it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.diagnosis.regions.bounds import UNBOUNDED, Bounds
from lion_conformance.diagnosis.regions.table import Table, table_of
from lion_conformance.diagnosis.regions.wording import compared
from lion_ref.arithmetic import Array, Mask

TESTABLE: Final = 1e-5
"""Nearer to a number, relative to it, a scalar is the same in the compute dtype."""


def testable(number: float) -> float:
    """How near to a scalar another one may be whose answers are its own.

    What is nearly 1 is a β, of which the complement counts.
    """
    size = abs(number)
    return TESTABLE * (1 - size if 0.5 < size < 1 else size)


class Kind(Enum):
    """What a feature's values are."""

    TRUTH = "true or false"
    NUMBER = "a number of each element, of which one case can have many"
    SCALAR = "a binary64 number of a case"
    SIZE = "a whole number of a case"
    PLACE = "a whole number of each element"


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing that may be asked."""

    symbol: str
    """Of a truth the whole formula, else what stands left of a comparison."""
    about: str
    """"element", "value", "shape", "layout", "scalars" or "dtype"."""
    kind: Kind
    of: Callable[[Table], Array]
    words: str | Callable[[Bounds], str]
    """A truth's sentence, or how bounds are said."""
    cost: float = 1.0
    """How far from the simplest: of two rules that explain the same the cheaper is told."""
    varied: str = ""
    """What straddle changes to get other values of it."""
    whole: bool = False
    """Whether it is the same for all elements of a case."""
    period: int = 0
    """One in so many, or what is left of them."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """A feature, and where the port is wrong in it."""

    feature: Feature
    bounds: Bounds = UNBOUNDED

    def holds(self, table: Table) -> Mask:
        """For which rows."""
        values = self.feature.of(table)
        return np.asarray(values, bool) if self.is_truth else self.bounds.hold(values)

    def nearly(self, table: Table) -> Mask:
        """Which rows lie at an edge: what is a scalar's next number in the compute dtype."""
        near = np.zeros(table["i"].size, bool)
        for edge in (self.bounds.low, self.bounds.high):
            if edge is not None and self.feature.kind is Kind.SCALAR:
                near |= np.abs(self.feature.of(table) - edge) <= 2 * testable(edge)
        return near

    @property
    def is_truth(self) -> bool:
        """Whether it has no bounds."""
        return self.feature.kind is Kind.TRUTH

    @property
    def cost(self) -> float:
        """Two edges are harder to say than one."""
        two = self.bounds.low is not None and self.bounds.high is not None
        return self.feature.cost + 0.5 * (two and self.bounds.low != self.bounds.high)

    @property
    def sentence(self) -> str:
        """In words."""
        words = self.feature.words
        return words if isinstance(words, str) else words(self.bounds)

    @property
    def formula(self) -> str:
        """In symbols."""
        return self.feature.symbol if self.is_truth else compared(self.feature.symbol, self.bounds)


_FROM_THE_FIRST = ", from the first on"
_ORDER = ("element", "shape", "layout", "value", "scalars", "dtype")


@dataclass(frozen=True, slots=True)
class Region:
    """Where a port is wrong."""

    predicates: tuple[Predicate, ...]

    @property
    def sentence(self) -> str:
        """Completes "wrong …": in elements from 65,536 on, where |c| < 2, in the last element."""
        said = ""
        for part in (x.sentence for x in self._in_order):
            if not said:
                said = part
            elif "arrays of" in said and part.startswith("in tensors with"):
                said += " " + part.removeprefix("in tensors ")
            elif part == "in all elements but the first" and said.endswith(_FROM_THE_FIRST):
                said = f"{said.removesuffix(_FROM_THE_FIRST)} but the first"
            elif part.startswith("where ") and "where " in said:
                said += " and " + part.removeprefix("where ")
            elif part.startswith(("in arrays", "in tensors", "in matrices")):
                said += " of " + part.removeprefix("in ")
            else:
                said += " " + part
        return said

    @property
    def rule(self) -> str:
        """The same as a formula."""
        return ", ".join(x.formula for x in self._in_order)

    @property
    def about(self) -> str:
        """What kind of rule it is: of its most particular part."""
        return self._in_order[0].feature.about

    def holds(self, case: Case) -> Mask:
        """A flat mask over the elements of a case."""
        table = table_of(case)
        return np.asarray(np.logical_and.reduce([x.holds(table) for x in self.predicates]))

    @property
    def _in_order(self) -> list[Predicate]:
        return sorted(
            self.predicates,
            key=lambda x: (_ORDER.index(x.feature.about), "with" in x.sentence, x.formula),
        )
