"""What is wrong with a run is named, in the field's terms, and nothing is where it is right."""

from __future__ import annotations

from typing import Any

import pytest

import lion_ref
from lion_conformance import Port, from_callable, verify
from lion_conformance.diagnosis.alternatives.alternative import in_steps
from lion_conformance.diagnosis.alternatives.places import at_step, from_step
from lion_conformance.diagnosis.alternatives.steps import changes
from lion_conformance.diagnosis.cause_of_run import cause_of_first_step, cause_of_run
from lion_conformance.diagnosis.run_inquiry import Inquiry
from lion_conformance.runs.fixed import whole_runs
from lion_conformance.verdict.cause import Kind
from lion_conformance.verdict.failure import Failure, RunFailure
from lion_ref import CANONICAL
from tests.lion_conformance.diagnosis.wrong_runs import OTHERS
from tests.lion_conformance.mutants.catalogue import load
from tests.lion_conformance.mutants.causes import cause, cause_of, rejected
from tests.lion_conformance.mutants.sessions import right_session
from tests.lion_conformance.runs import rich

pytestmark = pytest.mark.clause("C12", "C30")

MUTANTS = {mutant.name: mutant for mutant in load()}

SAID = {
    "learning rate of the step before": "from the second step on, the η of the step before is used",
    "decay of the first step": "from the second step on, the λ of the first step is used",
    "first step special": "at the first step, the momentum begins anew with zeros",
    "second step special": "the second step is left out",
    "tenth step special": "from the tenth step on, η is halved",
    "state not saved": "each step starts from the momentum of the session's beginning",
    "momentum in half precision between steps": "m is kept in float16 between steps",
    "wide copy of theta": "θ is kept in float32 between steps and shown in bfloat16",
    "momentum kept wider": "m is kept in float32 between steps and shown in bfloat16",
    "first tensor alone": "only the first of several tensors is updated",
    "last tensor left out": "the last of several tensors is not updated",
    "as many as one launch takes": (
        "of a list of tensors, those from the 111th on are not updated"
    ),
    "momentum shared by shape": "tensors of one shape share a momentum",
    "tensors of one size swapped": "gradients of two tensors of one shape change places",
    "gradients accumulate": "the gradients of the steps before are added",
    "read shows the step before": "read() shows the parameters of the step before",
    "updated when read": "steps are made only when the state is read, of several the last alone",
    "momentum of the module": "sessions share their momenta: those of the session opened last",
    "momentum lost by saving": "saving changes the session: its momenta become zeros",
    "betas of the module when restored": (
        "a restored session has the betas of the session opened last"
    ),
    "saved by reference": "what was saved goes on changing with the session",
    "frozen momentum dropped": (
        "when a tensor is thawed after 3 steps or more, its momentum becomes zeros"
    ),
    "counter of seven bits": "the steps from the 128th to the 256th are left out",
    "counter of eight bits": "at the 256th step, the momentum begins anew with zeros",
    "schedule waits for a gradient": "the schedule is not advanced by a step without gradients",
    "merging undoes the last split": "m is wrong once two tensors are joined",
    "restored runs are warmed up": "what was saved is other when it is restored a second time",
}
"""Of the catalogue's ports, those that tell most of the kinds."""


@pytest.mark.parametrize("name", SAID)
def test_what_is_wrong_with_a_run_is_named(name: str) -> None:
    found = cause(MUTANTS[name])
    assert found is not None
    assert (found.kind, found.sentence) == (Kind.RUN, SAID[name])
    assert found.clause in ("C12", "C30")


@pytest.mark.parametrize("name", OTHERS)
def test_other_ports_are_named_too(name: str) -> None:
    make, sentence = OTHERS[name]
    port = make()
    found = cause_of(port, "float32", rejected(port, "float32"))
    assert found is not None
    assert found.line() == sentence


@pytest.mark.parametrize(
    "port",
    [right_session(), rich.port(rich.Rich), from_callable(lion_ref.step)],
    ids=["session", "all events", "callable"],
)
def test_of_a_right_session_nothing_is_said(port: Port) -> None:
    """Even if it is said to have failed: nothing is found, or nothing is confirmed."""
    for _, write in whole_runs(port, "float32"):
        run = write()
        case = run.unanswered(Exception("")).case  # type: ignore[arg-type]
        last = Failure(case, (case.param, case.momentum), "")
        assert cause_of_run(port, "float32", RunFailure(run, last)) is None
        assert cause_of_first_step(port, last) is None


def inquiry(name: str) -> Inquiry:
    port = MUTANTS[name].port()
    failure: Any = rejected(port, "float32")
    return Inquiry(port, CANONICAL, failure.run)


def test_a_name_that_is_nearly_right_is_not_confirmed() -> None:
    """Each of them has the bits of the run that failed, up to where it failed; or nearly so."""
    tenth = inquiry("tenth step special")
    by_words = {change.words: change for change in changes()}
    halved, tenfold = by_words["η is halved"], by_words["η is divided by ten"]
    assert tenth.confirms(in_steps(halved, from_step(10)))
    for near in (
        in_steps(halved, at_step(10)),
        in_steps(halved, from_step(9)),
        in_steps(halved, from_step(11)),
        in_steps(tenfold, from_step(10)),
    ):
        assert not tenth.confirms(near)


def test_what_holds_for_one_list_alone_is_not_said_of_all() -> None:
    """Four of five scalars are updated: the last is not, but that is not what is wrong."""
    found = cause(MUTANTS["stacked where all are alike"])
    assert found is not None
    assert found.sentence == (
        "of several tensors of one shape, those from the fifth on are not updated"
    )


def test_two_mistakes_have_no_name_of_one() -> None:
    class Both(rich.Rich):
        last: Any = None

        def step(self, grads: Any, *, lr: float, weight_decay: float) -> None:
            late, self.last = lr if self.last is None else self.last, lr
            self.done += 1
            if self.done != 4:
                super().step(grads, lr=late, weight_decay=weight_decay)

    port = rich.offering(Both)
    found = cause_of(port, "float32", rejected(port, "float32"))
    assert found is not None
    assert found.sentence == "θ is wrong from the second step of a session on"


def test_the_report_has_it() -> None:
    port = MUTANTS["second step special"].port()
    report = verify(port, dtypes=["float32/float32/float32"], max_examples=1)
    (result,) = report.results
    assert result.cause is not None
    assert result.cause.line() == "the second step is left out (SPEC C30)"


def test_sentences_are_short_and_have_no_full_stop() -> None:
    for name in (
        "frozen one at a time",
        "large ones decay without a gradient",
        "saved by reference",
    ):
        found = cause(MUTANTS[name])
        assert found is not None
        assert len(found.sentence) <= 120
        assert not found.sentence.endswith(".")
