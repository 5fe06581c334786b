"""The kernel's machine code, read without a GPU: wide accesses; on AMD no contraction, no flushing.

What NVIDIA's code computes is run in test_triton_ptx.py.
"""

from __future__ import annotations

import re

import pytest

triton = pytest.importorskip("triton", reason="pip install triton")

from lion_torch.kernel.triton_kernel import lion_kernel  # noqa: E402
from tests.lion_torch.triton_ahead import NVIDIA, SIGNATURE, TRIPLES, gcn, ptx  # noqa: E402


@pytest.mark.clause("C4")
def test_scalars_are_passed_in_double_precision() -> None:
    """A Python number would be passed in float32: too little for float64 parameters."""
    types = {x.name: x.annotation_type for x in lion_kernel.params}
    assert {name for name, kind in types.items() if kind == "fp64"} == {
        name for name, kind in SIGNATURE.items() if kind == "fp64"
    }


def contracted(text: str) -> list[str]:
    """Instructions of NVIDIA's that round a product and a sum as one."""
    return re.findall(r"\b(?:fma|mad)\.(?:rn\.)?(?:ftz\.)?[bf]", text)


@pytest.mark.clause("C5")
@pytest.mark.parametrize("target", NVIDIA)
def test_nvidia_would_contract(target: str) -> None:
    """What the kernel's bits are judged by can fail: test_triton_ptx.py."""
    assert len(contracted(ptx(target, enable_fp_fusion=True))) >= 32


@pytest.mark.parametrize("target", NVIDIA)
def test_nvidia_reads_and_writes_sixteen_bytes_at_once(target: str) -> None:
    """A program has 256 threads: each takes 16 elements of an array, 4 or 8 at once."""
    for dtype, each in (("float32", 4), ("bfloat16", 2)):
        text = ptx(target, (dtype, dtype, dtype))
        assert len(re.findall(r"(?<!@)\bld\.global\.v4\.b32", text)) == 3 * each
        assert len(re.findall(r"\bst\.global\.v4\.b32", text)) == 2 * each


@pytest.mark.parametrize("target", NVIDIA)
def test_nvidia_takes_unaligned_tensors_one_element_at_a_time(target: str) -> None:
    assert ".v4." not in ptx(target, aligned=False)


def fused(text: str) -> list[str]:
    """Instructions that round a product and a sum as one.

    v_fma_mix_f32 also widens float16 operands; x·y + -0 and x·1 + y are one operation each.
    """
    found = re.findall(r"\bv_\w*(?:fma|mad|mac)\w*_f(?:32|64)\w*[^\n]*", text)
    single = r"v_fma_mix_f32 \w+, -?\w+, (?:1\.0, -?\w+|-?\w+, neg\(0\))(?: |$)"
    return [line for line in found if not re.match(single, line)]


@pytest.mark.clause("C5", "C6", "C33")
@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("dtypes", TRIPLES[:4], ids="-".join)
def test_amd_neither_contracts_nor_flushes(dtypes: tuple[str, str, str], flush: bool) -> None:
    """Where the step flushes, it does so by operations, and never by the processor's own rule."""
    text = gcn(dtypes, flush=flush)
    assert not fused(text)
    assert re.findall(r"\bv_(?:pk_)?mul_f32", text)
    # 3: subnormals are kept in operands and in results.
    assert re.findall(r"\.amdhsa_float_denorm_mode_32 3", text)


@pytest.mark.clause("C5", "C6")
def test_amd_would_contract_and_flush() -> None:
    """The checks above can fail."""
    assert fused(gcn(enable_fp_fusion=True))
    assert fused(gcn(("float16", "float32", "float16"), enable_fp_fusion=True))
    assert not re.findall(r"\.amdhsa_float_denorm_mode_32 3", gcn(allow_flush_denorm=True))


def test_amd_reads_and_writes_sixteen_bytes_at_once() -> None:
    text = gcn()
    assert len(re.findall(r"\bglobal_load_dwordx4", text)) == 6
    assert len(re.findall(r"\bglobal_store_dwordx4", text)) == 4
