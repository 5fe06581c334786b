"""A Lion in Triton. Put your own in the place of `lion_kernel`, and its launch into `step`.

It takes float32. As a program it writes my_lion.ptx, what Triton's compiler makes of the kernel for
NVIDIA's GPUs: it needs none for that, and neither does the judge.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import lion_conformance
import numpy as np
import torch
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

Array = np.ndarray[Any, Any]

BLOCK = 1024
# Triton otherwise rounds a product and a sum as one.
OPTIONS = {"enable_fp_fusion": False}
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"


@triton.jit
def lion_kernel(theta_at, m_at, g_at, size, lr, decay, b1, w1, b2, w2, BLOCK: tl.constexpr):
    """One program steps one block, in place; every line is one rounding."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < size
    theta = tl.load(theta_at + i, mask=inside)
    m = tl.load(m_at + i, mask=inside)
    g = tl.load(g_at + i, mask=inside)
    a = b1 * m
    b = w1 * g
    c = a + b
    # NaN compares with nothing, and stays what it is.
    u = tl.where(c > 0, 1.0, tl.where(c < 0, -1.0, tl.where(c == 0, 0.0, c)))
    d = decay * theta
    s = u + d
    e = lr * s
    x = b2 * m
    y = w2 * g
    tl.store(theta_at + i, theta - e, mask=inside)
    tl.store(m_at + i, x + y, mask=inside)


def step(
    param: Array,
    momentum: Array,
    grad: Array,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
) -> tuple[Array, Array]:
    """One step of Lion: the new parameters and the new momentum, as new arrays."""
    theta, m, g = (
        torch.from_numpy(np.array(x, order="C")).to(DEVICE) for x in (param, momentum, grad)
    )
    # A Python number reaches the kernel in float32: each scalar is rounded once. 1 - beta is formed
    # in double precision before.
    scalars = (lr, weight_decay, beta1, 1 - beta1, beta2, 1 - beta2)
    if theta.numel():
        grid = (triton.cdiv(theta.numel(), BLOCK),)
        lion_kernel[grid](theta, m, g, theta.numel(), *scalars, BLOCK=BLOCK, **OPTIONS)
    return theta.cpu().numpy(), m.cpu().numpy()


def ptx() -> str:
    """The kernel compiled for compute capability 8.0, launched as in `step`."""
    kinds = ["*fp32"] * 3 + ["i32"] + ["fp32"] * 6 + ["constexpr"]
    signature = dict(zip(lion_kernel.arg_names, kinds, strict=True))
    source = ASTSource(lion_kernel, signature, {"BLOCK": BLOCK})
    target = GPUTarget("cuda", 80, 32)
    return str(triton.compile(source, target=target, options=OPTIONS).asm["ptx"])


port = replace(
    lion_conformance.from_callable(step, triples=(("float32", "float32", "float32"),)),
    device=DEVICE,
    unavailable=""
    if INTERPRETED or torch.cuda.is_available()
    else "no GPU; TRITON_INTERPRET=1 runs the kernel in Triton's interpreter",
)

if __name__ == "__main__":
    Path("my_lion.ptx").write_text(ptx())
