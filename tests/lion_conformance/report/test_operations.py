"""A counterexample's step, operation by operation: the reference's own, and what θ' says of u."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lion_ref
from lion_conformance import from_callable, verify
from lion_conformance.cases.case import Case
from lion_conformance.report.counterexample import Counterexample, Value
from lion_conformance.report.operations import operations_of, what_it_did
from lion_conformance.verdict.failure import Failure
from lion_ref import STORAGE_DTYPES, Semantics, legal_triples
from lion_ref.arithmetic import same_bits

pytestmark = pytest.mark.clause("C5")

SPECIAL = (0.0, -0.0, 1.0, -1.5, 6e-8, -1e-41, 65504.0, 3e38, np.inf, -np.inf, np.nan)
SCALARS = (
    {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1},
    {"lr": 3.0, "beta1": 0.0, "beta2": 0.5, "weight_decay": 0.0},
)


def shown(case: Case, index: int, got: Any = None) -> Counterexample:
    """What would be shown of one element, had it been rejected."""
    at = case.at(index)
    given = (at.param, at.momentum) if got is None else got
    # A promise of the very bits: the accepted set, which takes long, is then not asked for.
    found = Counterexample.of(Failure(at, given, "said", promised=lion_ref.CANONICAL))
    assert found.index == 0
    return found


def cases(triple: tuple[str, str, str]) -> list[Case]:
    dtypes = [STORAGE_DTYPES[x] for x in triple]
    generator = np.random.default_rng(7)
    found = []
    for scalars in SCALARS:
        with np.errstate(all="ignore"):
            drawn = (generator.choice(SPECIAL, 10), generator.standard_normal(4))
            param, momentum, grad = (
                np.concatenate([generator.permutation(x) for x in drawn]).astype(dtype)
                for dtype in dtypes
            )
        found.append(Case(param, momentum, grad, **scalars))
    return found


@pytest.mark.parametrize("triple", legal_triples(), ids="-".join)
def test_the_results_shown_are_those_of_a_step(triple: tuple[str, str, str]) -> None:
    """Random and special values; NaN is NaN, whatever its bits (SPEC C11)."""
    for case in cases(triple):
        expected = lion_ref.step(*case.arrays, **case.scalars)
        for i in range(case.param.size):
            by_name = {x.name: x for x in operations_of(shown(case, i))}
            assert list(by_name) == ["a", "b", "c", "u", "d", "s", "e", "θ'", "x", "y", "m'"]
            for name, result in zip(("θ'", "m'"), expected, strict=True):
                right = Value.of(result[i : i + 1])
                assert by_name[name].dtype == result.dtype.name
                assert by_name[name].value == right or by_name[name].value.decimal == "nan"
                assert (by_name[name].value.decimal == "nan") == (right.decimal == "nan")
            assert by_name["u"].value.decimal in ("-1.0", "-1", "0.0", "0", "1.0", "1", "nan")


@pytest.mark.parametrize("triple", legal_triples()[::5], ids="-".join)
def test_any_u_can_be_had_from_a_step_whose_m_and_g_are_u(triple: tuple[str, str, str]) -> None:
    """By which a port's θ' tells its u: the canonical step, not a copy of it, has each of them."""
    for case in cases(triple):
        _, m, _ = case.arrays
        expected = lion_ref.step(*case.arrays, **case.scalars)
        for i in range(case.param.size):
            got = (expected[0][i : i + 1], expected[1][i : i + 1])
            told = what_it_did(shown(case, i, got))
            assert told == ("θ' is the reference's", "m' is the reference's")
            up = lion_ref.step(
                case.param[i : i + 1],
                np.ones(1, m.dtype),
                np.ones(1, case.grad.dtype),
                **case.scalars,
            )
            said, _ = what_it_did(shown(case, i, (up[0], got[1])))
            assert said == told[0] if same_bits(up[0], got[0])[0] else "+1" in said.split(";")[0]


def case() -> Case:
    one = np.ones(1, np.float32)
    return Case(one, one, one, lr=0.5, beta1=0.9, beta2=0.99, weight_decay=0.0)


@pytest.mark.parametrize(
    ("theta", "momentum", "said"),
    [
        (1.5, 1.0, ("θ' is what u = -1 gives; the reference's u is +1", "m' is the reference's")),
        (1.0, 1.0, ("θ' is what u = 0 gives; the reference's u is +1", "m' is the reference's")),
        (0.75, 1.0, ("no u gives this θ'; u = +1 comes nearest, 4,194,304 ulps away", None)),
        (np.nan, 2.0, (None, "m' is not the reference's: 8,388,608 ulps away")),
    ],
)
def test_theta_says_which_u_the_port_had(
    theta: float, momentum: float, said: tuple[str | None, str | None]
) -> None:
    found = shown(case(), 0, tuple(np.array([x], np.float32) for x in (theta, momentum)))
    for actual, expected in zip(what_it_did(found), said, strict=True):
        assert expected in (None, actual)


def test_there_is_no_step_to_show_where_none_was_judged() -> None:
    def raises(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no kernel")

    flushed = from_callable(lion_ref.step, declared=Semantics(momentum_fused="gradient"))
    for port in (raises, flushed):
        found = verify(port, dtypes=["float32"], max_examples=1, explain=False).counterexample
        assert found is not None
        assert operations_of(found) == ()
        assert what_it_did(found) == ()


def test_of_a_run_the_last_event_s_step_is_shown() -> None:
    last: list[bytes] = []

    def forgets(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        known = momentum.tobytes() in last and np.any(momentum != 0)
        new = lion_ref.step(param, momentum * 0 if known else momentum, grad, **scalars)
        last[:] = [] if new[1].tobytes() == momentum.tobytes() else [new[1].tobytes()]
        return new

    found = verify(forgets, dtypes=["float32"], max_examples=1, explain=False).counterexample
    assert found is not None
    assert found.run
    by_name = {x.name: x for x in operations_of(found)}
    assert by_name["m'"].got == found.got["momentum"]
    assert by_name["m'"].value == found.expected["momentum"]
