"""lion_tf through whole runs: no gradient, saved variables, cut variables (SPEC C30)."""

from __future__ import annotations

import pytest

from lion_conformance import Offer, Port
from lion_conformance.ports.tensorflow import ports
from lion_conformance.runs import hand_over
from lion_conformance.runs.all import judge_runs
from lion_conformance.runs.other_process import judge_elsewhere
from lion_conformance.verdict.tally import Tally

pytestmark = pytest.mark.clause("C30")

PORTS = ports("cpu")
# The kernel compiled by itself, and inlined; the wide runs below have every door.
QUICK = [port for port in PORTS if "tf.function" not in port.door]


@pytest.mark.parametrize("port", QUICK, ids=lambda port: port.door)
def test_every_event_has_the_declared_bits(port: Port) -> None:
    tally = Tally(port.declared)
    judge_runs(port, port.params()[0], tally, drawn=0)
    assert tally.failure is None
    assert tally.as_promised
    events = port.offers - {Offer.HAND_OVER}  # which is judged apart
    assert set(tally.events) >= {x.value for x in events} | {"step"}


@pytest.mark.clause("C34")
def test_a_run_is_handed_over_whole() -> None:
    found = hand_over.judge(QUICK[0], QUICK[0].params())
    assert found is not None
    assert found.as_promised, found


@pytest.mark.slow
@pytest.mark.parametrize("port", PORTS, ids=lambda port: port.door)
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_drawn_runs(port: Port, dtype: str) -> None:
    tally = Tally(port.declared)
    judge_runs(port, dtype, tally, drawn=5)
    assert tally.failure is None
    assert tally.as_promised


@pytest.mark.slow
def test_a_saved_run_goes_on_in_a_fresh_process() -> None:
    tallies = {dtype: Tally(PORTS[0].declared) for dtype in PORTS[0].params()}
    assert judge_elsewhere(PORTS[0], tallies) == {}
    assert all(tally.as_promised for tally in tallies.values())
