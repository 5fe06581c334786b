"""The Triton kernel compiled ahead, for a target that need not be there."""

from __future__ import annotations

from functools import cache
from typing import Any

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from lion_torch.kernel.triton_kernel import BLOCK, OPTIONS, lion_kernel

Triple = tuple[str, str, str]

TYPES = {
    "float32": tl.float32,
    "bfloat16": tl.bfloat16,
    "float16": tl.float16,
    "float64": tl.float64,
}
NVIDIA = {"sm_80": 80, "sm_90": 90}
TRIPLES: list[Triple] = [
    ("float32", "float32", "float32"),
    ("bfloat16", "bfloat16", "bfloat16"),
    ("bfloat16", "float32", "bfloat16"),
    ("float16", "float32", "float16"),
    ("float64", "float64", "float64"),
]
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
ON_DEVICE = ("lr_tensor", "weight_decay_tensor", "skip")


@cache
def code(
    target: Any,
    kind: str,
    dtypes: Triple = TRIPLES[0],
    *,
    on_device: tuple[str, ...] = (),
    aligned: bool = True,
    flush: bool = False,
    **options: Any,
) -> str:
    """The kernel's assembly; on_device: which of ON_DEVICE it takes there, as pointers."""
    compute = tl.float64 if dtypes[0] == "float64" else tl.float32
    constants: dict[str, Any] = dict(
        zip(("THETA", "M", "G"), (TYPES[x] for x in dtypes), strict=True),
        COMPUTE=compute,
        ALIGNED=aligned,
        BLOCK=BLOCK,
        FLUSH=flush,
    )
    signature = dict(SIGNATURE)
    for name in ON_DEVICE:
        if name in on_device:
            signature[name] = "*fp32" if name == "skip" or compute == tl.float32 else "*fp64"
        else:
            constants[name] = None
    source = ASTSource(lion_kernel, signature, constants)
    text: str = triton.compile(source, target=target, options={**OPTIONS, **options}).asm[kind]
    return text


def ptx(target: str, dtypes: Triple = TRIPLES[0], **options: Any) -> str:
    return code(GPUTarget("cuda", NVIDIA[target], 32), "ptx", dtypes, **options)


def gcn(dtypes: Triple = TRIPLES[0], **options: Any) -> str:
    return code(GPUTarget("hip", "gfx942", 64), "amdgcn", dtypes, **options)
