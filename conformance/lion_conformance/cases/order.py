"""In which order cases and runs are judged: first those that tell the most wrong ports apart.

The order is in data/order.json, which `python -m tests.lion_conformance.mutants.order` writes: it
judges a catalogue of wrong ports and puts first what rejects most of those that nothing before it
rejected. What is not named there follows as it was made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

N = TypeVar("N", bound=tuple[Any, ...])

PATH: Final = Path(__file__).parents[1] / "data" / "order.json"


@dataclass(frozen=True, slots=True)
class Order:
    """Names of cases or of runs, the most telling first."""

    ranks: dict[str, int]

    @classmethod
    def of(cls, names: Iterable[str]) -> Order:
        """The order in which the names stand."""
        return cls({name: rank for rank, name in enumerate(names)})

    def sorted(self, named: Iterable[N]) -> list[N]:
        """Tuples that begin with a name, the most telling first; those without a rank follow.

        Several of one name, and those without a rank, stay as they stand.

        >>> Order.of(["size 3", "size 2"]).sorted([("size 1", 1), ("size 2", 2), ("size 3", 3)])
        [('size 3', 3), ('size 2', 2), ('size 1', 1)]
        """
        return sorted(named, key=lambda x: self.ranks.get(x[0], len(self.ranks)))


class Orders(NamedTuple):
    """That of cases and that of runs."""

    cases: Order
    runs: Order


@cache
def orders() -> Orders:
    """Both, as the file has them."""
    document = json.loads(PATH.read_text(encoding="utf-8"))
    return Orders(*(Order.of(document[name]) for name in Orders._fields))
