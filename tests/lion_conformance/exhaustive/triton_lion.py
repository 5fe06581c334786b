"""Lion in Triton on arrays of 16 bits, compiled to PTX; which needs no GPU."""

# Triton reads annotations as its own types.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

TYPES = {"bfloat16": "*bf16", "float16": "*fp16"}
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
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < size
    p = tl.load(param + i, mask=inside).to(tl.float32)
    m = tl.load(momentum + i, mask=inside).to(tl.float32)
    g = tl.load(grad + i, mask=inside).to(tl.float32)
    c = beta1 * m + one_minus_beta1 * g
    u = tl.where(c > 0, 1.0, tl.where(c < 0, -1.0, tl.where(c == 0, 0.0, c)))
    s = u + weight_decay * p
    tl.store(param + i, p - lr * s, mask=inside)
    tl.store(momentum + i, beta2 * m + one_minus_beta2 * g, mask=inside)


def written(folder: Path, dtype: str, **options: Any) -> Path:
    """The kernel's PTX in a folder, and beside it the file that says how it is launched."""
    *arguments, _ = lion.arg_names
    types = [TYPES[dtype]] * 3 + ["i32"] + ["fp32"] * 6
    signature = dict(zip(arguments, types, strict=True)) | {"BLOCK": "constexpr"}
    compiled = triton.compile(
        ASTSource(lion, signature, {"BLOCK": BLOCK}),
        target=GPUTarget("cuda", 80, 32),
        options={"enable_fp_fusion": False, **options},
    )
    (folder / "lion.ptx").write_text(compiled.asm["ptx"], encoding="utf-8")
    lines = {
        "source": "lion.ptx",
        "arguments": [*arguments, 0, 0],
        "elements_per_program": BLOCK,
        "dtypes": [[dtype] * 3],
    }
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items())
    (folder / "kernel.toml").write_text(text, encoding="utf-8")
    return folder / "kernel.toml"
