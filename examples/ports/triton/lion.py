"""Lion in Triton, compiled to PTX and judged without a GPU: Triton's compiler needs none.

lion-conformance verify lion:port
"""

# Not Python but Triton, which reads annotations as its own types.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

import lion_conformance

BLOCK = 1024


@triton.jit
def lion(
    param,
    momentum,
    grad,
    size,
    lr,
    beta1,
    one_minus_beta1,
    beta2,
    one_minus_beta2,
    weight_decay,
    BLOCK: tl.constexpr,
):
    """One program steps one block, in place; every line is one rounding, or two."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < size
    p = tl.load(param + i, mask=inside).to(tl.float32)
    m = tl.load(momentum + i, mask=inside).to(tl.float32)
    g = tl.load(grad + i, mask=inside).to(tl.float32)
    c = beta1 * m + one_minus_beta1 * g
    # NaN compares with nothing, and stays what it is.
    u = tl.where(c > 0, 1.0, tl.where(c < 0, -1.0, tl.where(c == 0, 0.0, c)))
    s = u + weight_decay * p
    tl.store(param + i, p - lr * s, mask=inside)
    tl.store(momentum + i, beta2 * m + one_minus_beta2 * g, mask=inside)


*ARGUMENTS, _ = lion.arg_names


def ptx(kernel: Any = lion, capability: int = 80, array: str = "*fp32", **options: Any) -> str:
    """What Triton makes of the kernel for NVIDIA GPUs of a compute capability: 80 is 8.0.

    array: what θ, m and g are of, in Triton's words. enable_fp_fusion: Triton otherwise rounds a
    product and a sum as one.
    """
    types = [array] * 3 + ["i32"] + ["fp32"] * 6  # as a launch with Python numbers has them
    signature = dict(zip(ARGUMENTS, types, strict=True)) | {"BLOCK": "constexpr"}
    compiled = triton.compile(
        ASTSource(kernel, signature, {"BLOCK": BLOCK}),
        target=GPUTarget("cuda", capability, 32),
        options={"enable_fp_fusion": False, **options},
    )
    text: str = compiled.asm["ptx"]
    return text


# Two pointers that Triton adds behind the arguments are left out: this kernel does not use them.
port = lion_conformance.ptx_port(
    ptx(), arguments=ARGUMENTS, elements_per_program=BLOCK, name="lion.py"
)
