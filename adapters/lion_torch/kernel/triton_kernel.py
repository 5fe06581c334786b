"""The Triton kernel: one launch steps every block of many tensors, in place.

Kept apart from the code that launches it, so that it can be compiled and read without a GPU.
"""

# Not Python but Triton, which reads annotations as its own types, and which decides an `if` about a
# None before it compiles what is inside.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# ruff: noqa: SIM102, SIM108

import triton
import triton.language as tl

BLOCK = 4096
"""Elements for one program: with 8 warps, 16 for each thread of each array."""

WARPS = 8

# Without it the compiler contracts products and sums into fused multiply-adds (SPEC C5). It is an
# option of each call, as the default has differed between versions of Triton.
OPTIONS = {"enable_fp_fusion": False, "num_warps": WARPS}


@triton.jit
def _update(
    theta_pointers,
    m_pointers,
    g_pointers,
    mask,
    beta1,
    one_minus_beta1,
    beta2,
    one_minus_beta2,
    lr,
    weight_decay,
):
    """The update of one block; every line is one rounding (SPEC C5)."""
    compute = lr.dtype
    theta = tl.load(theta_pointers, mask=mask).to(compute)
    m = tl.load(m_pointers, mask=mask).to(compute)
    g = tl.load(g_pointers, mask=mask).to(compute)
    a = beta1 * m
    b = one_minus_beta1 * g
    c = a + b
    one = tl.full(c.shape, 1.0, compute)
    # NaN compares with nothing, and stays what it is.
    u = tl.where(c > 0, one, tl.where(c < 0, -one, tl.where(c == 0, one - one, c)))
    d = weight_decay * theta
    s = u + d
    e = lr * s
    new_theta = theta - e
    x = beta2 * m
    y = one_minus_beta2 * g
    new_m = x + y
    tl.store(theta_pointers, new_theta.to(theta_pointers.dtype.element_ty), mask=mask)
    tl.store(m_pointers, new_m.to(m_pointers.dtype.element_ty), mask=mask)


@triton.jit
def lion_kernel(
    addresses,
    count,
    sizes,
    tensor_of_block,
    first_block_of_tensor,
    beta1: tl.float64,
    one_minus_beta1: tl.float64,
    beta2: tl.float64,
    one_minus_beta2: tl.float64,
    lr: tl.float64,
    weight_decay: tl.float64,
    lr_tensor,
    weight_decay_tensor,
    skip,
    THETA: tl.constexpr,
    M: tl.constexpr,
    G: tl.constexpr,
    COMPUTE: tl.constexpr,
    ALIGNED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One program steps one block of one of `count` tensors.

    addresses: int64, 3 rows of `count`: where each θ, m and g begins. sizes: int64, their elements.
    tensor_of_block, first_block_of_tensor: int32, which tensor a program works on, and which
    program was that tensor's first. The scalars have the compute dtype's values already, so that
    converting them is exact; lr_tensor and weight_decay_tensor take their place if given. Nothing
    is written if skip is given and not zero. ALIGNED: every address is a multiple of 16.
    """
    if skip is not None:
        if tl.load(skip) != 0:
            return
    program = tl.program_id(0)
    index = tl.load(tensor_of_block + program)
    block = (program - tl.load(first_block_of_tensor + index)).to(tl.int64)
    size = tl.load(sizes + index)
    theta_start = tl.load(addresses + index).to(tl.pointer_type(THETA))
    m_start = tl.load(addresses + count + index).to(tl.pointer_type(M))
    g_start = tl.load(addresses + 2 * count + index).to(tl.pointer_type(G))
    if ALIGNED:
        theta_start = tl.multiple_of(theta_start, 16)
        m_start = tl.multiple_of(m_start, 16)
        g_start = tl.multiple_of(g_start, 16)
    start = block * BLOCK
    offsets = start + tl.arange(0, BLOCK)
    theta_pointers = theta_start + offsets
    m_pointers = m_start + offsets
    g_pointers = g_start + offsets
    if lr_tensor is not None:
        rate = tl.load(lr_tensor).to(COMPUTE)
    else:
        rate = tl.full([], lr, COMPUTE)
    if weight_decay_tensor is not None:
        decay = tl.load(weight_decay_tensor).to(COMPUTE)
    else:
        decay = tl.full([], weight_decay, COMPUTE)
    b1, w1 = tl.full([], beta1, COMPUTE), tl.full([], one_minus_beta1, COMPUTE)
    b2, w2 = tl.full([], beta2, COMPUTE), tl.full([], one_minus_beta2, COMPUTE)
    # A mask would keep the compiler from reading several elements at once: only the last block of a
    # tensor has one.
    if start + BLOCK <= size:
        _update(theta_pointers, m_pointers, g_pointers, None, b1, w1, b2, w2, rate, decay)
    else:
        mask = offsets < size
        _update(theta_pointers, m_pointers, g_pointers, mask, b1, w1, b2, w2, rate, decay)
