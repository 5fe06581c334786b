"""What a callable keeps between its calls is named, and what it does beside the bits."""

from __future__ import annotations

import pytest

import lion_ref
from lion_conformance import from_callable
from lion_conformance.cases.fixed import ordinary_case
from lion_conformance.diagnosis.cause_of_calls import cause_of_calls
from lion_conformance.diagnosis.cause_of_contract import cause_of_contract
from lion_conformance.ports.protocol import PortError, RaisedError
from lion_conformance.verdict.cause import Kind
from lion_conformance.verdict.failure import Failure
from tests.lion_conformance.mutants.catalogue import load
from tests.lion_conformance.mutants.causes import cause

pytestmark = pytest.mark.clause("C12", "C14", "C15", "C29")

MUTANTS = {mutant.name: mutant for mutant in load()}
CASE = ordinary_case(("float32",) * 3)

SAID = {
    "first call": "the first call alone is wrong: η is divided by ten",
    "warm up": "η grows over the first 100 calls",
    "every twentieth": "every twentieth call, θ is not updated",
    "wrong from the hundredth": "from some call on, there is no decay",
    "bias correction": "m' is divided by 1-β2^t, t counted over all calls",
    "schedule off by one": "from the second call on, the η of the call before is used",
    "scalars compiled in": "λ of the first call of each shape is used for all",
    "own momentum": "the momentum given is ignored for the m' of the call before of its shape",
    "cached by shape": "results are cached by shape",
    "cached by content": "θ' is cached by θ and g: m and the scalars are forgotten",
    "alternating directions": "every other call, the elements come in reversed order",
}


@pytest.mark.parametrize("name", SAID)
def test_what_is_kept_between_calls_is_named(name: str) -> None:
    found = cause(MUTANTS[name])
    assert found is not None
    assert (found.kind, found.sentence, found.clause) == (Kind.RUN, SAID[name], "C12")


@pytest.mark.parametrize(
    "name", ["lost updates", "lost block", "flipped bits", "rounding by chance"]
)
def test_chance_is_named(name: str) -> None:
    found = cause(MUTANTS[name])
    assert found is not None
    assert found.kind is Kind.CHANCE
    assert (
        found.sentence
        == "the same inputs give other bits at another call, by chance or by a rule not found"
    )


CONTRACTS = {
    "gradient zeroed": "it writes to its input grad (SPEC C14)",
    "gradients set to none": "it writes to the list of gradients (SPEC C14)",
    "one buffer": "it changes results that it has returned (SPEC C12)",
    "shown in two buffers": "it changes arrays that read() has returned (SPEC C30)",
    "inputs returned": (
        "it returns θ' in memory that an input or the other result lies in (SPEC C14)"
    ),
    "momentum returned in the dtype of theta": (
        "it returns m' as float32, though m is bfloat16 (SPEC C2)"
    ),
    "an axis of no length": ("it returns θ' with shape (0,), though θ has shape (1, 0) (SPEC C12)"),
    "rounding left up": "it leaves its thread rounding otherwise than to nearest (SPEC C15)",
    "takes text for a rate": "it takes lr='0.1', which is to be refused (SPEC C13)",
    "thread returns late": "results are still being written when the call has returned (SPEC C12)",
}


@pytest.mark.parametrize("name", CONTRACTS)
def test_what_is_no_matter_of_bits_is_named(name: str) -> None:
    found = cause(MUTANTS[name])
    assert found is not None
    assert found.kind is Kind.CONTRACT
    assert found.line() == CONTRACTS[name]


def test_an_exception_is_told_in_its_own_words_and_cut_where_they_are_long() -> None:
    error = RaisedError(f"the port raised ValueError: no; {'x' * 200}")
    found = cause_of_contract(Failure(CASE, None, str(error), error=error))
    assert found is not None
    assert found.sentence.startswith("it raises ValueError: no; xxx")
    assert len(found.sentence) == 120


def test_a_message_of_no_known_kind_is_repeated() -> None:
    error = PortError("the port returned 3 values; legal: a tuple (param, momentum)")
    found = cause_of_contract(Failure(CASE, None, str(error), error=error))
    assert found is not None
    assert found.line() == "it returned 3 values"


@pytest.mark.parametrize("name", ["decay doubled", "beta1 for both", "blocks overlap"])
def test_what_is_wrong_at_every_call_alike_is_no_matter_of_calls(name: str) -> None:
    assert cause(MUTANTS[name]) is None


def test_of_a_right_port_nothing_is_said() -> None:
    got = lion_ref.step(*CASE.arrays, **CASE.scalars)
    for alone in (True, False):
        failure = Failure(CASE, got, "", alone=alone)
        assert cause_of_contract(failure) is None
        assert cause_of_calls(from_callable(lion_ref.step), failure) is None
