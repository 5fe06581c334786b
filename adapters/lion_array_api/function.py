"""Lion as a function of arrays, which takes one step."""

from __future__ import annotations

from typing import Any

import numpy as np

from lion_array_api import native
from lion_array_api.checks import common_namespace, compute_name
from lion_array_api.kernel import update
from lion_array_api.rounding import stored
from lion_ref.checks import check_shapes
from lion_ref.hyperparameters import Hyperparameters, rounded_floats


def step(
    param: Any,
    momentum: Any,
    grad: Any,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
) -> tuple[Any, Any]:
    """One Lion step, with the bits of `lion_ref.step`, for arrays of any array-API namespace.

    Every operation below is one IEEE 754 operation in the compute dtype (float64 if param is
    float64, else float32), in this order; θ' and m' are each rounded once to their own dtype:

        u  = sign(β1·m + (1-β1)·g)      sign(±0) = +0, sign(NaN) = NaN
        θ' = θ - η·(u + λ·θ)
        m' = β2·m + (1-β2)·g

    Nothing is compiled and nothing is changed in place. NumPy's arrays in C order go through
    lion_cpu's kernel where there is one, with the same bits. On a Dask array the step is lazy. A
    traced JAX array is refused, since XLA contracts products and sums; use lion_jax under jit.
    PyTorch arrays that require gradients are differentiated through, unless under
    `torch.no_grad()`. Where a namespace flushes subnormals (JAX on a CPU; CuPy, those of float32),
    so does the step: `declared_semantics` says so.

    Args:
        param: θ, of any shape; float16, bfloat16, float32 or float64, as far as there are such.
        momentum: m, of θ's shape and namespace; float64 only if θ is.
        grad: g, likewise.
        lr: η, finite and >= 0; a Python or NumPy number, as are the others.
        beta1: β1, for the sign; in [0, 1).
        beta2: β2, for the momentum; in [0, 1).
        weight_decay: λ, finite and >= 0.

    Returns:
        New arrays θ' and m': θ's and m's namespace, dtype, shape and device.

    Raises:
        TypeError: no arrays of one namespace, a dtype that is not legal, a traced array, or a
            scalar that is no real number.
        ValueError: a scalar out of range, or shapes that differ.

    Source: Chen et al., "Symbolic Discovery of Optimization Algorithms", arXiv 2302.06675.

    >>> import numpy as np
    >>> theta, m, g = np.ones(1), np.zeros(1), np.full(1, 0.5)
    >>> step(theta, m, g, lr=0.25, weight_decay=0.5)
    (array([0.625]), array([0.005]))
    """
    values = Hyperparameters.checked(lr=lr, beta1=beta1, beta2=beta2, weight_decay=weight_decay)
    arrays = {"param": param, "momentum": momentum, "grad": grad}
    xp = common_namespace(arrays)
    compute = compute_name(arrays)
    check_shapes(param.shape, momentum=momentum.shape, grad=grad.shape)
    scalars = rounded_floats(values, compute)
    if native.takes(arrays.values()):
        return native.step(param, momentum, grad, scalars)
    # Overflow and NaN are results here, not accidents; other namespaces do not warn.
    with np.errstate(all="ignore"):
        theta, m, g = (
            xp.astype(array, getattr(xp, compute), copy=False) for array in arrays.values()
        )
        new_param, new_momentum = update(xp, theta, m, g, scalars)
        return (
            # NumPy makes scalars of 0-d results.
            xp.asarray(stored(xp, new_param, param.dtype)),
            xp.asarray(stored(xp, new_momentum, momentum.dtype)),
        )
