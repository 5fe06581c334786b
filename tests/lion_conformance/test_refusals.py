"""Legal scalars that a port refuses: a finding of their own; the rest is judged without them."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import lion_ref
from lion_conformance import Port, Refusal, Verdict, diagnose, diagnosis, from_callable, verify
from lion_conformance.checks import Check, Checklist
from lion_conformance.cli import main
from lion_conformance.report.as_text import render
from lion_conformance.report.origin import Origin
from lion_ref import CANONICAL, Semantics
from tests.lion_conformance.mutants.sessions import Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
    assert "= bit-exact (!)" in text
    assert f"refuses lr = 0 ({refusal.cases} cases): {refusal.words}" in text
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

    report = judged(refusing(lr_is_zero, wrong))
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
        (lambda lr, **_: lr > 1e5, "lr = 1e+30"),
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


@pytest.mark.parametrize(
    "refused",
    [
        lambda lr, **_: lr == 0.003,
        lambda weight_decay, **_: weight_decay == 0,
        lambda beta1, **_: beta1 != 0.9,
    ],
)
def test_an_exception_at_ordinary_scalars_is_a_rejection(refused: Callable[..., bool]) -> None:
    report = judged(refusing(refused))
    assert report.verdict is Verdict.REJECTED
    assert report.counterexample is not None
    assert report.counterexample.why == "the port raised ValueError: Invalid hyperparameters"


def test_an_exception_for_some_arrays_is_a_rejection() -> None:
    def no_scalars(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        if param.ndim == 0:
            raise ValueError("an array of no axes")
        return lion_ref.step(param, momentum, grad, **scalars)

    assert judged(no_scalars).verdict is Verdict.REJECTED


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
    short = [check for check in list_.checks("float32") if list_.shortfall("float32", check)]
    assert short == [Check.ANSWERS]


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
    ],
)
def test_what_is_no_refusal_is_refused(fields: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Refusal(*fields)
    with pytest.raises(TypeError, match=r"^declines holds 0, which is not legal; legal: a tuple"):
        from_callable(lion_ref.step, declines=(0,))  # type: ignore[arg-type]
