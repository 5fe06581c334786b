"""fused=True on a CPU: how the kernel is built and kept, and that contraction would be seen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from lion_torch import Lion
from lion_torch.kernel import native
from tests.lion_torch.support import FIXED_CASES, compare_with_reference


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder without a kernel, for a process that has not loaded one."""
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    native.load.cache_clear()
    yield tmp_path
    native.load.cache_clear()


def fused(params: list[torch.nn.Parameter], **options: Any) -> Lion:
    return Lion(params, **options, fused=True)


@pytest.mark.clause("C5")
@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in native.INSTRUCTIONS,
    reason="the flags below ask for x86's FMA instructions",
)
def test_contraction_would_be_seen(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contracted = [flag for flag in native.FLAGS if "contract" not in flag]
    monkeypatch.setattr(native, "FLAGS", (*contracted, "-ffp-contract=fast", "-mfma"))
    assert any(compare_with_reference(fused, case) for case in FIXED_CASES)


def test_it_is_compiled_once(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native.load()
    path = native.library_path()
    assert path.is_relative_to(empty_cache)
    assert [x.name for x in path.parent.iterdir()] == [path.name]
    monkeypatch.setenv("CXX", "no-such-compiler")
    program = (
        "import torch; from lion_torch import Lion; p = torch.nn.Parameter(torch.ones(3));"
        "p.grad = torch.ones(3); Lion([p], lr=0.5, fused=True).step(); print(p.tolist())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[0.5, 0.5, 0.5]"


def test_other_flags_are_another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    path = native.library_path()
    monkeypatch.setattr(native, "FLAGS", (*native.FLAGS, "-g"))
    assert native.library_path() != path


@pytest.mark.clause("C14")
def test_a_failing_compiler_is_named_and_nothing_has_changed(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", f"{sys.executable} -c raise(SystemExit('old'))")
    param = torch.nn.Parameter(torch.ones(3))
    param.grad = torch.ones(3)
    optimizer = fused([param])
    with pytest.raises(RuntimeError, match=r"needs a C\+\+17 compiler .* failed: old; legal: set"):
        optimizer.step()
    assert torch.equal(param.detach(), torch.ones(3))
    assert param not in optimizer.state


@pytest.mark.clause("C14")
def test_a_missing_compiler(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(empty_cache))
    param = torch.nn.Parameter(torch.ones(3))
    param.grad = torch.ones(3)
    with pytest.raises(
        RuntimeError, match=r"needs a C\+\+ compiler, and there is none; legal: inst"
    ):
        fused([param]).step()
    assert torch.equal(param.detach(), torch.ones(3))


def test_autograd_sees_that_a_parameter_has_changed() -> None:
    param = torch.nn.Parameter(torch.ones(3))
    loss = (param * param).sum()
    param.grad = torch.ones(3)
    fused([param]).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
