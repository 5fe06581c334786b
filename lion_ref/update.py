"""The canonical update: the clauses of SPEC Part I, one rounding a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lion_ref.arithmetic import Array, require_default_environment, round_to
from lion_ref.checks import as_array, check_shapes
from lion_ref.dialects import dialect
from lion_ref.dtypes import check_dtypes
from lion_ref.hyperparameters import Hyperparameters, Scalars, round_scalars
from lion_ref.semantics import CANONICAL, Semantics

Update = Callable[[Array, Array, Array], tuple[Array, Array]]

BLOCK = 65_536
"""Elements in one pass: the temporaries stay in the cache, and are all the extra memory there is.

At most 24 arrays of a block's size and of 8 bytes an element live at once: 12 MiB, whatever the
size of the parameter.
"""


def step(
    param: ArrayLike,
    momentum: ArrayLike,
    grad: ArrayLike,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
    semantics: Semantics = CANONICAL,
) -> tuple[Array, Array]:
    """One step of Lion, bit for bit as SPEC.md defines it.

        u  = sign(β1·m + (1-β1)·g)
        θ' = θ - η·(u + λ·θ)
        m' = β2·m + (1-β2)·g

    Rounding order (SPEC C5): a = β1⊗m, b = (1-β1)⊗g, c = a⊕b, u = sign(c); d = λ⊗θ, s = u⊕d,
    e = η⊗s, θ' = θ⊖e; x = β2⊗m, y = (1-β2)⊗g, m' = x⊕y, each one IEEE 754 operation in float64 if
    θ is float64, else in float32; 1-β is formed in binary64; θ' and m' are rounded once more, to
    their storage dtypes.

    Args:
        param: θ, of any shape; float16, bfloat16, float32 or float64, in either byte order.
        momentum: m, of θ's shape; any of these dtypes that is not wider than the compute dtype.
        grad: g, likewise.
        lr: η, finite and >= 0.
        beta1: β1 in [0, 1).
        beta2: β2 in [0, 1).
        weight_decay: λ, finite and >= 0; decoupled, and scaled by η.
        semantics: another port's choices, to get that port's bits (SPEC C16); canonical if omitted.

    Returns:
        (θ', m'): new C-ordered arrays with the dtypes of param and momentum. The inputs are read.

    Raises:
        TypeError: a dtype that is not legal, a scalar that is no real number.
        ValueError: shapes that differ, a scalar outside its range.
        FloatingPointError: this thread flushes subnormals or does not round to nearest.

    Source: Chen et al., "Symbolic Discovery of Optimization Algorithms", arXiv 2302.06675.

    >>> theta, m, g = np.float32([[1.0, 2.0], [0.0, 0.5], [-3.0, -0.5]])
    >>> step(theta, m, g, lr=0.5, weight_decay=0.25)
    (array([1.375, 1.25 ], dtype=float32), array([-0.03,  0.49], dtype=float32))
    """
    theta, m, g = (
        as_array(name, value)
        for name, value in (("param", param), ("momentum", momentum), ("grad", grad))
    )
    compute = check_dtypes(theta.dtype, m.dtype, g.dtype)
    check_shapes(theta.shape, momentum=m.shape, grad=g.shape)
    values = Hyperparameters.checked(lr=lr, beta1=beta1, beta2=beta2, weight_decay=weight_decay)
    scalars = round_scalars(values, compute)
    if not isinstance(semantics, Semantics):
        raise TypeError(f"semantics={semantics!r} is not legal; legal: a lion_ref.Semantics")
    require_default_environment()
    if semantics == CANONICAL:
        return _in_blocks(_canonical(scalars, compute), theta, m, g)
    return _in_blocks(dialect(semantics, values, compute, theta.dtype, m.dtype), theta, m, g)


class Operations(NamedTuple):
    """Each result of SPEC C5 in the compute dtype, θ' and m' before they are stored."""

    a: Array
    b: Array
    c: Array
    u: Array
    d: Array
    s: Array
    e: Array
    new_param: Array
    x: Array
    y: Array
    new_momentum: Array


def operations(
    param: Array,
    momentum: Array,
    grad: Array,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
) -> Operations:
    """One canonical step of a few elements, operation by operation: to look at, not to train with.

    >>> theta, m, g = np.float32([[1.0], [0.0], [-3.0]])
    >>> found = operations(theta, m, g, lr=0.5, beta1=0.9, beta2=0.99, weight_decay=0.25)
    >>> found.u, found.s, found.new_param
    (array([-1.], dtype=float32), array([-0.75], dtype=float32), array([1.375], dtype=float32))
    """
    compute = check_dtypes(param.dtype, momentum.dtype, grad.dtype)
    values = Hyperparameters.checked(lr=lr, beta1=beta1, beta2=beta2, weight_decay=weight_decay)
    require_default_environment()
    with np.errstate(all="ignore"):
        return _operations(round_scalars(values, compute), compute, param, momentum, grad)


def _canonical(scalars: Scalars, compute: np.dtype[Any]) -> Update:
    def update(theta: Array, m: Array, g: Array) -> tuple[Array, Array]:
        found = _operations(scalars, compute, theta, m, g)
        return found.new_param, found.new_momentum

    return update


def _operations(
    scalars: Scalars, compute: np.dtype[Any], theta: Array, m: Array, g: Array
) -> Operations:
    theta, m, g = (np.asarray(x, dtype=compute) for x in (theta, m, g))  # exact
    a = scalars.beta1 * m
    b = scalars.one_minus_beta1 * g
    c = a + b
    u = np.sign(c)
    d = scalars.weight_decay * theta
    s = u + d
    e = scalars.lr * s
    new_theta = theta - e
    x = scalars.beta2 * m
    y = scalars.one_minus_beta2 * g
    new_m = x + y
    return Operations(a, b, c, u, d, s, e, new_theta, x, y, new_m)


def _in_blocks(update: Update, theta: Array, m: Array, g: Array) -> tuple[Array, Array]:
    """Apply update to flat blocks in native byte order; store each result once (SPEC C9, C12)."""
    new_theta, new_m = np.empty(theta.shape, theta.dtype), np.empty(m.shape, m.dtype)
    theta_out, m_out = new_theta.reshape(-1), new_m.reshape(-1)
    sources = [(_flat(x), x.dtype.newbyteorder("=")) for x in (theta, m, g)]
    with np.errstate(all="ignore"):  # infinities and NaNs follow IEEE rules; they are no errors
        for start in range(0, theta.size, BLOCK):
            block = slice(start, start + BLOCK)
            native = [np.asarray(x[block], dtype=dtype) for x, dtype in sources]
            theta_block, m_block = update(*native)
            theta_out[block] = round_to(theta_block, native[0].dtype)
            m_out[block] = round_to(m_block, native[1].dtype)
    return new_theta, new_m


def _flat(array: Array) -> Any:
    """Something whose slices are flat blocks in C order: no copy of the whole for any stride."""
    return array.reshape(-1) if array.flags.c_contiguous else array.flat
