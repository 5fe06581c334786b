"""Steps in threads that flush, or do not round to nearest: the bits of a choice, or a refusal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from lion_ref import arithmetic
from lion_torch import Lion, threads
from tests.lion_ref.test_arithmetic import ROUNDS, X86, in_environment
from tests.lion_torch.support import compare_with_reference
from tests.lion_torch.test_bits import PATHS, through
from tests.lion_torch.test_subnormals import FLUSH, tensors_for_rates
from tests.lion_torch.tiny import TINY_CASES
from tests.repo.preloaded import Program, run

pytestmark = pytest.mark.clause("C15", "C33")

FLUSHES = "this thread flushes subnormals, so no reference bits"


@contextmanager
def flushing() -> Iterator[None]:
    if not torch.set_flush_denormal(True):
        pytest.skip("not run: this processor flushes nothing")
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def in_flushing_steps(make: Callable[..., Lion]) -> Callable[..., Lion]:
    """An optimizer whose steps alone are made while the thread flushes: the reference's are not."""

    def made(params: Any, **options: Any) -> Lion:
        optimizer = make(params, **options)
        step = optimizer.step

        def flushed() -> None:
            with flushing():
                step()

        optimizer.step = flushed  # type: ignore[method-assign,assignment]
        return optimizer

    return made


@pytest.mark.parametrize("path", PATHS)
def test_a_flushing_step_has_its_bits_in_a_thread_that_flushes(path: str) -> None:
    make = in_flushing_steps(through(path, subnormals="flush"))
    assert [
        x for case in TINY_CASES for x in compare_with_reference(make, case, semantics=FLUSH)
    ] == []


def test_rates_that_are_tensors() -> None:
    make = in_flushing_steps(tensors_for_rates)
    for case in TINY_CASES:
        assert compare_with_reference(make, case, semantics=FLUSH) == []


def test_the_thread_s_own_rule_would_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks above can fail: torch stores float64 in bfloat16 by way of float32, for one."""
    monkeypatch.setattr("lion_torch.work.require_environment", lambda **_: None)
    make = in_flushing_steps(through("one by one"))
    assert any(compare_with_reference(make, case, semantics=FLUSH) for case in TINY_CASES)


@X86
@pytest.mark.parametrize(
    ("choice", "flags", "message"),
    [
        ("native", 0x8000, FLUSHES),
        ("keep", 0x0040, FLUSHES),
        ("flush", 0x8000, ""),
        ("flush", 0x0040, ""),
        ("flush", 0x8040, ""),
        *((choice, 0x2000, ROUNDS) for choice in ("native", "flush", "keep")),
        *((choice, 0xA000, ROUNDS) for choice in ("native", "flush", "keep")),
    ],
)
def test_what_is_refused(choice: Any, flags: int, message: str) -> None:
    param = torch.nn.Parameter(torch.ones(3))
    param.grad = torch.ones(3)
    optimizer = Lion([param], lr=0.5, subnormals=choice)
    said = in_environment(flags, optimizer.step)
    assert said.startswith(message)
    assert bool(said) == bool(message)
    assert param.tolist() == ([1.0] * 3 if message else [0.5] * 3)
    assert said.endswith("or step with subnormals='flush'") == (message == FLUSHES)


def test_one_group_that_keeps_them_is_enough_to_refuse() -> None:
    params = [torch.nn.Parameter(torch.ones(3)) for _ in range(2)]
    for param in params:
        param.grad = torch.ones(3)
    groups: list[dict[str, Any]] = [
        {"params": [param], "subnormals": choice}
        for param, choice in zip(params, ("flush", "keep"), strict=True)
    ]
    with flushing(), pytest.raises(FloatingPointError, match=FLUSHES):
        Lion(groups, lr=0.5).step()
    assert [param.tolist() for param in params] == [[1.0] * 3] * 2


def test_a_thread_that_flushes_before_it_rounds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Arm's do: a product that rounds up to the smallest normal number is zero there."""
    below = arithmetic._float32(0x00400000), arithmetic._float32(0x3F7FFFFE)
    param = torch.nn.Parameter(torch.ones(3))
    param.grad = torch.ones(3)
    optimizer = Lion([param], lr=0.5, subnormals="flush")
    monkeypatch.setattr(arithmetic, "_NEARLY_NORMAL", below)
    with flushing(), pytest.raises(FloatingPointError, match="flushes subnormals before it rounds"):
        optimizer.step()
    assert param.tolist() == [1.0] * 3


OTHER_THREADS = """
import json, sys
import numpy as np, torch
import lion_ref
from lion_torch import Lion
arrays = [np.full(300_001, x, np.float32) for x in (1, 3e-38, 0)]
semantics = lion_ref.Semantics(subnormals="flush")
wanted = lion_ref.step(*arrays, lr=0.5, beta1=0.25, semantics=semantics)
theta, m, g = map(torch.from_numpy, arrays)  # by no thread of torch's
p = torch.nn.Parameter(theta); p.grad = g
o = Lion([p], lr=0.5, betas=(0.25, 0.99), subnormals="flush", **json.loads(sys.argv[1]))
o.state[p]["exp_avg"] = m
torch.set_num_threads(2)
torch.set_flush_denormal(True); (torch.ones(1_000_000) * 2).sum()
torch.set_flush_denormal(False)
o.step()
got = p.detach().numpy(), m.numpy()
sys.stdout.write(str(all(x.tobytes() == y.tobytes() for x, y in zip(got, wanted))))
"""


def test_torch_s_other_threads_may_flush(tmp_path: Path) -> None:
    """They keep the environment in which they began; test_edges.py has what keeps subnormals."""
    program = tmp_path / "program.py"
    program.write_text(OTHER_THREADS, encoding="utf-8")
    paths: list[dict[str, Any]] = [{}, {"fused": False}, {"foreach": True}]
    each = [Program([str(program), json.dumps(options)]) for options in paths]
    for ran in run(each, ["torch._dynamo"]):
        assert (ran.returncode, ran.stdout) == (0, "True"), ran.stderr


def test_other_threads_that_flush_before_they_round_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """None do here: factors take the place whose product is zero in any thread."""
    monkeypatch.setitem(threads._TELLING, True, (1.0, 0.0))
    monkeypatch.setattr(threads._asked, "numbers", frozenset(), raising=False)
    param = torch.nn.Parameter(torch.ones(300_001))
    param.grad = torch.ones(300_001)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(FloatingPointError) as refused:
            Lion([param], fused=False, subnormals="flush").step()
        assert "flush subnormals before they round, as they began while" in str(refused.value)
        assert "subnormals=" not in str(refused.value)
        Lion([param], fused=False).step()
    finally:
        torch.set_num_threads(before)
