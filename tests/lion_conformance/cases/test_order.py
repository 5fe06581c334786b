"""What is judged first, and what there is time for."""

from __future__ import annotations

import pytest

import lion_ref
from lion_conformance import from_callable
from lion_conformance.cases.case import Case
from lion_conformance.cases.feed import LEAST, feed, named
from lion_conformance.cases.order import orders
from lion_conformance.cases.pace import Pace
from lion_conformance.ports.protocol import UNIFORM
from lion_conformance.runs.all import planned
from lion_ref import STORAGE_DTYPES, legal_triples

pytestmark = pytest.mark.clause("C29")


@pytest.mark.parametrize("dtype", STORAGE_DTYPES)
@pytest.mark.parametrize("mixed", [False, True])
def test_a_name_stands_for_one_kind_of_case_however_few_there_are(dtype: str, mixed: bool) -> None:
    """For a port that compiles, cases are left out; the names of the others stay."""
    triples = tuple(x for x in (legal_triples() if mixed else UNIFORM) if x[0] == dtype)
    every, few = (
        {name: case.param.shape for name, case in named(triples, 0, compiles)}
        for compiles in (False, True)
    )
    assert set(few) < set(every)
    of_size = [name for name in few if name.startswith("size")]
    assert [few[name] for name in of_size] == [every[name] for name in of_size]
    if not mixed:
        assert len(every) == len(named(triples, 0, compiles=False)), "each name once"


def test_every_name_of_the_order_is_that_of_a_case_or_a_run() -> None:
    cases = {
        name
        for dtype in STORAGE_DTYPES
        for name, _ in named(tuple(x for x in legal_triples() if x[0] == dtype), 0, False)
    }
    assert set(orders().cases.ranks) <= cases
    port = from_callable(lion_ref.step)
    runs = {name for name, *_ in planned(port, "float32")}
    assert {"steps", "near", "many"} <= runs
    assert len(runs & set(orders().runs.ranks)) > len(runs) / 2


@pytest.mark.parametrize(("seconds", "count"), [(0, LEAST), (10, LEAST + 5)])
def test_cases_are_cut_short_but_never_to_none(seconds: float, count: int) -> None:
    """A few are judged in any case; six tenths of the time are for cases."""
    ticks, fed = iter(range(999)), list[Case]()
    pace = Pace(seconds, lambda: float(next(ticks)))

    def judge_case(case: Case) -> bool:
        fed.append(case)
        return True

    feed(judge_case, UNIFORM[:1], max_examples=1, seed=0, compiles=False, pace=pace)
    assert len(fed) == count
    assert 0 < pace.share < 0.1


def test_without_a_time_everything_is_judged() -> None:
    pace = Pace()
    feed(lambda _: True, UNIFORM[:1], max_examples=1, seed=0, compiles=True, pace=pace)
    assert pace.share == 1
