"""Runs made once more, and long ones: what the mutants do not say of how they are judged."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lion_ref
from lion_conformance import Offer, Port, PortError, Verdict, from_callable, verify
from lion_conformance.ports.callable import _check_new
from lion_conformance.runs.all import judge_runs
from lion_conformance.runs.fixed import LONG, long_run
from lion_conformance.runs.follow import follow
from lion_conformance.runs.long import follow_long
from lion_conformance.runs.other_process import judge_elsewhere
from lion_conformance.runs.shortest_run import shortened
from lion_conformance.runs.trajectory import Trajectory
from lion_conformance.verdict.failure import RunFailure
from lion_conformance.verdict.tally import Tally
from tests.lion_conformance.mutants import kept, runs
from tests.lion_conformance.runs import rich

pytestmark = pytest.mark.clause("C30")


def failure_of(port: Port) -> RunFailure[Trajectory]:
    tally = Tally(None)
    judge_runs(port, "float32", tally, drawn=0)
    assert isinstance(tally.failure, RunFailure)
    return tally.failure


@pytest.mark.parametrize(
    ("make", "events"),
    [
        (runs.updated_when_read, 2),
        (runs.gradients_read_late, 1),
        (runs.betas_of_the_session_opened_last, 1),
        (runs.momentum_lost_by_saving, 2),
        (runs.saved_by_reference, 2),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_what_shows_the_second_time_alone_is_shortened(
    make: Callable[[], Port], events: int
) -> None:
    short = shortened(make(), failure_of(make()))
    assert len(short.run.events) == events
    assert all(x.size == 1 for x in short.run.start.params)
    assert short.why.endswith(("read after every event, alone", "after the session went on"))


def test_a_session_is_no_more_than_what_it_shows() -> None:
    """Every step of it is accepted, but no other session would go on so."""
    tally = Tally(None)
    port = kept.momentum_kept_wider()
    judge_runs(port, "bfloat16", tally, drawn=0)
    assert isinstance(tally.failure, RunFailure)
    short = shortened(port, tally.failure)
    assert short.why.endswith("in a session that began with what this one showed half-way")
    assert all(x.size == 1 for x in short.run.start.params)


@pytest.mark.clause("C12")
def test_tensors_of_other_dtypes_are_judged_in_runs_of_their_own() -> None:
    """A port may round one dtype otherwise, and is bit-exact in the others."""

    class InStorage(rich.Rich):
        def step(self, grads: Any, *, lr: float, weight_decay: float) -> None:
            scalars: Any = {"lr": lr, "weight_decay": weight_decay, **self.betas}
            stored = lion_ref.Semantics(precision="storage", momentum_precision="storage")
            for i, grad in enumerate(grads):
                semantics = stored if grad.dtype.itemsize == 2 else lion_ref.CANONICAL
                self.params[i], self.momenta[i] = lion_ref.step(
                    self.params[i], self.momenta[i], grad, **scalars, semantics=semantics
                )

    triples = tuple((dtype,) * 3 for dtype in ("float32", "bfloat16"))
    port = rich.offering(InStorage, Offer.SEVERAL_DTYPES, triples=triples)
    report = verify(port, max_examples=1, explain=False)  # the fixed runs have several dtypes
    assert report.verdicts == {"float32": Verdict.BIT_EXACT, "bfloat16": Verdict.ACCEPTED}


def test_a_long_run_is_rejected_at_the_very_step() -> None:
    tally = Tally(None)
    port = runs.counter_of_eight_bits()
    failure = follow_long(port, long_run(port, "float32"), tally)
    assert failure is not None
    assert len(failure.run.events) == 256
    assert failure.why.startswith("event 255, tensor 0: ")
    told = failure.run.lines()
    assert len(told) < 50
    assert "events 20 to 235: as many more" in told


def test_a_long_run_counts_every_step() -> None:
    port, tally = from_callable(lion_ref.step), Tally(None)
    run = long_run(port, "float32")
    assert follow_long(port, run, tally) is None
    assert tally.events["step"] == LONG == len(run.events) > 256
    assert tally.elements == LONG * run.start.params[0].size


def test_a_long_run_that_is_not_answered_ends_at_that_step() -> None:
    class Gives(rich.Rich):
        def step(self, *grads: Any, **scalars: Any) -> None:
            self.done += 1
            if self.done == 200:
                raise MemoryError("out of handles")
            super().step(*grads, **scalars)

    port = rich.port(Gives, offers=frozenset())
    failure = follow_long(port, long_run(port, "float32"), Tally(None))
    assert failure is not None
    assert failure.why == "event 199: the port raised MemoryError: out of handles"


def test_a_port_whose_roundings_are_its_own_passes_a_second_time() -> None:
    """Right is what it was the first time, not what the reference makes of it."""
    from functools import partial

    fused = lion_ref.Semantics(momentum_fused="gradient")
    port = from_callable(partial(lion_ref.step, semantics=fused), name="fused")
    tally = Tally(None)
    judge_runs(port, "float32", tally, drawn=2)
    assert tally.failure is None
    assert not tally.canonical


class LeavesWhenRestored(rich.Rich):
    """Ends the process with status 0, in any but the one that judges."""

    def save(self) -> bytes:
        return str(os.getpid()).encode() + b" " + super().save()

    @classmethod
    def restored(cls, saved: bytes) -> rich.Rich:
        pid, _, rest = saved.partition(b" ")
        if int(pid) != os.getpid():
            os._exit(0)
        return super().restored(rest)


def test_a_fresh_process_that_ends_early_is_no_answer() -> None:
    port = rich.port(LeavesWhenRestored, offers=frozenset({Offer.RESTORE}))
    failures = judge_elsewhere(port, {"float32": Tally(None)})
    assert failures["float32"].last.why == (
        "restoring in a fresh process ended it with status 0 and no answer"
    )


def test_results_may_lie_in_one_buffer_but_not_in_one_place() -> None:
    inputs = tuple(np.ones((5, 4), np.float32) for _ in range(3))
    both = np.zeros((5, 4, 2), np.float32)
    _check_new((both[..., 0], both[..., 1]), inputs)  # type: ignore[arg-type]  # three of them
    flat = both.reshape(-1)
    apart, across = flat[:20].reshape(5, 4), flat[19:39].reshape(5, 4)
    with pytest.raises(PortError, match=r"^the port returned param in memory that an input or the"):
        _check_new((apart, across), inputs)  # type: ignore[arg-type]


def test_a_run_read_seldom_follows_the_one_that_passed() -> None:
    port = runs.read_from_a_cache()
    failure = failure_of(port)
    assert follow(port, failure.run, Tally(None)) is not None
