"""What is promised of a session: the ports here once passed, or broke the judge."""

from __future__ import annotations

import ctypes
import pickle
import platform
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import lion_ref
from lion_conformance import Offer, Port, PortError, Verdict, verify
from lion_conformance.ports import layouts
from lion_conformance.ports.protocol import ChangedInputError, run_once
from lion_conformance.runs.all import judge_runs
from lion_conformance.verdict.tally import Tally
from lion_ref.arithmetic import require_default_environment
from tests.lion_conformance.runs import rich

pytestmark = pytest.mark.clause("C30")

SCALARS = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1}


class Forgetful(rich.Rich):
    """Saves no momenta."""

    def save(self) -> bytes:
        self.momenta = [x * 0 for x in self.momenta]
        return super().save()


def test_an_event_that_is_no_step_is_shown_with_all_that_it_must_leave() -> None:
    """Nothing is accepted there but what was before."""
    wrong = rich.port(Forgetful, offers=frozenset({Offer.RESTORE}))
    report = verify(wrong, dtypes=["float32"], max_examples=1, explain=False)
    assert report.verdict is Verdict.REJECTED
    found = report.counterexample
    assert found is not None
    assert "have bits that this must not leave" in found.why
    assert found.accepted == {}
    assert found.expected["momentum"] != found.got["momentum"]
    assert report.reproduction()


class InPlace:
    """Right: the arrays it is given are its own to write to."""

    def __init__(self, params: Sequence[Any], momenta: Sequence[Any], **betas: Any) -> None:
        self.params, self.momenta, self.betas = list(params), list(momenta), betas

    def step(self, grads: Sequence[Any], **scalars: Any) -> None:
        for param, momentum, grad in zip(self.params, self.momenta, grads, strict=True):
            param[...], momentum[...] = lion_ref.step(
                param, momentum, grad, **scalars, **self.betas
            )

    def read(self) -> Any:
        return [x.copy() for x in self.params], [x.copy() for x in self.momenta]


@pytest.mark.parametrize("layout", layouts.LAYOUTS)
@pytest.mark.parametrize("shape", [(), (3,), (3, 4)])
def test_a_copy_for_a_port_is_no_view_of_the_case(layout: Any, shape: tuple[int, ...]) -> None:
    array = np.ones(shape, np.float32)
    assert not np.shares_memory(layout(array), array)
    laid = layout(array)
    assert not np.shares_memory(layouts.like(laid), laid)


def test_a_port_that_updates_what_it_was_given_is_right() -> None:
    report = verify(Port("in place", InPlace), dtypes=["float32"], max_examples=1, explain=False)
    assert report.verdict is Verdict.BIT_EXACT


class GradientZeroed(rich.Rich):
    """Sets the gradients to zero for the next backward pass."""

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        super().step(grads, lr=lr, weight_decay=weight_decay)
        for grad in grads:
            if grad is not None:
                grad[...] = 0


class GradientClippedInPlace(rich.Rich):
    """Writes to the gradients where there are several."""

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        super().step(grads, lr=lr, weight_decay=weight_decay)
        if len(grads) > 1:
            grads[0][...] = 1


class RoundsUpwardsLater(rich.Rich):
    """Leaves the thread rounding upwards after its third step."""

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        super().step(grads, lr=lr, weight_decay=weight_decay)
        self.done += 1
        if self.done == 3:
            upwards = {"x86_64": 0x800, "aarch64": 0x400000}[platform.machine()]
            ctypes.CDLL(None).fesetround(upwards)


class BetasOfItsOwn(rich.Rich):
    """Has the betas it was given in its first step, then the usual ones."""

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        super().step(grads, lr=lr, weight_decay=weight_decay)
        self.betas = {"beta1": 0.9, "beta2": 0.99}


class OneLaunch(rich.Rich):
    """Updates as many tensors as one launch takes."""

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        super().step(grads[:24], lr=lr, weight_decay=weight_decay)


class FirstBlockOfLaterSteps(rich.Rich):
    """From the second step on leaves out what lies behind the first block."""

    def step(self, grads: Sequence[Any], *, lr: float, weight_decay: float) -> None:
        before = list(self.params)
        super().step(grads, lr=lr, weight_decay=weight_decay)
        self.done += 1
        for param, old in zip(self.params, before, strict=True):
            if self.done > 1:
                param.reshape(-1)[4096:] = old.reshape(-1)[4096:]


class ThawedByRestoring(rich.Rich):
    """Saves the momentum of a frozen tensor as zeros: it is wrong once restored."""

    def save(self) -> bytes:
        momenta = [x * 0 if i in self.frozen else x for i, x in enumerate(self.momenta)]
        return pickle.dumps(vars(self) | {"momenta": momenta})


@pytest.mark.parametrize("session", [BetasOfItsOwn, OneLaunch, FirstBlockOfLaterSteps])
def test_many_tensors_under_other_betas_show_it(session: Any) -> None:
    assert "lie outside the accepted set" in the_runs(session)


def test_what_is_frozen_when_it_is_saved_shows_it() -> None:
    why = the_runs(
        ThawedByRestoring,
        offers=frozenset({Offer.FREEZE, Offer.RESTORE}),
        restore=ThawedByRestoring.restored,
    )
    assert "tensor 0: m: " in why
    assert "have bits that this must not leave" in why


def one_step(session: Any) -> None:
    one = np.ones(3, np.float32)
    run_once(Port("port", session), one, one, one, **SCALARS)


def the_runs(session: Any, **more: Any) -> str:
    """Why the fixed runs reject a session."""
    tally = Tally(None)
    judge_runs(Port("port", session, **more), "float32", tally, drawn=0)
    assert tally.failure is not None
    return tally.failure.why


CHANGED = "the port changed its input grad; legal: inputs are only read, results are new arrays"


def test_a_session_that_writes_to_its_gradients_is_rejected() -> None:
    with pytest.raises(ChangedInputError, match=f"^{re.escape(CHANGED)}$"):
        one_step(GradientZeroed)
    assert the_runs(GradientZeroed) == f"event 0: {CHANGED}"
    assert the_runs(GradientClippedInPlace) == f"event 0: {CHANGED}"


@pytest.mark.clause("C15")
@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64") or platform.libc_ver()[0] != "glibc",
    reason="the rounding mode's number is that of glibc on two processors",
)
def test_a_session_that_changes_its_thread_after_some_steps_is_rejected() -> None:
    assert the_runs(RoundsUpwardsLater).startswith("event 2: the port changed its thread: ")
    require_default_environment()


def shows(read: Callable[[Any, Any], Any]) -> type:
    """A session that is right, but for what its `read` makes of its arrays."""

    class Shows(rich.Rich):
        def read(self) -> Any:
            return read(self.params, self.momenta)

    return Shows


@pytest.mark.parametrize(
    ("read", "why"),
    [
        (lambda *_: None, "read() returned NoneType; "),
        (lambda p, _: (p,), "read() returned tuple; "),
        (lambda p, m: (iter(p), m), "read() returned a list_iterator of params; "),
        (lambda p, m: (p, [x.tolist() for x in m]), "read() returned list in momenta; "),
        (lambda p, m: (p, [*m, m[0]]), "read() returned 2 momenta; legal: 1"),
        (lambda p, m: ([], m), "read() returned 0 params; legal: 1"),
        (
            lambda p, m: ([np.ma.masked_array(x) for x in p], m),
            "read() returned MaskedArray in params; ",
        ),
    ],
)
def test_what_read_returns_is_no_result_in_one_line(
    read: Callable[[Any, Any], Any], why: str
) -> None:
    with pytest.raises(PortError, match=f"^{re.escape(why)}") as caught:
        one_step(shows(read))
    assert "\n" not in str(caught.value)
    first = why.split(" ", 2)[:2]
    assert the_runs(shows(read)).startswith("event 0: " + " ".join(first))


class Cancelled(BaseException):
    """No Exception, as asyncio.CancelledError and pytest's Skipped are none."""


def cancelled(*_: Any, **__: Any) -> Any:
    raise Cancelled("by the loop")


def skips(*_: Any, **__: Any) -> Any:
    pytest.skip("no kernel")


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (cancelled, "the port raised Cancelled: by the loop"),
        (skips, "the port raised Skipped: no kernel"),
    ],
)
def test_whatever_a_port_raises_is_its_verdict(step: Any, why: str) -> None:
    report = verify(step, dtypes=["float32"], max_examples=1, explain=False)
    assert report.verdict is Verdict.REJECTED
    assert report.counterexample is not None
    assert report.counterexample.why == why
    namespace: dict[str, Any] = {"__name__": "reproduction"}
    program = report.reproduction().replace("sys.exit(replay(CASE, load_port))", "")
    exec(program, namespace)
    assert namespace["replay"](namespace["CASE"], lambda: step) == 1
    assert namespace["replay"](namespace["CASE"], step) == 2


def test_an_interrupt_is_the_user_s() -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(interrupted, dtypes=["float32"], max_examples=1)


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"open": 5}, TypeError, "open=5 is not legal; legal: a callable open(params, momenta"),
        ({"name": None}, TypeError, "name=None is not legal; legal: a string"),
        ({"name": ""}, ValueError, "name='' is not legal; legal: 1 to 200 printable characters"),
        ({"name": "a\nb"}, ValueError, "name='a\\nb' is not legal; legal: 1 to 200 printable"),
        ({"name": "\ud800"}, ValueError, "name='\\ud800' is not legal; legal: 1 to 200 printable"),
        ({"name": "a" * 201}, ValueError, "name='aaaaaaaaaaaaaaaaaaaa…' is not legal; legal: 1 to"),
        ({"door": 1}, TypeError, "door=1 is not legal; legal: a string"),
        ({"door": "a\nb"}, ValueError, "door='a\\nb' is not legal; legal: printable characters"),
        ({"device": None}, TypeError, "device=None is not legal; legal: a string"),
        ({"compiles": "no"}, TypeError, "compiles='no' is not legal; legal: True or False"),
        ({"restore": 3}, TypeError, "restore=3 is not legal; legal: a callable restore(saved)"),
        ({"devices": "cpu"}, TypeError, "devices='cpu' is not legal; legal: a tuple of strings"),
        ({"unavailable": True}, TypeError, "unavailable=True is not legal; legal: a string"),
        (
            {"declared": "canonical"},
            TypeError,
            "declared='canonical' is not legal; legal: a lion_ref.Semantics, or None",
        ),
        (
            {"triples": ()},
            ValueError,
            "triples=() is not legal; legal: a tuple of one or more of lion_ref.legal_triples()",
        ),
        (
            {"triples": (("float32", "float32", "int8"),)},
            ValueError,
            "triples holds ('float32', 'float32', 'int8'), which is not legal; legal: those of",
        ),
        ({"triples": [("float32",) * 3]}, TypeError, "triples=[('float32', 'float32', 'float32')]"),
        ({"offers": {Offer.SPLIT}}, TypeError, "offers={<Offer.SPLIT: 'split and merge'>} is not"),
        ({"offers": frozenset({"schedule"})}, TypeError, "offers holds 'schedule', which is not"),
        ({"offers": frozenset({Offer.DEVICE})}, ValueError, "devices=() is not legal with Offer."),
        (
            {"offers": frozenset({Offer.RESTORE})},
            ValueError,
            "restore=None is not legal with Offer.RESTORE; legal: a callable that",
        ),
    ],
)
def test_a_port_that_says_what_cannot_be_is_refused(
    more: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}") as caught:
        Port(**({"name": "port", "open": rich.Rich} | more))
    assert "\n" not in str(caught.value)


def test_scalars_stand_for_arrays_without_axes() -> None:
    """NumPy makes them of such arrays wherever it computes with one."""

    class OfScalars(rich.Rich):
        def read(self) -> tuple[list[Any], list[Any]]:
            params, momenta = super().read()
            return [x[()] for x in params], [x[()] for x in momenta]

    port = rich.port(OfScalars, offers=frozenset(), restore=None)
    assert verify(port, max_examples=1).verdict is Verdict.BIT_EXACT
