"""Legal scalars that a port refuses: a finding of their own; the rest is judged without them."""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lion_ref
from lion_conformance import Port, Refusal, Verdict, diagnose, diagnosis, from_callable, verify
from lion_conformance.checks import Check, Checklist
from lion_conformance.cli import main
from lion_conformance.report.as_text import render
from lion_conformance.report.origin import Origin
from lion_conformance.runs.state_machine import drive_state_machine
from lion_conformance.verdict.sentences import in_words
from lion_conformance.verdict.tally import Tally
from lion_ref import CANONICAL, Semantics
from tests.lion_conformance.mutants.sessions import Session

Step = Callable[..., Any]

pytestmark = pytest.mark.clause("C13", "C29")

FUSED = Semantics(momentum_fused="gradient")
LERP = partial(lion_ref.step, semantics=FUSED)


def refusing(refused: Callable[..., bool], step: Step = lion_ref.step) -> Step:
    """A step that raises where its scalars are refused."""

    def port(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        if refused(**scalars):
            raise ValueError("Invalid hyperparameters")
        return step(param, momentum, grad, **scalars)

    return port


def lr_is_zero(*, lr: float, **_: float) -> bool:
    return lr == 0


def judged(step: Step | Port, **options: Any) -> Any:
    return verify(step, dtypes=["float32"], max_examples=2, **options)


def test_a_refused_value_is_told_apart_from_the_bits() -> None:
    report = judged(refusing(lr_is_zero))
    assert (report.ok, report.verdict, report.semantics) == (False, Verdict.BIT_EXACT, CANONICAL)
    assert report.sentence == "equals the reference, wherever it answers; refuses lr = 0"
    (refusal,) = report.results[0].refusals
    assert (refusal.argument, refusal.least, refusal.greatest) == ("lr", 0.0, 0.0)
    assert refusal.words == "the port raised ValueError: Invalid hyperparameters"
    assert refusal.cases > 5
    text = render([report])
    assert text.startswith("falls short")
    assert "bit-exact, but refuses lr = 0, which it does not declare" in " ".join(text.split())
    assert refusal.words in text
    assert "refuses lr = 0" in report.to_html()
    assert "refuses lr = 0" in report.to_markdown()
    (found,) = json.loads(report.to_json())["reports"][0]["dtypes"][0]["refusals"]
    assert found == {
        "argument": "lr",
        "least": 0.0,
        "greatest": 0.0,
        "cases": refusal.cases,
        "words": refusal.words,
        "declared": False,
    }
    shown = report.counterexample
    assert shown is not None
    assert (shown.shape, shown.scalars["lr"], shown.got) == ((1,), 0.0, {})


def test_a_declared_refusal_is_no_shortfall() -> None:
    for declines, ok in (
        ((Refusal("lr", 0.0, 0.0),), True),
        ((Refusal("lr", 0.0, 1e-9),), True),
        ((Refusal("beta1", 0.0, 0.0),), False),
    ):
        report = judged(from_callable(refusing(lr_is_zero), declines=declines))
        assert (report.ok, report.verdict) == (ok, Verdict.BIT_EXACT)
        assert report.sentence.endswith("wherever it answers; refuses lr = 0")
        assert (report.reproduction() == "") is ok


def test_what_is_wrong_is_found_beside_what_is_refused() -> None:
    def wrong(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        return lion_ref.step(param, momentum, grad, **scalars | {"lr": 2 * scalars["lr"]})

    report = judged(refusing(lr_is_zero, wrong), explain=False)
    assert report.verdict is Verdict.REJECTED
    assert report.counterexample is not None
    assert report.counterexample.got


def test_the_rest_is_explained() -> None:
    step = refusing(lambda lr, beta1, **_: not lr or not beta1, LERP)
    report = judged(step)
    expected = "equals the reference in which m' = fma(1-β2, g, β2·m), wherever it answers; "
    assert report.sentence == expected + "refuses lr = 0, beta1 = 0"
    assert (report.verdict, report.semantics) == (Verdict.BIT_EXACT_AS, FUSED)
    assert diagnose(step, dtypes=["float32"]) == FUSED
    found = diagnosis(step, dtypes=["float32"])
    assert found.sentence.startswith(expected + "refuses lr = 0")
    assert found.refusals


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (lambda lr, **_: lr > 1e5, "lr from 4.12906e+06 to 4.5571e+37"),
        (lambda beta2, **_: beta2 < 0.5, "beta2 from 0 to "),
        (lambda weight_decay, **_: np.signbit(weight_decay), "weight_decay = -0"),
        (lambda lr, weight_decay, **_: lr * weight_decay >= 1, "some scalars together that"),
    ],
)
def test_the_range_is_named(refused: Callable[..., bool], words: str) -> None:
    report = judged(refusing(refused))
    assert report.verdict is Verdict.BIT_EXACT
    assert not report.ok
    described = [x.describe() for x in report.results[0].refusals]
    assert any(x.startswith(words) for x in described), described


def test_each_scalar_is_refused_by_itself() -> None:
    """Also where two are refused at once; what a port declares is no shortfall then."""

    def small(beta1: float, beta2: float, **_: float) -> bool:
        return beta1 <= 0.5 or beta2 <= 0.5

    found = {x.argument for x in judged(refusing(small)).results[0].refusals}
    assert found == {"beta1", "beta2"}
    declines = (Refusal("beta1", 0.0, 0.5), Refusal("beta2", 0.0, 0.5))
    assert judged(from_callable(refusing(small), declines=declines)).ok


def test_a_refusal_in_one_triple_of_several() -> None:
    mixed = ("bfloat16", "float32", "bfloat16")

    def port(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        if momentum.dtype == np.float32 and not scalars["lr"]:
            raise ValueError("lr is 0")
        return lion_ref.step(param, momentum, grad, **scalars)

    report = verify(port, dtypes=["bfloat16", mixed], max_examples=1, explain=False)
    assert [x.describe() for x in report.results[0].refusals] == ["lr = 0"]
    declines = (Refusal("lr", 0.0, 0.0),)
    triples = (("bfloat16",) * 3, mixed)
    assert verify(from_callable(port, triples=triples, declines=declines), max_examples=1).ok


def test_many_intervals_are_told_in_few_words() -> None:
    refusals = [Refusal("lr", x, x) for x in (0.0, 1e-9, 3e-8, 7.0)]
    assert in_words(refusals) == "refuses 4 values or intervals of lr from 0 to 7"


@pytest.mark.parametrize("seed", [pytest.param(4, marks=pytest.mark.slow), 5, 6])
@pytest.mark.parametrize("name", ["beta1", "beta2"])
def test_a_run_beside_another_avoids_the_refused_scalars(name: str, seed: int) -> None:
    """Its betas are those of the other, exchanged."""
    port = refusing(lambda **scalars: scalars[name] == 0)
    declares = from_callable(port, declines=(Refusal(name, 0.0, 0.0),))
    report = verify(declares, dtypes=["float32"], max_examples=25, seed=seed)
    assert (report.verdict, report.ok) == (Verdict.BIT_EXACT, True)


class _HalfDone(Session):
    """Refuses what overflows in the middle of a step, when m is new already."""

    def update(self, i: int, grad: Any, scalars: dict[str, Any]) -> None:
        if scalars["lr"] * scalars["weight_decay"] > 1e3:
            self.momenta[i] = self.momenta[i] + 1
            raise OverflowError("too much")
        super().update(i, grad, scalars)


@pytest.mark.parametrize("seeds", [range(2), pytest.param(range(2, 8), marks=pytest.mark.slow)])
def test_a_run_goes_no_further_than_what_it_refuses(seeds: range) -> None:
    """What a refused step leaves is not judged: it is a finding already."""
    port, tally = Port("half done", _HalfDone), Tally(None)
    for seed in seeds:
        drive_state_machine(port, "float32", tally, runs=20, seed=seed)
        assert tally.failure is None
    tally.find_refusals(port)
    assert [x.describe() for x in tally.refusals]


class _RefusesOnceStepped(Session):
    """Refuses η = 0, but only in a step after another that nobody has read since."""

    unread = False

    def update(self, i: int, grad: Any, scalars: dict[str, Any]) -> None:
        if scalars["lr"] == 0 and self.unread:
            raise ValueError("no")
        super().update(i, grad, scalars)

    def step(self, grads: Any, *, lr: float, weight_decay: float) -> None:
        super().step(grads, lr=lr, weight_decay=weight_decay)
        self.unread = True

    def read(self) -> Any:
        self.unread = False
        return super().read()


def test_what_is_refused_only_where_nobody_reads_is_no_refusal() -> None:
    assert judged(Port("secretive", _RefusesOnceStepped)).verdict is Verdict.REJECTED


def test_a_refusal_that_writes_to_its_inputs_is_a_rejection() -> None:
    def port(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        if not scalars["lr"]:
            momentum[...] = 0
            raise ValueError("lr is 0")
        return lion_ref.step(param, momentum, grad, **scalars)

    report = judged(from_callable(port, declines=(Refusal("lr", 0.0, 0.0),)), explain=False)
    assert report.verdict is Verdict.REJECTED
    assert report.counterexample is not None
    assert report.counterexample.why.startswith("the port changed its input momentum")


def test_a_refusal_that_changes_its_thread_is_a_rejection() -> None:
    libm = ctypes.CDLL(ctypes.util.find_library("m"))

    def port(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        if not scalars["lr"]:
            libm.fesetround(0x400)  # downward, on x86
            raise ValueError("lr is 0")
        return lion_ref.step(param, momentum, grad, **scalars)

    report = judged(from_callable(port, declines=(Refusal("lr", 0.0, 0.0),)), explain=False)
    assert report.verdict is Verdict.REJECTED
    assert report.counterexample is not None
    assert report.counterexample.why.startswith("the port changed its thread")


class _Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_exception_without_words_is_none_of_the_judge() -> None:
    def port(*arrays: Any, **scalars: Any) -> Any:
        if not scalars["lr"]:
            raise _Wordless
        if scalars["lr"] == 1e30:
            raise ValueError("\x1b[31mred")
        return lion_ref.step(*arrays, **scalars)

    words = {x.words for x in judged(port).results[0].refusals}
    assert words == {
        "the port raised _Wordless: its words cannot be had",
        "the port raised ValueError: ?[31mred",
    }


@pytest.mark.parametrize(
    "refused",
    [
        lambda lr, **_: lr == 0.003,
        lambda weight_decay, **_: weight_decay == 0,
        lambda beta1, **_: beta1 != 0.9,
    ],
)
def test_an_exception_at_ordinary_scalars_is_a_rejection(refused: Callable[..., bool]) -> None:
    report = judged(refusing(refused), explain=False)
    assert report.verdict is Verdict.REJECTED
    assert report.counterexample is not None
    assert report.counterexample.why == "the port raised ValueError: Invalid hyperparameters"


def test_an_exception_for_some_arrays_is_a_rejection() -> None:
    def no_scalars(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        if param.ndim == 0:
            raise ValueError("an array of no axes")
        return lion_ref.step(param, momentum, grad, **scalars)

    assert judged(no_scalars, explain=False).verdict is Verdict.REJECTED


class _Forgetful(Session):
    """Refuses η = 0, and forgets the momentum at its fifth step."""

    def update(self, i: int, grad: Any, scalars: dict[str, Any]) -> None:
        if scalars["lr"] == 0:
            raise ValueError("lr has to be positive")
        if self.steps == 5:
            self.momenta[i] = np.zeros_like(self.momenta[i])
        super().update(i, grad, scalars)


def test_runs_go_on_without_the_refused_scalars() -> None:
    report = judged(Port("forgetful", _Forgetful))
    assert report.verdict is Verdict.REJECTED
    assert report.counterexample is not None
    assert report.counterexample.run
    right = judged(Port("refusing", _Refusing))
    assert (right.verdict, right.ok) == (Verdict.BIT_EXACT, False)
    assert right.results[0].events["step"] > 300


class _Refusing(_Forgetful):
    """The same, and forgets nothing."""

    def update(self, i: int, grad: Any, scalars: dict[str, Any]) -> None:
        self.steps = 0
        super().update(i, grad, scalars)


class _RefusesEvents(Session):
    """Raises in a step, whatever its scalars, once it has made ten."""

    def update(self, i: int, grad: Any, scalars: dict[str, Any]) -> None:
        if self.steps > 10:
            raise ValueError("no more")
        super().update(i, grad, scalars)


def test_a_run_that_ends_for_no_scalar_is_a_rejection() -> None:
    assert judged(Port("tired", _RefusesEvents)).verdict is Verdict.REJECTED


def test_each_check_is_made_on_what_is_answered() -> None:
    port = from_callable(refusing(lr_is_zero))
    list_ = Checklist(port, dtypes=["float32"], max_examples=1, seed=0, origin=Origin())
    short = {check: list_.shortfall("float32", check) for check in list_.checks("float32")}
    assert [check for check, report in short.items() if report] == [Check.ANSWERS]
    found = short[Check.ANSWERS].counterexample  # type: ignore[union-attr]
    assert found is not None
    assert found.alone  # a port that refuses is not said to be no function of its inputs


MODULE = """
import lion_ref

def step(param, momentum, grad, *, lr, **scalars):
    if not lr:
        raise ValueError("lr has to be positive")
    return lion_ref.step(param, momentum, grad, lr=lr, **scalars)
"""


def test_the_command_line_says_so_and_a_program_reproduces_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "refuses_zero.py").write_text(MODULE)
    words = ["verify", "refuses_zero:step", "--dtype", "float32", "--max-examples", "1"]
    assert main([*words, "--reproduction", "again.py"]) == 1
    assert "refuses lr = 0" in capsys.readouterr().out
    assert main(["diagnose", "refuses_zero:step", "--dtype", "float32"]) == 0
    assert "wherever it answers; refuses lr = 0" in capsys.readouterr().out
    again = [sys.executable, "again.py"]
    shown = subprocess.run(again, capture_output=True, text=True, check=False)
    assert shown.returncode == 1, shown.stderr
    assert "lr has to be positive" in shown.stdout + shown.stderr
    (tmp_path / "refuses_zero.py").write_text(MODULE.replace("if not lr", "if lr < 0"))
    assert subprocess.run(again, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (("eta", 0.0, 0.0), "argument='eta' is not legal; legal: lr, weight_decay, beta1, beta2"),
        (("lr", 1.0, 0.0), "least=1.0 is not legal with greatest=0.0; legal: a number that is no"),
        (("lr", -1.0, 0.0), "least=-1.0 is not legal for lr; legal: finite, >= 0"),
        (("beta1", 0.5, 1.0), r"greatest=1.0 is not legal for beta1; legal: in \[0, 1\)"),
    ],
)
def test_what_is_no_refusal_is_refused(fields: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Refusal(*fields)
    with pytest.raises(TypeError, match=r"^declines holds 0, which is not legal; legal: a tuple"):
        from_callable(lion_ref.step, declines=(0,))  # type: ignore[arg-type]
