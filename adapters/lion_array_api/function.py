"""Lion as a function of arrays, which takes one step."""

from __future__ import annotations

from typing import Any

import numpy as np

from lion_array_api import native
from lion_array_api.checks import check_kept, common_namespace, compute_name, dtype_name
from lion_array_api.kernel import Native, flushing, update
from lion_array_api.rounding import stored
from lion_ref.checks import check_shapes
from lion_ref.hyperparameters import Hyperparameters, rounded_floats
from lion_ref.subnormals import SubnormalsChoice, check_subnormals


def step(
    param: Any,
    momentum: Any,
    grad: Any,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
    subnormals: SubnormalsChoice = "native",
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
    so does the step, unless `subnormals` asks for another rule: `declared_semantics` says so.

    Args:
        param: θ, of any shape; float16, bfloat16, float32 or float64, as far as there are such.
        momentum: m, of θ's shape and namespace; float64 only if θ is.
        grad: g, likewise.
        lr: η, finite and >= 0; a Python or NumPy number, as are the others.
        beta1: β1, for the sign; in [0, 1).
        beta2: β2, for the momentum; in [0, 1).
        weight_decay: λ, finite and >= 0.
        subnormals: "native", the namespace's own rule, which is the fastest; "flush", the same bits
            in every namespace and adapter, those of SPEC C18's flush; or "keep", canonical.

    Returns:
        New arrays θ' and m': θ's and m's namespace, dtype, shape and device.

    Raises:
        TypeError: no arrays of one namespace, a dtype that is not legal, a traced array, or a
            scalar that is no real number.
        ValueError: a scalar out of range, shapes that differ, `subnormals` that is none of the
            three, or "keep" in a namespace that flushes.
        FloatingPointError: "keep" in a thread that flushes or does not round to nearest (SPEC C15).

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
    flush = check_subnormals(subnormals) == "flush"
    scalars = rounded_floats(values, compute, "flush" if flush else "keep")
    if native.takes(arrays.values()):
        return native.step(param, momentum, grad, scalars, flush=flush)
    if subnormals == "keep":
        check_kept(arrays, compute)
    differentiated = any(getattr(array, "requires_grad", False) for array in arrays.values())
    operations = flushing(xp, compute, differentiated=differentiated) if flush else Native()
    # Overflow and NaN are results here, not accidents; other namespaces do not warn.
    with np.errstate(all="ignore"):
        theta, m, g = (
            operations.operand(
                xp.astype(array, getattr(xp, compute), copy=False), dtype_name(array.dtype)
            )
            for array in arrays.values()
        )
        results = update(xp, operations, theta, m, g, scalars)
        new_param, new_momentum = (
            # NumPy makes scalars of 0-d results.
            xp.asarray(
                stored(xp, operations.storable(result, dtype_name(array.dtype)), array.dtype)
            )
            for result, array in zip(results, (param, momentum), strict=True)
        )
        return new_param, new_momentum
