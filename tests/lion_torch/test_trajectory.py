"""lion_torch through whole runs: state dicts, schedulers, cuts, a fresh process (SPEC C30)."""

from __future__ import annotations

import pytest

from lion_conformance import Offer, Port
from lion_conformance.ports.torch import ports
from lion_conformance.runs import hand_over
from lion_conformance.runs.all import judge_runs
from lion_conformance.runs.other_process import judge_elsewhere
from lion_conformance.verdict.tally import Tally
from lion_conformance.verdict.verdict import Verdict
from lion_ref import CANONICAL, STORAGE_DTYPES

pytestmark = pytest.mark.clause("C30")

PORTS = ports("cpu")
doors = pytest.mark.parametrize("port", PORTS, ids=lambda port: port.door)


# One door in a narrow and in the widest dtype, the others in one; the wide run below has them all.
@pytest.mark.parametrize(
    ("port", "dtype"),
    [(PORTS[0], "bfloat16"), (PORTS[0], "float64"), *((port, "float32") for port in PORTS[1:])],
    ids=lambda x: getattr(x, "door", x),
)
def test_every_event_has_the_references_bits(port: Port, dtype: str) -> None:
    tally = Tally(CANONICAL)
    judge_runs(port, dtype, tally, drawn=2)
    assert tally.failure is None
    assert tally.verdict is Verdict.BIT_EXACT
    events = set(Offer) - {Offer.DEVICE, Offer.HAND_OVER}  # the hand-over is judged apart
    assert set(tally.events) == {offer.value for offer in events} | {"step"}


@pytest.mark.clause("C34")
@doors
def test_a_run_is_handed_over_whole(port: Port) -> None:
    found = hand_over.judge(port, port.params())
    assert found is not None
    assert found.as_promised, found


@pytest.mark.slow
@doors
@pytest.mark.parametrize("dtype", STORAGE_DTYPES)
def test_many_drawn_runs(port: Port, dtype: str) -> None:
    tally = Tally(CANONICAL)
    judge_runs(port, dtype, tally, drawn=200, seed=None)
    assert tally.failure is None
    assert tally.verdict is Verdict.BIT_EXACT


def test_a_saved_run_goes_on_in_a_fresh_process() -> None:
    tallies = {dtype: Tally(CANONICAL) for dtype in STORAGE_DTYPES}
    assert judge_elsewhere(PORTS[0], tallies) == {}
    assert {tally.verdict for tally in tallies.values()} == {Verdict.BIT_EXACT}
