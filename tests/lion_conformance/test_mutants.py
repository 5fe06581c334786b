"""Every wrong port of the catalogue has its verdict, and right ports never fail."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import lion_ref
from lion_conformance import Port, Report, Verdict, verify
from lion_conformance.cases.pace import Pace
from lion_conformance.ports.dtypes import Dtypes, asked_for
from lion_conformance.runs.all import judge_runs
from lion_conformance.runs.script import triples_of
from lion_conformance.verdict.tally import Tally
from lion_conformance.verify import MAX_EXAMPLES, judge_dtype
from lion_ref import STORAGE_DTYPES
from tests.lion_conformance.mutants import table
from tests.lion_conformance.mutants.catalogue import THEMES, Mutant, load
from tests.lion_conformance.mutants.sessions import right_session

Step = Callable[..., Any]

CATALOGUE = load()

pytestmark = pytest.mark.clause("C12", "C29")


@pytest.mark.parametrize("mutant", CATALOGUE, ids=str)
def test_the_default_budget_tells_a_wrong_port(mutant: Mutant) -> None:
    """What `verify` judges, without what makes a rejected case small or explains it."""
    made = mutant.make()
    if isinstance(made, Port) and mutant.verdict is Verdict.REJECTED:
        tally = Tally(made.declared)
        judge_runs(made, mutant.dtype, tally, drawn=0)
        if tally.failure is not None:
            return  # the runs are in the budget; its cases alone would take most of the time
    port = mutant.port()
    few: Dtypes = [mutant.dtype]
    budget = MAX_EXAMPLES
    if mutant.verdict is not Verdict.REJECTED:
        # It goes through everything: here through one random case of two triples, widely in
        # `test_verify_says_what_a_wrong_port_is`.
        few, budget = triples_of(port, mutant.dtype), 1
    tally = judge_dtype(asked_for(port, few), mutant.dtype, max_examples=budget, seed=0)
    unexplained = {Verdict.BIT_EXACT_AS: Verdict.ACCEPTED}
    assert tally.verdict is unexplained.get(mutant.verdict, mutant.verdict)
    assert ", ".join(x.describe() for x in tally.undeclared) == mutant.refuses


CELL = 1.0
"""Seconds of a processor: less than what a dtype of a door has in the table, by default."""


def told_in_time(mutant: Mutant) -> bool:
    """Whether a wrong port falls short in the time that it would have in a table."""
    asked = asked_for(mutant.port(), [mutant.dtype])
    pace = Pace(CELL, time.process_time)
    tally = judge_dtype(asked, mutant.dtype, max_examples=MAX_EXAMPLES, seed=0, pace=pace)
    return tally.verdict is not Verdict.BIT_EXACT or not tally.as_promised


@pytest.mark.parametrize("mutant", CATALOGUE[::9], ids=str)
def test_the_table_tells_a_wrong_port_in_the_time_it_has(mutant: Mutant) -> None:
    assert told_in_time(mutant)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", CATALOGUE, ids=str)
def test_the_table_tells_every_wrong_port_in_the_time_it_has(mutant: Mutant) -> None:
    assert told_in_time(mutant)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", CATALOGUE, ids=str)
def test_verify_says_what_a_wrong_port_is(mutant: Mutant) -> None:
    """In every triple of its dtype; and names no semantics for a port that has none."""
    report = verify(mutant.port(), dtypes=[mutant.dtype])
    semantics = lion_ref.CANONICAL if mutant.refuses else mutant.semantics
    assert (report.verdict, report.semantics) == (mutant.verdict, semantics)
    rejected = mutant.verdict is Verdict.REJECTED
    assert (report.counterexample is not None) == (rejected or bool(mutant.refuses))


@pytest.mark.parametrize("name", ["decay coupled"])
def test_verify_names_the_row_that_a_port_is(name: str) -> None:
    mutant = next(m for m in CATALOGUE if m.name == name)
    report = in_float32_alone(name)
    assert (report.verdict, report.semantics) == (mutant.verdict, mutant.semantics)


def test_there_are_enough_of_every_kind() -> None:
    assert len(CATALOGUE) >= 70
    assert {mutant.theme for mutant in CATALOGUE} == set(THEMES)
    assert all(mutant.wrong and "\n" not in mutant.wrong for mutant in CATALOGUE)


def listed() -> dict[str, tuple[str, str]]:
    """(dtype, verdict) of each port in docs/reference/mutants.md."""
    rows = re.findall(r"^\| (.+) \|$", table.PATH.read_text(encoding="utf-8"), re.MULTILINE)
    cells = [re.split(r" (?<!\\)\| ", row) for row in rows]
    return {name: (dtype, verdict) for name, _, dtype, verdict, *_ in cells if name != "port"}


def test_the_page_lists_exactly_these_ports_and_verdicts() -> None:
    assert listed() == {m.name: (m.dtype, m.verdict.value) for m in CATALOGUE}


def test_the_page_says_what_is_wrong_as_the_catalogue_does() -> None:
    page = table.PATH.read_text(encoding="utf-8")
    for mutant in CATALOGUE:
        assert f"| {mutant.name} | {table.escaped(mutant.wrong)} |" in page


def in_float32_alone(name: str) -> Report:
    """A port judged in one triple, by the fixed cases: they show what these do."""
    port = next(m for m in CATALOGUE if m.name == name).port()
    return verify(port, dtypes=["/".join(["float32"] * 3)], max_examples=1)


@pytest.mark.parametrize("name", ["tails fused"])
def test_bits_that_depend_on_the_place_are_diagnosed_as_such(name: str) -> None:
    report = in_float32_alone(name)
    assert report.verdict is Verdict.ACCEPTED
    assert report.sentence.endswith("depend on where it stands in its array (SPEC C12)")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("alternating directions", "every other call, the elements come in reversed order"),
        ("every twentieth", "every twentieth call, θ is not updated"),
        ("bias correction", "m' is divided by 1-β2^t, t counted over all calls"),
        (
            "rounding by chance",
            "the same inputs give other bits at another call, by chance or by a rule not found",
        ),
        ("first call", "the first call alone is wrong: η is divided by ten"),
    ],
)
def test_bits_that_depend_on_the_calls_before_are_diagnosed_as_such(name: str, line: str) -> None:
    report = in_float32_alone(name)
    assert (report.verdict, report.semantics) == (Verdict.REJECTED, None)
    assert report.sentence == f"{line} (SPEC C12)"


def in_blocks(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Blocks of flat copies, the last block first."""
    flat = [x.reshape(-1) for x in (param, momentum, grad)]
    results = np.empty(param.size, param.dtype), np.empty(param.size, momentum.dtype)
    length = max(7, param.size // 8)
    for start in reversed(range(0, param.size, length)):
        block = slice(start, start + length)
        parts = lion_ref.step(*(x[block] for x in flat), **scalars)
        results[0][block], results[1][block] = parts
    return tuple(x.reshape(param.shape) for x in results)


def backwards(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """All elements in reversed order; the results are reversed views."""
    turned = [x.reshape(-1)[::-1] for x in (param, momentum, grad)]
    return tuple(x[::-1].reshape(param.shape) for x in lion_ref.step(*turned, **scalars))


THREADS = ThreadPoolExecutor(2)


def in_threads(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Four pieces in two threads."""
    pieces = zip(*(np.array_split(x.reshape(-1), 4) for x in (param, momentum, grad)), strict=True)
    parts = list(THREADS.map(lambda piece: lion_ref.step(*piece, **scalars), pieces))
    return tuple(np.concatenate(x).reshape(param.shape) for x in zip(*parts, strict=True))


def columns_first(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Arrays and results in Fortran's order."""
    turned = (np.asfortranarray(x).reshape(x.shape, order="F") for x in (param, momentum, grad))
    results = lion_ref.step(*turned, **scalars)
    return tuple(np.asfortranarray(x).reshape(x.shape, order="F") for x in results)


def interleaved(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """θ' and m' in turn in one array, where they have one dtype: no element lies in two places."""
    results = lion_ref.step(param, momentum, grad, **scalars)
    if param.dtype != momentum.dtype:
        return results
    both = np.stack(results, axis=-1)
    return both[..., 0], both[..., 1]


RIGHT: tuple[Step, ...] = (
    lion_ref.step,
    in_blocks,
    backwards,
    in_threads,
    columns_first,
    interleaved,
)


def ports() -> list[Port | Step]:
    return [*RIGHT, right_session()]


@pytest.mark.parametrize("port", ports(), ids=lambda x: getattr(x, "__name__", "right_session"))
def test_a_right_port_never_fails(port: Port | Step) -> None:
    """With one seed; `test_no_false_alarms` has a thousand."""
    report = verify(port, dtypes=["float32"], max_examples=2, seed=1)
    assert report.verdict is Verdict.BIT_EXACT


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(10))
def test_no_false_alarms(hundred: int) -> None:
    """A thousand seeds, each for one right port in one dtype of θ."""
    right, dtypes = ports(), list(STORAGE_DTYPES)
    for seed in range(100 * hundred, 100 * (hundred + 1)):
        port, dtype = right[seed % len(right)], dtypes[seed // len(right) % len(dtypes)]
        report = verify(port, dtypes=[dtype], max_examples=2, seed=seed)
        assert report.verdict is Verdict.BIT_EXACT, (seed, report.counterexample)
