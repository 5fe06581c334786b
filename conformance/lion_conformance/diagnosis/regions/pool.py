"""What the port answered: the telling elements of every case, wrong beside right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.diagnosis.observation import Observation
from lion_conformance.diagnosis.regions.showing import SIGNS, Alike, alike, could_show, shows
from lion_conformance.diagnosis.regions.table import Table, joined, rows, table_of
from lion_conformance.ports.protocol import Port, PortError, run_once
from lion_ref.arithmetic import Array, Mask

Judge = Callable[[Case, tuple[Array, Array]], Observation]

ALL: Final = 300
"""Up to so many elements of a case are looked at one by one."""
ENOUGH: Final = 8
"""With fewer elements a whole case may be right by coincidence."""
LONG: Final = 32
FEW: Final = 60
CLOSELY: Final = 2_500


@dataclass
class Pool:
    """A port, and the answers that it gave so far."""

    port: Port
    judge: Judge
    calls: int = 0
    whole: bool = False
    """Whether what is right beside something wrong counts as coincidence."""
    signs_too: bool = False
    """Whether right bits count too where a sign that is taken of something else would not show."""
    _tables: list[Table] = field(default_factory=list)
    _whole: Table | None = None
    _alike: Alike = ()

    def ask(self, case: Case, *, closely: bool = False) -> Observation | None:
        """The port's answer, kept; None where it does not answer."""
        self.calls += 1
        try:
            got = run_once(self.port, *case.arrays, **case.scalars)
        except PortError:
            return None
        seen = self.judge(case, got)
        self.add(seen, closely=closely)
        return seen

    def add(self, seen: Observation, *, closely: bool = False) -> None:
        """Keep an observation; closely: nearly every element of it."""
        case = seen.case
        if not case.param.size:
            return
        at = telling(seen.wrong, CLOSELY if closely else ALL)
        table = table_of(case, at)
        flat = case.with_arrays(x.reshape(-1)[at] for x in case.arrays)
        table |= shows(flat, table)
        table["wrong θ'"] = seen.wrong_param[at]
        table["wrong m'"] = seen.wrong_momentum[at]
        table["case"] = np.full(at.size, len(self._tables))
        self._tables.append(table)
        self._whole = None

    @property
    def kept(self) -> int:
        """How many answers were kept so far."""
        return len(self._tables)

    def since(self, before: int) -> tuple[Table, Table]:
        """As `split`, of the answers since so many were kept; both empty if there is none."""
        table = joined(self._tables[before:])
        return self._split(table) if table else ({}, {})

    def split(self) -> tuple[Table, Table]:
        """The wrong elements, and those that are right where a mistake could show."""
        if self._whole is None:
            self._whole = joined(self._tables)
            self._alike = alike(self._whole)
        return self._split(self._whole)

    def share(self) -> float:
        """Of what is ordinary in a case with something wrong, how much is wrong, as a rule."""
        self.whole = False
        wrong, right = (rows(x, _usual(x)) for x in self.split())
        cases, counts = np.unique(wrong["case"], return_counts=True)
        all_counts = counts + np.array([(right["case"] == case).sum() for case in cases])
        long = all_counts >= LONG
        return float(np.median((counts / all_counts)[long])) if long.any() else 0.0

    def _split(self, table: Table) -> tuple[Table, Table]:
        wrong = table["wrong θ'"] | table["wrong m'"]
        like = self._alike
        if self.signs_too:
            like = tuple(tuple(x for x in names if x not in SIGNS) for names in like)
        right = ~wrong & could_show(table, like)
        if self.whole:
            cases, counts = np.unique(table["case"][right], return_counts=True)
            few = cases[counts < ENOUGH]
            right &= ~np.isin(table["case"], [*np.unique(table["case"][wrong]), *few])
        return rows(table, wrong), rows(table, right)


def _usual(table: Table) -> Mask:
    """Rows whose m and g are about as large as 1, and θ is an ordinary number."""
    usual = np.isfinite(table["θ"]) & (table["θ"] != 0)
    for name in ("m", "g"):
        usual &= (np.abs(table[name]) > 2.0**-7) & (np.abs(table[name]) < 2.0**7)
    return np.asarray(usual)


def telling(wrong: Mask, up_to: int) -> Array:
    """Flat indices: all, or the ends, where wrong and right meet, and some of either kind."""
    size = wrong.size
    if size <= up_to:
        return np.arange(size)
    turns = np.flatnonzero(wrong[1:] != wrong[:-1])
    if turns.size > 2 * FEW:  # of what is scattered they would say that it is half right
        turns = np.concatenate([turns[:2], turns[-2:]])
    stride = 1 << max(0, (size // FEW).bit_length())
    regular = np.arange(0, size, stride)
    powers = 2 ** np.arange(int(np.log2(size)) + 1)
    rng = np.random.default_rng(size)
    parts = [
        turns,
        turns + 1,
        regular,
        regular - 1,
        powers - 1,
        powers,
        np.arange(3),
        size - 1 - np.arange(9),
    ]
    parts += [_some(rng, np.flatnonzero(x)) for x in (wrong, ~wrong)]
    every = np.unique(np.concatenate(parts))
    return every[(every >= 0) & (every < size)]


def _some(rng: np.random.Generator, places: Array) -> Array:
    return places if places.size <= FEW else rng.choice(places, FEW, replace=False)
