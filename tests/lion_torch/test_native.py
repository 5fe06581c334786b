"""The default on a CPU is lion_cpu's kernel: that it is taken, when not, and what it leaves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import lion_cpu
from lion_torch import Lion
from tests.lion_torch.support import FIXED_CASES, Case, compare_with_reference, large
from tests.repo.preloaded import Program, run

Calls = list[dict[str, Any]]
needs_kernel = pytest.mark.skipif(bool(lion_cpu.missing()), reason=f"not run: {lion_cpu.missing()}")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What the kernel is called with, as it is called."""
    seen: Calls = []
    step = lion_cpu.step

    def spy(*arguments: Any, **named: Any) -> None:
        seen.append({"sizes": arguments[1].tolist(), "dtypes": arguments[2], **named})
        step(*arguments, **named)

    monkeypatch.setattr(lion_cpu, "step", spy)
    return seen


def missing() -> str:
    return "lion_cpu.so is on holiday; legal: patience"


@pytest.fixture
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform that no kernel was built for."""

    def step(*_: Any, **__: Any) -> None:
        raise AssertionError("there is no kernel to call")

    monkeypatch.setattr(lion_cpu, "missing", missing)
    monkeypatch.setattr(lion_cpu, "step", step)


def made(shape: tuple[int, ...] = (3,), **options: Any) -> tuple[torch.nn.Parameter, Lion]:
    """A parameter of ones with a gradient of ones, and its optimizer."""
    param = torch.nn.Parameter(torch.ones(shape))
    param.grad = torch.ones(shape)
    return param, Lion([param], lr=0.5, **options)


@needs_kernel
@pytest.mark.parametrize("options", [{}, {"fused": True}], ids=str)
def test_the_kernel_is_taken(options: dict[str, Any], calls: Calls) -> None:
    """At the first step, when there is no momentum yet, and at later ones."""
    param, optimizer = made(**options)
    for _ in range(3):
        optimizer.step()
    assert [(x["sizes"], x["dtypes"]) for x in calls] == [([3], ("float32",) * 3)] * 3
    assert param.tolist() == [-0.5] * 3


@pytest.mark.parametrize(
    "options",
    [{"fused": False}, {"foreach": True}, {"foreach": False}, {"differentiable": True}],
    ids=str,
)
def test_the_kernel_is_not_taken(options: dict[str, Any], calls: Calls) -> None:
    param, optimizer = made(**options)
    param.requires_grad_(not options.get("differentiable", False))
    for _ in range(2):
        optimizer.step()
    assert calls == []
    assert param.tolist() == [0.0] * 3


@needs_kernel
def test_all_tensors_of_one_kind_are_one_call(calls: Calls) -> None:
    dtypes = (torch.float32, torch.bfloat16)
    params = [torch.nn.Parameter(torch.ones(n, dtype=x)) for n in (2, 3) for x in dtypes]
    for param in params:
        param.grad = torch.ones_like(param)
    Lion(params).step()
    assert [(x["sizes"], x["dtypes"][0]) for x in calls] == [
        ([2, 3], "float32"),
        ([2, 3], "bfloat16"),
    ]


@needs_kernel
@pytest.mark.skipif(sys.platform != "linux", reason="not run: torch's OpenMP may be another here")
def test_torch_s_own_threads_do_the_work(calls: Calls) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        made((300_000,))[1].step()
    finally:
        torch.set_num_threads(before)
    assert calls[0]["threads"] == 2
    assert calls[0]["team"] == lion_cpu.team_of(torch._C.__file__) is not None


@pytest.mark.clause("C5", "C9", "C12")
@pytest.mark.parametrize("options", [{}, {"foreach": True}], ids=str)
def test_without_a_kernel_the_bits_are_the_same(no_kernel: None, options: dict[str, Any]) -> None:
    def make(params: list[torch.nn.Parameter], **others: Any) -> Lion:
        return Lion(params, **others, **options)

    for case in (*FIXED_CASES[::3], large(Case(("float32", "float32", "float32"), ()))):
        assert compare_with_reference(make, case) == []


@pytest.mark.clause("C13", "C14")
def test_without_a_kernel_fused_is_refused_and_nothing_has_changed(no_kernel: None) -> None:
    first, second = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    first.grad, second.grad = torch.ones(2), torch.ones(2)
    groups: list[dict[str, Any]] = [{"params": [first]}, {"params": [second], "fused": True}]
    optimizer = Lion(groups, lr=0.5)
    with pytest.raises(RuntimeError) as refused:
        optimizer.step()
    assert str(refused.value) == (
        "`fused=True`: lion_cpu.so is on holiday; legal: patience, or fused=None (the same bits)"
    )
    assert (first.tolist(), second.tolist()) == ([1.0] * 2, [1.0] * 2)
    assert not optimizer.state
    optimizer.param_groups[1]["fused"] = None
    optimizer.step()
    assert (first.tolist(), second.tolist()) == ([0.5] * 2, [0.5] * 2)


@pytest.mark.parametrize("options", [{}, {"fused": True}, {"fused": False}], ids=str)
@pytest.mark.parametrize("layout", ["dense", "strided"])
def test_autograd_sees_that_a_parameter_has_changed(options: dict[str, Any], layout: str) -> None:
    """Not at the first step alone, when the optimizer has not seen the parameter before."""
    param, optimizer = made((3, 4), **options)
    if layout == "strided":
        param.data = torch.ones(3, 8)[:, ::2]
    momentum = optimizer.state[param]["exp_avg"] = torch.zeros_like(param)
    for _ in range(3):
        loss = (param * param).sum()
        before = momentum._version
        optimizer.step()
        assert momentum._version > before
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


FORKED = """
import os, signal, sys
import numpy as np, torch
import lion_cpu, lion_ref
from lion_torch import Lion

torch.set_num_threads(2)
size = 300_001
p = torch.nn.Parameter(torch.linspace(-2, 2, size))
p.grad = torch.linspace(1, -1, size)
wanted = p.detach().numpy().copy(), np.zeros(size, np.float32)
for _ in range(2):
    wanted = lion_ref.step(*wanted, p.grad.numpy(), lr=0.5, weight_decay=0.1)
optimizer = Lion([p], lr=0.5, weight_decay=0.1)
optimizer.step()
team = lion_cpu.team_of(torch._C.__file__)
child = os.fork()
if not child:
    signal.alarm(int(sys.argv[1]))
    if sys.argv[2:] == ["in the same team"]:
        lion_cpu.team_of = lambda library: team
    optimizer.step()
    got = p.detach().numpy(), optimizer.state[p]["exp_avg"].numpy()
    os._exit(int(any(x.tobytes() != y.tobytes() for x, y in zip(got, wanted))))
_, status = os.waitpid(child, 0)
sys.stdout.write(str(os.waitstatus_to_exitcode(status)))
"""


def forked(folder: Path, *arguments: str) -> str:
    """How a process ends that was forked after a step and makes another."""
    program = folder / "program.py"
    program.write_text(FORKED, encoding="utf-8")
    (ran,) = run([Program([str(program), *arguments])], ["torch"])
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@needs_kernel
@pytest.mark.clause("C12")
@pytest.mark.skipif(sys.platform != "linux", reason="not run: only Linux forks by default")
def test_a_forked_process_steps_on(tmp_path: Path) -> None:
    """It has none of the threads of the process before."""
    assert forked(tmp_path, "60") == "0"


@needs_kernel
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="not run: only Linux forks by default")
def test_a_forked_process_that_waits_for_threads_that_it_has_not_is_found(tmp_path: Path) -> None:
    assert forked(tmp_path, "5", "in the same team") == "-14"  # SIGALRM


@needs_kernel
@pytest.mark.parametrize("shared", ["nothing", "gradient", "parameter"])
def test_parameters_that_share_memory_are_stepped_one_after_another(
    shared: str, calls: Calls
) -> None:
    """Their bits are unspecified, but not left to which of the kernel's threads comes first."""
    first, second = params = [torch.nn.Parameter(torch.tensor([1.0, 2.0])) for _ in range(2)]
    for param in params:
        param.grad = torch.ones(2)
    if shared == "gradient":
        second.grad = first.detach()
    if shared == "parameter":
        second.data = first.data
    optimizer = Lion(params, lr=0.5)
    for _ in range(2):
        optimizer.step()
    together = [len(call["sizes"]) for call in calls]
    assert together == ([2, 2] if shared == "nothing" else [1, 1, 1, 1])
