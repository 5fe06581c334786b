"""The kernel's machine code, read without a GPU: no contraction, no flushing, wide accesses."""

from __future__ import annotations

import re
from typing import Any

import pytest

triton = pytest.importorskip("triton", reason="pip install triton")

import triton.language as tl  # noqa: E402
from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from lion_torch.kernel.triton_kernel import BLOCK, OPTIONS, lion_kernel  # noqa: E402

TYPES = {
    "float32": tl.float32,
    "bfloat16": tl.bfloat16,
    "float16": tl.float16,
    "float64": tl.float64,
}
NVIDIA = {"sm_80": 80, "sm_90": 90}
SIGNATURE = {
    "addresses": "*i64",
    "count": "i32",
    "sizes": "*i64",
    "tensor_of_block": "*i32",
    "first_block_of_tensor": "*i32",
    "beta1": "fp64",
    "one_minus_beta1": "fp64",
    "beta2": "fp64",
    "one_minus_beta2": "fp64",
    "lr": "fp64",
    "weight_decay": "fp64",
    "lr_tensor": "constexpr",
    "weight_decay_tensor": "constexpr",
    "skip": "constexpr",
    **dict.fromkeys(("THETA", "M", "G", "COMPUTE", "ALIGNED", "BLOCK", "FLUSH"), "constexpr"),
}


def code(
    target: Any,
    kind: str,
    dtypes: tuple[str, str, str] = ("float32",) * 3,
    *,
    on_device: bool = False,
    aligned: bool = True,
    flush: bool = False,
    **options: Any,
) -> str:
    """The assembly of the kernel for a target that need not be there."""
    compute = tl.float64 if dtypes[0] == "float64" else tl.float32
    constants: dict[str, Any] = dict(
        zip(("THETA", "M", "G"), (TYPES[x] for x in dtypes), strict=True),
        COMPUTE=compute,
        ALIGNED=aligned,
        BLOCK=BLOCK,
        FLUSH=flush,
    )
    signature = dict(SIGNATURE)
    for name in ("lr_tensor", "weight_decay_tensor", "skip"):
        if on_device:
            signature[name] = "*fp32" if name == "skip" or compute == tl.float32 else "*fp64"
        else:
            constants[name] = None
    source = ASTSource(lion_kernel, signature, constants)
    text: str = triton.compile(source, target=target, options={**OPTIONS, **options}).asm[kind]
    return text


def ptx(target: str, dtypes: tuple[str, str, str] = ("float32",) * 3, **options: Any) -> str:
    return code(GPUTarget("cuda", NVIDIA[target], 32), "ptx", dtypes, **options)


def gcn(dtypes: tuple[str, str, str] = ("float32",) * 3, **options: Any) -> str:
    return code(GPUTarget("hip", "gfx942", 64), "amdgcn", dtypes, **options)


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


def operations(text: str, name: str, kind: str) -> list[str]:
    """What stands between the name and the type of each such instruction: how it rounds."""
    return re.findall(rf"\b{name}([.\w]*)\.{kind}\b", text)


TRIPLES = [
    ("float32", "float32", "float32"),
    ("bfloat16", "bfloat16", "bfloat16"),
    ("bfloat16", "float32", "bfloat16"),
    ("float16", "float32", "float16"),
    ("float64", "float64", "float64"),
]
ids = ["-".join(x) for x in TRIPLES]


@pytest.mark.clause("C5", "C6")
@pytest.mark.parametrize("on_device", [False, True], ids=["numbers", "tensors"])
@pytest.mark.parametrize("dtypes", TRIPLES, ids=ids)
@pytest.mark.parametrize("target", NVIDIA)
def test_nvidia_neither_contracts_nor_flushes(
    target: str, dtypes: tuple[str, str, str], on_device: bool
) -> None:
    text = ptx(target, dtypes, on_device=on_device)
    assert not contracted(text)
    assert ".ftz" not in text
    kind = "f64" if dtypes[0] == "float64" else "f32"
    # Six products, five sums and differences an element, each rounded to nearest: PTX contracts
    # on its own what carries no .rn.
    products = operations(text, "mul", kind)
    sums = operations(text, "(?:add|sub)", kind)
    assert set(products) == {".rn"}
    assert set(sums) == {".rn"}
    assert len(products) * 4 == len(sums) * 6


@pytest.mark.clause("C5", "C33")
@pytest.mark.parametrize("dtypes", [*TRIPLES, ("float64", "float32", "float32")], ids="-".join)
@pytest.mark.parametrize("target", NVIDIA)
def test_nvidia_contracts_nothing_where_it_flushes(
    target: str, dtypes: tuple[str, str, str]
) -> None:
    """The kernel flushes by operations that round as ever, never by the processor's own rule."""
    text, native = ptx(target, dtypes, flush=True), ptx(target, dtypes)
    assert not contracted(text)
    assert ".ftz" not in text
    kind = "f64" if dtypes[0] == "float64" else "f32"
    for name in ("add", "sub"):
        assert operations(text, name, kind) == operations(native, name, kind)
    assert set(operations(text, "mul", kind)) == {".rn"}
    # Each product once more, scaled; a zero of its sign for it, for each sum, operand and store
    # that may be tiny. Beside the elements', the scalars' own are few.
    elements = len(operations(native, "mul", kind)) // 6
    operands = sum(x != "float16" for x in dtypes)
    stores = dtypes[:2] == ("float64", "float32")
    assert len(operations(text, "mul", kind)) // elements == 6 + 6 + 6 + 4 + operands + stores


@pytest.mark.clause("C5")
@pytest.mark.parametrize("target", NVIDIA)
def test_nvidia_would_contract(target: str) -> None:
    """The check above can fail."""
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
@pytest.mark.parametrize("dtypes", TRIPLES[:4], ids=ids[:4])
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
