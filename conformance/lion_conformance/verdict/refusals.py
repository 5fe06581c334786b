"""Which legal scalars a port refuses, found from the cases that it did not answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Final

from lion_conformance.cases.case import ORDINARY, Case, ordinary
from lion_conformance.ports.protocol import Port, PortError, RaisedError, run_once
from lion_conformance.ports.refusal import SCALARS, Refusal

PROBES: Final = 200
"""Values for which it is found out whether the port refuses them, beside usual ones."""

_USUAL: Final = dict(zip(("lr", "beta1", "beta2", "weight_decay"), ORDINARY, strict=True))

Point = tuple[float, float]
"""A value and the sign of it, which tells -0 from 0."""


def usual(case: Case) -> bool:
    """Scalars that no port may refuse: ordinary ones, an η that is not 0, a λ that is not -0."""
    return ordinary(case) and case.lr > 0 and math.copysign(1, case.weight_decay) > 0


@dataclass(slots=True)
class Scalars:
    """Which scalars a port answered, and the cases that it refused for theirs."""

    answered: set[tuple[Point, ...]]
    refused: dict[tuple[Point, ...], tuple[Case, str, int]]
    """For each set of scalars the smallest case, the port's words, and how many cases."""
    alone: dict[tuple[Any, ...], bool] = field(default_factory=dict)
    """Whether a value was refused beside usual scalars, for those that were tried."""

    @classmethod
    def none(cls) -> Scalars:
        """Nothing was asked yet."""
        return cls(set(), {})

    def answer(self, case: Case) -> None:
        """The port took these scalars."""
        self.answered.add(_points(case))

    def refuse(self, case: Case, error: RaisedError) -> bool:
        """Take note that the port raised; False where the scalars are no reason to."""
        if usual(case):
            return False
        smallest, words, count = self.refused.get(_points(case), (case, str(error), 0))
        smaller = case.param.size < smallest.param.size
        kept = (case, str(error)) if smaller else (smallest, words)
        self.refused[_points(case)] = (*kept, count + 1)
        return True

    def refuses(self, port: Port, case: Case) -> bool:
        """Whether the port has refused these scalars, or does so now; takes note of it."""
        if usual(case):
            return False
        if _points(case) not in self.refused and answers(port, case):
            return False
        return self.refuse(case, RaisedError(self.refused.get(_points(case), (case, "", 0))[1]))

    def example(self, refusal: Refusal) -> tuple[Case, str]:
        """The smallest case that was refused for this, and the port's words."""
        name = refusal.argument
        found = [
            x for x in self.refused.values() if not name or refusal.holds(name, getattr(x[0], name))
        ]
        case, words, _ = min(found, key=lambda x: (not x[0].param.size, x[0].param.size))
        return case, words


def refusals_of(port: Port, scalars: Scalars) -> tuple[Refusal, ...]:
    """The values of each scalar that the port refuses, as intervals between those it takes.

    A value is refused if the port declares that, or raises for it beside usual scalars.
    """
    blamed: dict[str, dict[Point, tuple[str, int]]] = {}
    together: list[tuple[str, int]] = []
    blame = _Blame(port, scalars.alone)
    for case, words, count in scalars.refused.values():
        argument = blame.of(case)
        if not argument:
            together.append((words, count))
            continue
        at = _point(getattr(case, argument))
        first, so_far = blamed.setdefault(argument, {}).get(at, (words, 0))
        blamed[argument][at] = (first, so_far + count)
    refusals = [
        refusal
        for argument in SCALARS
        if argument in blamed
        for refusal in _intervals(argument, blamed[argument], _answered(scalars, argument))
    ]
    if together:
        count = sum(count for _, count in together)
        refusals.append(Refusal("", 0.0, 0.0, cases=count, words=together[0][0]))
    return tuple(refusals)


class _Blame:
    """Finds the scalar for whose value a case was refused; each value is tried once."""

    def __init__(self, port: Port, known: dict[tuple[Any, ...], bool]) -> None:
        self._port, self._raises = port, known

    def of(self, case: Case) -> str:
        """Its name; nothing if the port takes each value beside usual ones, and declares none."""
        for name in SCALARS:
            alone = _usually(case, [other for other in SCALARS if other != name])
            key = (case.triple, name, *_point(getattr(case, name)))
            if not usual(alone) and self._refused(key, alone):
                return name
        declared = ((x, getattr(case, x)) for x in SCALARS)
        return next(
            (x for x, at in declared if any(said.holds(x, at) for said in self._port.declines)), ""
        )

    def _refused(self, key: tuple[Any, ...], case: Case) -> bool:
        if key not in self._raises and len(self._raises) < PROBES:
            self._raises[key] = not answers(self._port, case)
        return self._raises.get(key, False)


def answers(port: Port, case: Case, refusing: tuple[type[PortError], ...] = (RaisedError,)) -> bool:
    """Whether the port answers a case, rightly or not, rather than to refuse it in these ways."""
    try:
        run_once(port, *case.arrays, **case.scalars)
    except refusing:
        return False
    except PortError:
        pass
    return True


def undeclared(port: Port, refusals: Iterable[Refusal]) -> list[Refusal]:
    """Those that the port does not say of itself."""
    return [x for x in refusals if not any(said.covers(x) for said in port.declines)]


def _points(case: Case) -> tuple[Point, ...]:
    return tuple(_point(getattr(case, name)) for name in SCALARS)


def _point(value: float) -> Point:
    return value, math.copysign(1, value)


def _answered(scalars: Scalars, argument: str) -> set[Point]:
    place = SCALARS.index(argument)
    return {points[place] for points in scalars.answered}


def plainer(case: Case, refusal: Refusal) -> Case:
    """One element, and usual scalars but for the refused one."""
    case = case.at(0) if case.param.size else case
    others = [name for name in SCALARS if refusal.argument and name != refusal.argument]
    return _usually(case, others)


def _usually(case: Case, names: Sequence[str]) -> Case:
    usual_there: dict[str, Any] = {name: _USUAL[name] for name in names}
    return replace(case, **usual_there)


def _intervals(
    argument: str, blamed: dict[Point, tuple[str, int]], answered: set[Point]
) -> list[Refusal]:
    """Neighbouring refused values as one interval, where no answered value lies between them."""
    points = sorted({*blamed, *answered})
    runs: Callable[[Point], bool] = blamed.__contains__
    intervals = []
    for refused, group in groupby(points, runs):
        if refused:
            among = list(group)
            words, _ = blamed[among[0]]
            count = sum(blamed[x][1] for x in among)
            intervals.append(Refusal(argument, among[0][0], among[-1][0], count, words))
    return intervals
