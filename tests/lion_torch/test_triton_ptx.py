"""lion_torch on its Triton kernel, without a GPU: the PTX that Triton makes is run on the CPU.

Every launch goes through triton_launch, whose tables tell the kernel where tensors lie, and through
the interpreter of lion_conformance, which rounds as NVIDIA specifies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="pip install triton")

from lion_conformance import Verdict, verify
from lion_conformance.ports import torch as torch_ports
from lion_torch import Lion, declared_semantics
from lion_torch.kernel import triton_launch
from tests.lion_torch.ptx_launch import Launcher
from tests.lion_torch.support import Case, compare_with_reference
from tests.lion_torch.tiny import TINY_CASES
from tests.lion_torch.triton_ahead import NVIDIA, TRIPLES, Triple

SHAPES = ((5000,), (), (0,), (7,), (4096,), (33, 17))
FLUSHED = [*TRIPLES, ("float64", "float32", "float32")]
MIXED = ("bfloat16", "float32", "bfloat16")


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> Launcher:
    """What the optimizer's launches go to; a test may change its fields."""
    stand_in = Launcher()
    monkeypatch.setattr("lion_torch.optimizer.choose", lambda _: triton_launch.update)
    monkeypatch.setattr(triton_launch, "lion_kernel", stand_in)
    # No step reads a tensor of the CPU there otherwise.
    monkeypatch.setattr("lion_torch.checks.CAPTURABLE_DEVICES", ("cpu",))
    return stand_in


def make(params: Sequence[torch.nn.Parameter], **options: Any) -> Lion:
    return Lion(params, **options)


def make_with_tensors(params: Sequence[torch.nn.Parameter], **options: Any) -> Lion:
    """η and λ as tensors that no step waits for."""
    for name in ("lr", "weight_decay"):
        options[name] = torch.tensor(options[name], dtype=torch.float64)
    return Lion(params, capturable=True, **options)


def differences(dtypes: Triple, launcher: Launcher, maker: Any = make) -> list[str]:
    """From the reference, of numbers of every kind in tensors with and without a tail."""
    with np.errstate(all="ignore"):
        found = compare_with_reference(maker, Case(dtypes, SHAPES, steps=1))
    assert launcher.launches
    assert launcher.options or not launcher.contractible
    return found


def flushed_differences(dtypes: Triple, launcher: Launcher, maker: Any = make) -> list[str]:
    """The same where it flushes, around the smallest normal numbers."""
    found: list[str] = []
    for case in (x for x in TINY_CASES if x.dtypes == dtypes):
        with np.errstate(all="ignore"):
            found += compare_with_reference(
                partial(maker, subnormals="flush"), case, semantics=declared_semantics("flush")
            )
    assert launcher.launches
    assert launcher.options or not launcher.contractible
    return found


@pytest.mark.clause("C4", "C5", "C6", "C7", "C8", "C12")
@pytest.mark.parametrize("dtypes", TRIPLES, ids="-".join)
@pytest.mark.parametrize("target", NVIDIA)
def test_the_kernel_has_the_reference_bits(target: str, dtypes: Triple, launcher: Launcher) -> None:
    launcher.target = target
    assert differences(dtypes, launcher) == []


@pytest.mark.clause("C18", "C33")
@pytest.mark.parametrize("dtypes", FLUSHED, ids="-".join)
@pytest.mark.parametrize("target", NVIDIA)
def test_the_kernel_flushes_as_the_reference_does(
    target: str, dtypes: Triple, launcher: Launcher
) -> None:
    launcher.target = target
    assert flushed_differences(dtypes, launcher) == []


@pytest.mark.clause("C12")
@pytest.mark.parametrize("dtypes", [TRIPLES[0], MIXED], ids="-".join)
def test_unaligned_tensors_have_the_reference_bits(dtypes: Triple, launcher: Launcher) -> None:
    launcher.aligned = False
    assert differences(dtypes, launcher) == []


@pytest.mark.clause("C4")
@pytest.mark.parametrize("dtypes", [MIXED, TRIPLES[-1]], ids="-".join)
def test_numbers_on_the_device_have_the_reference_bits(dtypes: Triple, launcher: Launcher) -> None:
    assert differences(dtypes, launcher, make_with_tensors) == []
    assert flushed_differences(dtypes, launcher, make_with_tensors) == []


@pytest.mark.parametrize("found_inf", [0.0, 1.0])
def test_a_step_is_skipped_on_the_device(found_inf: float, launcher: Launcher) -> None:
    param = torch.nn.Parameter(torch.ones(5))
    param.grad = torch.ones(5)
    optimizer = Lion([param], lr=0.5)
    optimizer.found_inf = torch.tensor(found_inf)  # type: ignore[attr-defined]
    optimizer.step()
    assert param.tolist() == [1.0 if found_inf else 0.5] * 5
    assert launcher.launches == 1


@pytest.mark.slow
@pytest.mark.parametrize("dtypes", TRIPLES, ids="-".join)
def test_the_kernel_is_judged_bit_exact(dtypes: Triple, launcher: Launcher) -> None:
    """What a run does between steps is judged with the other kernels."""
    port = torch_ports.ports("cpu")[0]
    report = verify(
        replace(port, triples=(dtypes,), offers=frozenset(), restore=None), max_examples=1
    )
    assert report.verdict is Verdict.BIT_EXACT, str(report)
    assert launcher.launches


# Kernels that are wrong


def test_a_contracted_kernel_is_found(launcher: Launcher) -> None:
    launcher.options = {"enable_fp_fusion": True}
    assert differences(TRIPLES[0], launcher)


@pytest.mark.clause("C33")
def test_a_kernel_that_keeps_subnormals_is_found(launcher: Launcher) -> None:
    launcher.options = {"flush": False}
    assert flushed_differences(TRIPLES[0], launcher)


@pytest.mark.clause("C12")
def test_blocks_that_are_taken_for_the_first_are_found(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = triton_launch._blocks

    def wrong(device: torch.device, sizes: bytes) -> Any:
        size, owner, first = blocks(device, sizes)
        return size, owner, first * 0

    monkeypatch.setattr(triton_launch, "_blocks", wrong)
    assert differences(TRIPLES[0], launcher)
