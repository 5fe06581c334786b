"""Kernels for GPUs on every pair: 1/4096 of them here, and no GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("triton", reason="pip install triton")

from lion_conformance.exhaustive import files
from lion_conformance.exhaustive.certificate import Certificate
from lion_conformance.exhaustive.question import DTYPES
from tests.lion_conformance.exhaustive.commands import SLICE, run
from tests.lion_conformance.exhaustive.triton_lion import written

pytestmark = pytest.mark.clause("C5", "C9")


def words(dtype: str, out: Path) -> tuple[object, ...]:
    return ("--dtype", dtype, "--slice", SLICE, "--jobs", 1, "--out", out)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_kernel_comes_to_the_hash_of_the_reference(dtype: str, tmp_path: Path) -> None:
    assert run("exhaustive", "lion_ref:step", *words(dtype, tmp_path / "expected.json")) == 0
    out = tmp_path / "found.json"
    assert run("exhaustive", "--kernel", written(tmp_path, dtype), *words(dtype, out)) == 0
    assert files.load(out).hash == files.load(tmp_path / "expected.json").hash


def test_a_kernel_whose_products_are_fused_is_rejected(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    kernel = written(tmp_path, "bfloat16", enable_fp_fusion=True)
    assert run("exhaustive", "--kernel", kernel, *words("bfloat16", out)) == 1
    assert files.load(out).differing.pairs > 0


def test_the_triton_kernel_of_lion_torch_comes_to_it_too(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    found: list[Certificate] = []
    for port in ("lion_ref:step", "tests.lion_torch.ptx_port:sm_90"):
        out = tmp_path / f"{len(found)}.json"
        assert run("exhaustive", port, *words("bfloat16", out)) == 0
        found.append(files.load(out))
    assert found[0].hash == found[1].hash
    assert found[1].port.device == "sm_90"
