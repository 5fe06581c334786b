"""data/order.json: the order of cases and runs in which the catalogue is rejected soonest.

python -m tests.lion_conformance.mutants.order    # writes it anew: some minutes

Greedily: next comes what rejects most of the wrong ports that nothing before it rejects. Once all
are, the same is done again with what is left: each is rejected `LAYERS` times over.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from lion_conformance import Verdict
from lion_conformance.cases.case import Named
from lion_conformance.cases.feed import named
from lion_conformance.cases.order import PATH
from lion_conformance.cases.pace import Pace
from lion_conformance.ports.protocol import Port
from lion_conformance.runs.all import planned
from lion_conformance.verdict.tally import Tally
from tests.lion_conformance.mutants.catalogue import Mutant, load

LAYERS: Final = 3

ENOUGH: Final = 40
"""Cases that reject a port: one that so many reject will not be missed."""

AS_LONG: Final = 10_000
"""Elements that take about as long as the call that updates them."""

Rejecting = dict[str, set[str]]
"""For each wrong port the names of what rejects it."""


def by_cases(mutant: Mutant, port: Port) -> set[str]:
    """The names of cases that reject a wrong port, or show that it is not the reference."""
    tally, found = Tally(None), set[str]()
    for name, case in cases_of(port, mutant.dtype):
        tally.canonical, refused = True, len(tally.scalars.refused)
        passed = tally.add(port, case)
        if not passed or not tally.canonical or len(tally.scalars.refused) > refused:
            found.add(name)
        if mutant.verdict is Verdict.REJECTED and passed:
            found.discard(name)
        tally.go_on()
        if len(found) >= ENOUGH:
            break
    return found


def cases_of(port: Port, dtype: str) -> tuple[Named, ...]:
    """All its cases that do not depend on chance, as they were made."""
    triples = tuple(triple for triple in port.triples if triple[0] == dtype)
    return named(triples, 0, port.compiles)


def of_one_dtype(mutant: Mutant) -> Port:
    """The same port where it takes one triple alone: others of its cases have to reject it."""
    return replace(mutant.port(), triples=((mutant.dtype,) * 3,))


def by_runs(mutant: Mutant, costs: dict[str, float]) -> set[str]:
    """The names of runs that reject a wrong port.

    costs: takes for each run what it costs: the updates of a tensor in it, and of its elements.
    """
    found = set()
    for name, write, judge in planned(mutant.port(), mutant.dtype):
        run = write()
        tensors = sum(1 + theta.size / AS_LONG for theta in run.start.params)
        costs[name] = len(run.events) * tensors
        if judge(mutant.port(), run, Tally(None), Pace()) is not None:
            found.add(name)
    return found


def most_telling(rejecting: Rejecting, costs: Mapping[str, float]) -> list[str]:
    """Names, so that each wrong port is rejected at about the least cost that greed finds.

    >>> most_telling({"a": {"x"}, "b": {"x", "y"}, "c": {"y"}, "d": {"x"}}, {"x": 1, "y": 1})
    ['x', 'y']
    """
    left, names = {port: found for port, found in rejecting.items() if found}, list[str]()
    while left:
        counts = Counter(name for found in left.values() for name in found)
        names.append(max(counts, key=lambda name: (counts[name] / costs[name], name)))
        left = {port: found for port, found in left.items() if names[-1] not in found}
    return names


def layered(rejecting: Rejecting, costs: Mapping[str, float]) -> list[str]:
    """The names of all layers."""
    names: list[str] = []
    for _ in range(LAYERS):
        left = {port: found - {*names} for port, found in rejecting.items()}
        names += most_telling(left, costs)
    return names


def main() -> None:
    """Judge the catalogue and write the order."""
    cases: Rejecting = {}
    runs: Rejecting = {}
    of_runs: dict[str, float] = {}
    for mutant in load():
        if isinstance(mutant.make(), Port):
            runs[mutant.name] = by_runs(mutant, of_runs)
        if not runs.get(mutant.name):
            cases[mutant.name] = by_cases(mutant, mutant.port())
            cases[f"{mutant}, one dtype"] = by_cases(mutant, of_one_dtype(mutant))
        if not cases.get(mutant.name) and mutant.name not in runs:
            runs[mutant.name] = by_runs(mutant, of_runs)
        told = len(cases.get(mutant.name, ())), len(runs.get(mutant.name, ()))
        print(f"{mutant}: {told[0]} cases, {told[1]} runs", flush=True)  # noqa: T201
    alike: Mapping[str, float] = defaultdict(lambda: 1.0)  # of cases, what tells more is all
    document = {}
    for name, rejecting, costs in (("cases", cases, alike), ("runs", runs, of_runs)):
        document[name] = layered(rejecting, costs)
        print(f"{len(most_telling(rejecting, costs))} {name} reject all that {name} do")  # noqa: T201
    PATH.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
