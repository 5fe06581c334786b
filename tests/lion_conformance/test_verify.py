"""verify: right ports pass, wrong ones are rejected, declarations are held."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from functools import partial
from types import NoneType
from typing import Any

import numpy as np
import pytest

import lion_ref
from lion_conformance import Port, PortError, Verdict, from_callable, verify
from lion_conformance.cases.case import Case
from lion_conformance.ports.protocol import ChangedAnswerError, run_once
from lion_conformance.report.shown import lines
from lion_conformance.verdict.failure import Failure
from lion_conformance.verdict.tally import Tally
from lion_conformance.verify import MAX_EXAMPLES
from lion_ref import CANONICAL, Semantics
from tests.lion_conformance.mutants.rounding import StochasticRounding

pytestmark = pytest.mark.clause("C29")

Step = Callable[..., Any]
FLUSH = Semantics(subnormals="flush")


def test_the_reference_is_bit_exact_in_every_dtype() -> None:
    report = verify(lion_ref.step)
    assert report.ok
    assert report.verdicts == dict.fromkeys(lion_ref.STORAGE_DTYPES, Verdict.BIT_EXACT)
    assert report.semantics == CANONICAL
    assert report.counterexample is None


def test_a_port_that_cannot_be_judged_here_is_not_run_and_never_opened() -> None:
    def opened(*_: Any, **__: Any) -> Any:
        raise AssertionError("there is no GPU")

    port = Port("mine", opened, device="cuda", unavailable="no GPU")
    report = verify(port, max_examples=3, seed=4)
    assert report.words(report.verdict) == "not run: no GPU"
    assert (report.ok, report.fell_short, report.results) == (False, False, ())
    assert (report.device, report.max_examples, report.seed) == ("cuda", 3, 4)
    with pytest.raises(ValueError, match="dtype='float8' is not legal"):
        verify(port, dtypes=["float8"])


def test_wrong_ports_are_rejected(wrong: Step) -> None:
    report = verify(wrong, dtypes=["float32"], explain=False)
    assert report.verdict is Verdict.REJECTED
    assert not report.ok
    assert report.counterexample is not None


SEVERAL = pytest.mark.parametrize(
    "semantics",
    [
        Semantics(momentum_fused="gradient"),
        *(
            pytest.param(semantics, marks=pytest.mark.slow)  # diagnosis/test_search.py has them too
            for semantics in (
                FLUSH,
                Semantics(decay="factor", decay_scalar="compute"),
                Semantics(nan_sign="zero"),
                Semantics(sign_interpolation="lerp-from-momentum"),
                Semantics(decay_skipped_at_zero=True),
                Semantics(zero_sign="kept"),
            )
        ),
    ],
    ids=lambda semantics: semantics.describe(),
)


def check_named(semantics: Semantics, max_examples: int) -> None:
    step = partial(lion_ref.step, semantics=semantics)
    for declared in (None, semantics):
        port = from_callable(step, name="port", declared=declared)
        report = verify(port, dtypes=["float32"], max_examples=max_examples)
        assert (report.verdict, report.ok) == (Verdict.BIT_EXACT_AS, True)
        assert report.semantics == semantics


@SEVERAL
def test_other_semantics_are_diagnosed_undeclared_and_exact_when_declared(
    semantics: Semantics,
) -> None:
    check_named(semantics, max_examples=1)  # the fixed cases alone tell all of them


@pytest.mark.slow
@SEVERAL
def test_other_semantics_are_so_with_the_default_budget(semantics: Semantics) -> None:
    check_named(semantics, MAX_EXAMPLES)


def test_a_port_that_breaks_its_declaration_is_not_ok() -> None:
    for step, declared in (
        (lion_ref.step, FLUSH),
        (partial(lion_ref.step, semantics=FLUSH), CANONICAL),
    ):
        port = from_callable(step, name="port", declared=declared)
        report = verify(port, dtypes=["float32"], max_examples=1, explain=False)
        assert not report.ok


def test_what_rounds_by_chance_is_said_to_and_not_to_lie_outside() -> None:
    """Even in a case of which a result that is accepted would not be asked for again."""
    steps = itertools.count(1)

    def drifts(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        p, m = lion_ref.step(param, momentum, grad, **scalars)
        p.reshape(-1)[-1:] += next(steps)
        return p, m

    def stays(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        p, m = lion_ref.step(param, momentum, grad, **scalars)
        return p + p.dtype.type(1), m

    def raises_next(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        if next(steps) % 2:
            return stays(param, momentum, grad, **scalars)
        raise RuntimeError("no kernel")

    outside = "θ': 3 of 3 elements lie outside the accepted set"
    for step, why, error in (
        (drifts, "a second call with the same inputs gave other bits", ChangedAnswerError),
        (stays, outside, NoneType),
        (raises_next, outside, NoneType),
    ):
        steps = itertools.count(1)
        tally = Tally(None, cases=1)
        assert not tally.add(from_callable(step), Case(ONE, ONE, ONE, 0.5, 0.5, 0.5, 0.0))
        failure = tally.failure
        assert isinstance(failure, Failure)
        assert failure.why.startswith(why)
        assert isinstance(failure.error, error)


def test_of_bits_that_vary_both_are_shown() -> None:
    report = verify(StochasticRounding(), dtypes=["bfloat16"], max_examples=1, explain=False)
    found = report.counterexample
    assert found is not None
    assert found.why == "a second call with the same inputs gave other bits; legal: the same bits"
    assert found.got != found.again
    told = lines(found)
    assert any("called again" in line for line in told)
    assert not any("no single call" in line for line in told)


def test_the_same_seed_gives_the_same_cases_and_another_seed_others() -> None:
    def seen(seed: int) -> list[bytes]:
        cases = []

        def spy(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
            cases.append(param.tobytes() + momentum.tobytes() + repr(scalars).encode())
            return lion_ref.step(param, momentum, grad, **scalars)

        verify(spy, dtypes=["bfloat16"], max_examples=2, seed=seed)
        return cases

    first = seen(3)
    assert first == seen(3)
    assert first != seen(4)


def test_max_examples_is_the_number_of_random_cases() -> None:
    few, more = (
        verify(lion_ref.step, dtypes=["float16"], max_examples=n).results[0] for n in (1, 7)
    )
    assert more.cases - few.cases == 6


def test_the_counterexample_is_one_simple_element() -> None:
    def wrong_from_a_thousand_on(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        new_param, new_momentum = lion_ref.step(param, momentum, grad, **scalars)
        with np.errstate(all="ignore"):
            return new_param, np.where(np.abs(grad) >= 1000, momentum, new_momentum)

    found = verify(wrong_from_a_thousand_on, dtypes=["float32"], explain=False).counterexample
    assert found is not None
    assert found.shape == (1,)
    assert found.inputs["param"].hex == "0x00000000"
    assert found.expected["momentum"] != found.got["momentum"]
    assert found.scalars["weight_decay"] == 0.0


def test_a_fault_of_the_position_keeps_the_elements_it_needs() -> None:
    def wrong_past_a_hundred(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        new_param, new_momentum = lion_ref.step(param, momentum, grad, **scalars)
        new_momentum.reshape(-1)[100:] = 12345
        return new_param, new_momentum

    found = verify(wrong_past_a_hundred, dtypes=["float32"], explain=False).counterexample
    assert found is not None
    assert 100 < np.prod(found.shape) < 300


ONE = np.ones(3, np.float32)


def _raises(*_: Any, **__: Any) -> Any:
    raise RuntimeError("no kernel\nfor this")


def _raises_without_a_word(*_: Any, **__: Any) -> Any:
    raise AssertionError


def _mutates(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    result = lion_ref.step(param, momentum, grad, **scalars)
    grad *= 2
    return result


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (_raises, "the port raised RuntimeError: no kernel for this"),
        (_raises_without_a_word, "the port raised AssertionError: it does not say why"),
        (
            lambda *_, **__: (ONE[:2], ONE),
            r"the port returned param with shape \(2,\); legal: \(3,\), as given",
        ),
        (
            lambda *_, **__: (ONE, ONE.astype(np.float64)),
            "the port returned momentum as float64; legal: float32, as given",
        ),
        (
            lambda *_, **__: (ONE, ONE, ONE),
            r"the port returned 3 values; legal: a tuple \(param, momentum\) of NumPy arrays",
        ),
        (
            lambda *_, **__: None,
            r"the port returned NoneType; legal: a tuple \(param, momentum\) of NumPy arrays",
        ),
        (
            lambda *_, **__: ([1.0], ONE),
            (
                r"the port returned a list for param; legal: a tuple \(param, momentum\) of NumPy "
                "arrays"
            ),
        ),
        (
            _mutates,
            "the port changed its input grad; legal: inputs are only read, results are new arrays",
        ),
    ],
)
def test_a_port_that_does_not_answer_is_rejected_in_one_line(step: Step, message: str) -> None:
    scalars = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.0}
    with pytest.raises(PortError, match=f"^{message}$"):
        run_once(from_callable(step), ONE, ONE, ONE, **scalars)
    report = verify(step, dtypes=["float32"], max_examples=2, explain=False)
    assert report.verdict is Verdict.REJECTED
    assert report.counterexample is not None
    assert "\n" not in report.counterexample.why


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"dtypes": ["float8"]},
            ValueError,
            "dtype='float8' is not legal; legal: float16, bfloat16",
        ),
        ({"dtypes": 5}, TypeError, "dtypes=5 is not legal; legal: some of float16, bfloat16"),
        (
            {"dtypes": []},
            ValueError,
            "dtypes=[] is not legal; legal: one or more of float16, bfloat16, float32, float64",
        ),
        ({"dtypes": [[]]}, ValueError, "dtype=[] is not legal; legal: float16, bfloat16"),
        ({"max_examples": 0}, ValueError, "max_examples=0 is not legal; legal: an integer >= 1"),
        ({"max_examples": True}, ValueError, "max_examples=True is not legal"),
        ({"seed": -1}, ValueError, "seed=-1 is not legal; legal: an integer >= 0"),
        ({"explain": "no"}, TypeError, "explain='no' is not legal; legal: True or False"),
        ({"progress": 5}, TypeError, "progress=5 is not legal; legal: a callable progress(dtype"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        verify(lion_ref.step, **arguments)


def test_what_is_no_port_is_refused() -> None:
    with pytest.raises(TypeError, match="port=3 is not legal; legal: a callable step"):
        verify(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="refuses='yes' is not legal; legal: True or False"):
        from_callable(lion_ref.step, refuses="yes")  # type: ignore[arg-type]


def test_a_dtype_that_the_port_does_not_take_is_refused() -> None:
    only_float32 = from_callable(lion_ref.step)
    port = Port("narrow", only_float32.open, triples=(("float32", "float32", "float32"),))
    assert verify(port, max_examples=2).verdicts == {"float32": Verdict.BIT_EXACT}
    with pytest.raises(ValueError, match="dtype='float16' is not taken by narrow; legal: float32"):
        verify(port, dtypes=["float16"])
