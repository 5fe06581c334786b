"""The recorded training run: what is on it, and that its replay sees what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

import lion_ref
from lion_conformance import Port, Verdict, from_callable
from lion_conformance.runs.tape import PATH, Tape, load, replay
from lion_ref import Semantics

pytestmark = pytest.mark.clause("C29")


@pytest.fixture(scope="module")
def tape() -> Tape:
    return load()


def test_it_is_a_real_run_of_a_few_hundred_steps(tape: Tape) -> None:
    assert 200 <= len(tape) <= 1000
    assert all(x.dtype == np.float32 for x in (*tape.params, *tape.grads))
    assert PATH.stat().st_size < 600_000
    assert len(np.unique(tape.lr)) > 100, "warm-up and decay"
    assert (tape.lr[1:] > tape.lr[:-1]).any()
    assert (tape.lr[1:] < tape.lr[:-1]).any()
    assert len(np.unique(tape.weight_decay)) > 2
    assert 0.0 in tape.weight_decay


def test_the_reference_replays_bit_exactly(tape: Tape) -> None:
    result = replay(from_callable(lion_ref.step), tape)
    assert result.verdict is Verdict.BIT_EXACT
    assert result.as_promised
    assert result.elements == len(tape) * tape.size


def test_wrong_ports_are_rejected(tape: Tape, wrong: Callable[..., Any]) -> None:
    result = replay(from_callable(wrong), tape)
    assert result.verdict is Verdict.REJECTED
    assert re.match(
        r"event \d+, tensor \d: .*: \d+ of \d+ elements lie outside the accepted", result.why
    )


def test_another_rounding_is_accepted_and_exact_as_declared(tape: Tape) -> None:
    semantics = Semantics(momentum_fused="gradient", sign_fused="gradient")
    step = partial(lion_ref.step, semantics=semantics)
    assert replay(from_callable(step, name="port"), tape).verdict is Verdict.ACCEPTED
    declared = from_callable(step, name="port", declared=semantics)
    assert replay(declared, tape).verdict is Verdict.BIT_EXACT_AS


class _Forgetful:
    """Loses the momentum every hundredth step, as a restart without optimizer state would."""

    def __init__(self, params: Sequence[Any], momenta: Sequence[Any], **betas: float) -> None:
        self.inner = from_callable(lion_ref.step).open(params, momenta, **betas)
        self.betas, self.steps = betas, 0

    def step(self, grads: Sequence[Any], **scalars: float) -> None:
        self.inner.step(grads, **scalars)
        self.steps += 1
        if self.steps == 100:
            params, momenta = self.inner.read()
            zeros = [np.zeros_like(x) for x in momenta]
            self.inner = from_callable(lion_ref.step).open(params, zeros, **self.betas)

    def read(self) -> Any:
        return self.inner.read()


def test_state_that_is_lost_on_the_way_is_seen(tape: Tape) -> None:
    result = replay(Port("forgetful", _Forgetful), tape)
    assert result.verdict is Verdict.REJECTED
    assert result.why.startswith("event 99, ")


def test_a_session_that_starts_elsewhere_is_seen(tape: Tape) -> None:
    def open_with_other_momenta(params: Any, momenta: Any, **betas: float) -> Any:
        ones = [np.ones_like(x) for x in momenta]
        return from_callable(lion_ref.step).open(params, ones, **betas)

    result = replay(Port("elsewhere", open_with_other_momenta), tape)
    assert result.why == (
        "event 0: the session does not start with the parameters and momenta that it was given"
    )


def test_a_port_that_raises_is_rejected_in_one_line(tape: Tape) -> None:
    def raises(*_: Any, **__: Any) -> Any:
        raise RuntimeError("out of\nmemory")

    result = replay(from_callable(raises), tape)
    assert (result.verdict, result.why) == (
        Verdict.REJECTED,
        "event 0: the port raised RuntimeError: out of memory",
    )


@pytest.mark.slow
def test_the_tape_can_be_recorded_again(tape: Tape) -> None:
    pytest.importorskip(
        "sklearn", reason="recording needs scikit-learn: pip install 'lion-ref[dev]'"
    )
    from lion_conformance.runs.record_tape import record

    again = record()
    # The matrix products are a BLAS's, whose bits differ between machines: schedules must not.
    assert np.array_equal(again.lr, tape.lr)
    assert np.array_equal(again.weight_decay, tape.weight_decay)
    assert [x.shape for x in again.grads] == [x.shape for x in tape.grads]
    assert replay(from_callable(lion_ref.step), again).verdict is Verdict.BIT_EXACT
