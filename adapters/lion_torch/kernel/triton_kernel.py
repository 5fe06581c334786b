"""The Triton kernel: one launch steps every block of many tensors, in place.

Kept apart from the code that launches it, so that it can be compiled and read without a GPU.
With FLUSH its operations are those of lion_ref.flushed, of which Triton cannot compile a class.
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
def _zeroed(x, compared, dtype: tl.constexpr, factor: tl.constexpr):
    """x, or a zero of its sign where |compared| is below the dtype's smallest normal number."""
    smallest: tl.constexpr = 2.0**-1022 if dtype == tl.float64 else 2.0**-126
    limit = tl.full([], smallest * factor, compared.dtype)
    return tl.where(tl.abs(compared) < limit, x * 0.0, x)


@triton.jit
def _loaded(pointers, mask, compute: tl.constexpr, FLUSH: tl.constexpr):
    stored: tl.constexpr = pointers.dtype.element_ty
    x = tl.load(pointers, mask=mask).to(compute)
    if FLUSH and stored != tl.float16:
        x = _zeroed(x, x, stored, 1.0)
    return x


@triton.jit
def _product(scalar, x, FLUSH: tl.constexpr):
    product = scalar * x
    if FLUSH:
        # Rounded as with unbounded exponent range.
        scaled = (scalar * 2.0**64) * x
        product = _zeroed(product, scaled, x.dtype, 2.0**64)
    return product


@triton.jit
def _exact_if_tiny(total, FLUSH: tl.constexpr):
    """A sum or difference."""
    if FLUSH:
        total = _zeroed(total, total, total.dtype, 1.0)
    return total


@triton.jit
def _store(pointers, x, mask, FLUSH: tl.constexpr):
    stored: tl.constexpr = pointers.dtype.element_ty
    if FLUSH and x.dtype == tl.float64 and stored == tl.float32:
        # Nothing from half of the last place below the smallest normal number on is tiny.
        x = _zeroed(x, x, stored, 1 - 2.0**-25)
    tl.store(pointers, x.to(stored), mask=mask)


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
    FLUSH: tl.constexpr,
):
    """The update of one block; every line is one rounding (SPEC C5)."""
    compute: tl.constexpr = lr.dtype
    theta = _loaded(theta_pointers, mask, compute, FLUSH)
    m = _loaded(m_pointers, mask, compute, FLUSH)
    g = _loaded(g_pointers, mask, compute, FLUSH)
    a = _product(beta1, m, FLUSH)
    b = _product(one_minus_beta1, g, FLUSH)
    c = _exact_if_tiny(a + b, FLUSH)
    one = tl.full(c.shape, 1.0, compute)
    # NaN compares with nothing, and stays what it is.
    u = tl.where(c > 0, one, tl.where(c < 0, -one, tl.where(c == 0, one - one, c)))
    d = _product(weight_decay, theta, FLUSH)
    s = _exact_if_tiny(u + d, FLUSH)
    e = _product(lr, s, FLUSH)
    new_theta = _exact_if_tiny(theta - e, FLUSH)
    x = _product(beta2, m, FLUSH)
    y = _product(one_minus_beta2, g, FLUSH)
    new_m = _exact_if_tiny(x + y, FLUSH)
    _store(theta_pointers, new_theta, mask, FLUSH)
    _store(m_pointers, new_m, mask, FLUSH)


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
    FLUSH: tl.constexpr,
):
    """One program steps one block of one of `count` tensors.

    addresses: int64, 3 rows of `count`: where each θ, m and g begins. sizes: int64, their elements.
    tensor_of_block, first_block_of_tensor: int32, which tensor a program works on, and which
    program was that tensor's first. The scalars have the compute dtype's values already, so that
    converting them is exact; lr_tensor and weight_decay_tensor take their place if given. Nothing
    is written if skip is given and not zero. ALIGNED: every address is a multiple of 16.
    FLUSH: subnormals are flushed (SPEC C33); the scalars have been.
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
        _update(theta_pointers, m_pointers, g_pointers, None, b1, w1, b2, w2, rate, decay, FLUSH)
    else:
        mask = offsets < size
        _update(theta_pointers, m_pointers, g_pointers, mask, b1, w1, b2, w2, rate, decay, FLUSH)
