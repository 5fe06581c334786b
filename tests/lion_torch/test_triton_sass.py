"""What ptxas makes of the kernel's PTX: the GPU's own instructions contract and flush nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("triton", reason="pip install triton")

from triton.backends.compiler import GPUTarget

from lion_conformance.ptx import sass
from tests.lion_torch.triton_ahead import NVIDIA, TRIPLES, code

pytestmark = pytest.mark.skipif(
    sass.disassembler() is None, reason="this Triton brings no nvdisasm"
)


def assembled(
    folder: Path, target: str, dtypes: tuple[str, str, str], **options: Any
) -> sass.Kernel:
    cubin = folder / "kernel.cubin"
    content: Any = code(GPUTarget("cuda", NVIDIA[target], 32), "cubin", dtypes, **options)
    cubin.write_bytes(content)
    (kernel,) = sass.read(cubin).of("lion_kernel")
    assert kernel.target.startswith(target)
    return kernel


@pytest.mark.clause("C5", "C6")
@pytest.mark.parametrize(
    ("target", "dtypes"), [("sm_80", TRIPLES[0]), *(("sm_90", x) for x in TRIPLES)]
)
def test_ptxas_neither_contracts_nor_flushes(
    tmp_path: Path, target: str, dtypes: tuple[str, str, str]
) -> None:
    kernel = assembled(tmp_path, target, dtypes)
    first, *more = kernel.lines()
    assert first.endswith("nothing contracted, nothing flushed")
    assert not more


@pytest.mark.clause("C5", "C33")
@pytest.mark.parametrize("dtypes", [TRIPLES[2], TRIPLES[4]], ids="-".join)
def test_ptxas_contracts_nothing_where_it_flushes(
    tmp_path: Path, dtypes: tuple[str, str, str]
) -> None:
    kernel = assembled(tmp_path, "sm_90", dtypes, flush=True)
    assert len(kernel.lines()) == 1


@pytest.mark.clause("C5")
@pytest.mark.parametrize(("dtypes", "name"), [(TRIPLES[0], "FFMA"), (TRIPLES[4], "DFMA")])
def test_a_contracted_kernel_is_seen(
    tmp_path: Path, dtypes: tuple[str, str, str], name: str
) -> None:
    kernel = assembled(tmp_path, "sm_80", dtypes, enable_fp_fusion=True)
    assert {x.name for x in kernel.fused()} == {name}
    (line,) = kernel.beyond(["mul.rn.f32", "add.rn.f32"])
    assert f" {name}: contracted, where the PTX rounds twice" in line
