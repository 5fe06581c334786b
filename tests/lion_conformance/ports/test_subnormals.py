"""Every backend judged by one rule for subnormals (SPEC C33), and those that have it not."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lion_ref
from lion_conformance.cli import main
from lion_conformance.ports.backends import BACKENDS, NotRunnable, backend, load
from lion_conformance.ports.offers import Offer
from lion_conformance.ports.protocol import Port, run_once
from lion_conformance.ports.published import FAMILIES
from lion_conformance.report.origin import Origin
from lion_conformance.report.report import Report
from lion_conformance.runner import Options, judge_port, run
from lion_conformance.runs import tape
from lion_conformance.verdict.verdict import Verdict
from lion_ref import CANONICAL, Semantics
from lion_ref.arithmetic import Array, same_bits
from lion_ref.subnormals import SubnormalsChoice
from tests.adversarial import around_underflow

pytestmark = pytest.mark.clause("C33")

FLUSH = Semantics(subnormals="flush")
SCALARS: dict[str, Any] = {"lr": 1.25 * 2.0**-126, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.5}
TRIPLE = ("float32",) * 3


def ports(name: str, subnormals: SubnormalsChoice) -> list[Port]:
    wanted = backend(name)
    for package in wanted.needs:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    return load(wanted, "cpu", subnormals)


def drawn() -> tuple[Array, Array, Array]:
    return around_underflow(np.random.default_rng(5), TRIPLE, 997, 0.9, 0.99, 0.1, 0.01, 0.5)


def unlike(found: tuple[Array, Array], arrays: Any, semantics: Semantics) -> int:
    """How many elements are not those of a semantics."""
    with np.errstate(all="ignore"):
        expected = lion_ref.step(*arrays, **SCALARS, semantics=semantics)
    return sum(int((~same_bits(*pair)).sum()) for pair in zip(found, expected, strict=True))


def saved_and_restored(port: Port, arrays: tuple[Array, Array, Array]) -> tuple[Array, Array]:
    """A step of a session that was saved before it, by whatever its port restores."""
    theta, m, g = arrays
    assert port.restore is not None
    betas = {"beta1": SCALARS["beta1"], "beta2": SCALARS["beta2"]}
    opened: Any = port.open([theta], [m], **betas)
    session = port.restore(opened.save())
    with np.errstate(all="ignore"):
        session.step([g], lr=SCALARS["lr"], weight_decay=SCALARS["weight_decay"])
        params, momenta = session.read()
    return params[0], momenta[0]


@pytest.mark.parametrize("name", BACKENDS)
def test_every_door_flushes_alike_and_declares_it(name: str) -> None:
    arrays = drawn()
    for port in ports(name, "flush"):
        stored = port.declared != FLUSH and port.declared is not None
        assert port.declared == (
            Semantics(subnormals="flush", step_stored=True) if stored else FLUSH
        )
        assert stored == ("in θ's dtype" in port.door)
        assert not unlike(run_once(port, *arrays, **SCALARS), arrays, FLUSH), port.door
        if Offer.RESTORE in port.offers:
            assert not unlike(saved_and_restored(port, arrays), arrays, FLUSH), port.door
    assert unlike(lion_ref.step(*arrays, **SCALARS), arrays, FLUSH)


@pytest.mark.parametrize("name", ["numpy", "torch", "array-api"])
def test_those_that_can_keep_do(name: str) -> None:
    arrays, unavailable = drawn(), []
    for port in ports(name, "keep"):
        if port.unavailable:
            unavailable.append((port.door, port.unavailable))
            continue
        assert port.declared == CANONICAL
        assert not unlike(run_once(port, *arrays, **SCALARS), arrays, CANONICAL), port.door
    if importlib.util.find_spec("jax") is None or name != "array-api":
        assert not unavailable
        return
    ((door, why),) = unavailable
    assert door == "step, jax.numpy"
    assert why.startswith("subnormals='keep' is not legal for jax.numpy on ")


@pytest.mark.parametrize("name", ["jax", "tensorflow"])
def test_those_that_cannot_say_why(name: str) -> None:
    ports(name, "native")
    with pytest.raises(NotRunnable, match="XLA flushes them there, and has no option not to"):
        ports(name, "keep")


def judged(port: Port) -> Report:
    return judge_port(port, ["float32"], Options(max_examples=1), tape.load())


def test_a_port_that_cannot_is_a_row_that_was_not_run() -> None:
    for port in ports("array-api", "keep"):
        if port.unavailable:
            report = judged(port)
            assert (report.not_run, report.door) == (port.unavailable, port.door)
            return
    pytest.skip("jax is not installed")


WRONG: dict[str, Callable[..., Any]] = {
    "the switch is ignored": lambda step, *xs, subnormals, **scalars: step(*xs, **scalars),
    "only what is given and returned is flushed": lambda step, *xs, subnormals, **scalars: [
        _flushed(x) for x in step(*map(_flushed, xs), **scalars)
    ],
}


def _flushed(x: Array) -> Array:
    result: Array = np.where(np.abs(x) < 2.0**-126, np.copysign(np.float32(0), x), x)
    return result.astype(x.dtype)


@pytest.mark.parametrize("wrong", WRONG)
def test_an_adapter_that_does_not_flush_as_asked_is_rejected(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the adapter declares of itself."""
    adapter = pytest.importorskip("lion_array_api")
    (port,) = (x for x in ports("array-api", "flush") if x.door == "step, numpy")
    step = adapter.step
    monkeypatch.setattr(adapter, "step", lambda *xs, **given: WRONG[wrong](step, *xs, **given))
    report = judged(port)
    assert report.fell_short
    assert report.counterexample is not None
    assert report.declared == FLUSH


def test_the_right_one_is_accepted_with_its_tape() -> None:
    pytest.importorskip("lion_array_api")
    (port,) = (x for x in ports("array-api", "flush") if x.door == "step, numpy")
    report = judged(port)
    assert report.ok
    assert report.verdicts == {"float32": Verdict.BIT_EXACT_AS}
    assert report.tape is not None
    assert report.tape.as_promised


def test_a_reproduction_asks_for_the_same_rule() -> None:
    origin = Origin("backend", BACKENDS["numpy"].module, subnormals="flush")
    scope: dict[str, Any] = {}
    exec(origin.load_port("lion_ref.flushed", "operation by operation", "cpu"), scope)
    assert scope["load_port"]().declared == FLUSH


def test_a_sum_that_is_the_callers_is_not_judged_where_a_gpu_keeps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jax = pytest.importorskip("jax")
    pytest.importorskip("optax")
    from lion_conformance.ports import jax as jax_ports

    assert not any(map(jax_ports._refusal, jax_ports.doors("flush").values()))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    doors = jax_ports.doors.__wrapped__("flush")  # of which jit has kept nothing
    refused = {door: jax_ports._refusal(train_step) for door, train_step in doors.items()}
    assert [door for door, why in refused.items() if not why] == ["tx.step, jit"]
    assert "subnormals='flush' is not legal for update" in refused["tx.update"]


def test_published_ports_have_no_choice() -> None:
    for family in FAMILIES.values():
        with pytest.raises(NotRunnable, match="has no choice of subnormals; legal: 'native'"):
            load(family, "cpu", "flush")


def test_an_illegal_rule_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    illegal: Any = "flushed"
    with pytest.raises(ValueError, match="subnormals='flushed' is not legal; legal: 'native'"):
        run(["numpy"], Options(subnormals=illegal))
    with pytest.raises(SystemExit, match="2"):
        main(["run", "--subnormals", "flushed"])
    assert "argument --subnormals: invalid choice: 'flushed'" in capsys.readouterr().err


def test_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optax")
    brief = ["--dtype", "float16", "--max-examples", "1", "--seconds", "20"]
    names = ["--backend", "numpy", "--backend", "jax"]
    assert main(["run", *names, "--subnormals", "keep", *brief]) == 2
    printed = capsys.readouterr().out
    assert "lion_ref.oracle" in printed
    said = " ".join(printed.split())
    assert "jax (–) not run: subnormals='keep' is not legal for lion_jax on platform 'cpu'" in said
