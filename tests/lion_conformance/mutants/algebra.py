"""Another formula: coefficients, complements, what goes into the sign, what is left out."""

from __future__ import annotations

from typing import Any

import numpy as np

import lion_ref
from lion_ref.arithmetic import round_to
from tests.lion_conformance.mutants.catalogue import mutant
from tests.lion_conformance.mutants.formula import lion

step = lion_ref.step


@mutant()
def betas_swapped(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """β2 in the sign, β1 in the momentum."""
    swapped = scalars | {"beta1": scalars["beta2"], "beta2": scalars["beta1"]}
    return step(param, momentum, grad, **swapped)


@mutant()
def new_momentum_in_the_sign(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The sign is formed from m', which was updated first."""
    _, new_momentum = step(param, momentum, grad, **scalars)
    return step(param, new_momentum, grad, **scalars)[0], new_momentum


@mutant()
def momentum_updated_twice(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The momentum takes the gradient in twice."""
    new_param, once = step(param, momentum, grad, **scalars)
    return new_param, step(param, once, grad, **scalars)[1]


@mutant()
def beta1_for_both(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """β1 in both interpolations."""
    return step(param, momentum, grad, **scalars | {"beta2": scalars["beta1"]})


@mutant()
def beta2_for_both(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """β2 in both interpolations."""
    return step(param, momentum, grad, **scalars | {"beta1": scalars["beta2"]})


@mutant()
def complement_missing(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """β·m + g in both places."""
    return lion(param, momentum, grad, form=lambda _: 1.0, **scalars)


@mutant()
def complement_missing_in_the_sign(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """β1·m + g in the sign, m' as it should be."""
    new_param, _ = lion(param, momentum, grad, form=lambda _: 1.0, **scalars)
    return new_param, step(param, momentum, grad, **scalars)[1]


@mutant()
def complements_swapped(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """1-β1 beside β2 and 1-β2 beside β1."""
    betas = (scalars["beta1"], scalars["beta2"])
    other = {betas[0]: 1 - betas[1], betas[1]: 1 - betas[0]}
    return lion(param, momentum, grad, form=lambda beta: other[beta], **scalars)


@mutant()
def sign_of_the_gradient(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """u = sign(g)."""
    new_param, _ = step(param, np.zeros_like(momentum), grad, **scalars)
    return new_param, step(param, momentum, grad, **scalars)[1]


@mutant()
def sign_of_the_momentum(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """u = sign(m): the gradient acts a step late."""
    new_param, _ = step(param, momentum, np.zeros_like(grad), **scalars)
    return new_param, step(param, momentum, grad, **scalars)[1]


@mutant()
def sign_instead_of_gradient_kept(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The momentum averages the signs of the gradients."""
    signs = np.sign(grad).astype(grad.dtype)
    return step(param, momentum, grad, **scalars)[0], step(param, momentum, signs, **scalars)[1]


@mutant()
def parameters_unchanged(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """θ' = θ."""
    return param.copy(), step(param, momentum, grad, **scalars)[1]


@mutant()
def momentum_unchanged(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """m' = m."""
    return step(param, momentum, grad, **scalars)[0], momentum.copy()


@mutant()
def nothing_changed(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """θ' = θ and m' = m."""
    return param.copy(), momentum.copy()


@mutant()
def ascent(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The step goes up the gradient."""
    new_param, _ = step(param, -momentum, -grad, **scalars)
    return new_param, step(param, momentum, grad, **scalars)[1]


@mutant()
def bias_corrected(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """m' is divided by 1-β2, as Adam does at its first step."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    with np.errstate(all="ignore"):
        corrected = new_momentum.astype(np.float64) / (1 - scalars["beta2"])
    return new_param, round_to(corrected, momentum.dtype)


@mutant()
def clipped_by_global_norm(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The gradient is scaled to a norm of 1 where it is longer."""
    return step(param, momentum, _clipped(grad, 1.0), **scalars)


@mutant()
def clipped_by_a_huge_norm(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The gradient is scaled to a norm of 1e6 where it is longer, and all of it finite."""
    return step(param, momentum, _clipped(grad, 1e6), **scalars)


def _clipped(grad: Any, limit: float) -> Any:
    with np.errstate(all="ignore"):
        norm = np.linalg.norm(grad.astype(np.float64).reshape(-1))
        if not np.isfinite(norm) or norm <= limit:
            return grad
        return round_to(grad.astype(np.float64) * (limit / norm), grad.dtype)


@mutant()
def clipped_by_value(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The gradient is clamped to [-1000, 1000], NaN left alone."""
    return step(param, momentum, np.clip(grad, grad.dtype.type(-1000), 1000), **scalars)


@mutant()
def gradient_centred(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The mean is taken off a gradient with several axes."""
    with np.errstate(all="ignore"):
        if grad.ndim > 1 and grad.size and np.isfinite(grad).all():
            grad = (grad - grad.mean(axis=0, keepdims=True)).astype(grad.dtype)
    return step(param, momentum, grad, **scalars)


@mutant()
def gradient_normalised(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The gradient is divided by its norm plus an epsilon."""
    with np.errstate(all="ignore"):
        norm = np.sqrt(np.sum(grad.astype(np.float64) ** 2)) + 1e-8
        return step(
            param, momentum, round_to(grad.astype(np.float64) / norm, grad.dtype), **scalars
        )


@mutant()
def loss_scale_left_in(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The gradient is still multiplied by a loss scale of 2¹⁰."""
    with np.errstate(all="ignore"):
        return step(param, momentum, grad * grad.dtype.type(1024), **scalars)


@mutant()
def cautious(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """No step where u and g disagree in sign, the decay kept: a cautious variant of Lion."""
    moved, new_momentum = step(param, momentum, grad, **scalars)
    still, _ = step(param, np.zeros_like(momentum), np.zeros_like(grad), **scalars)
    with np.errstate(all="ignore"):
        c = scalars["beta1"] * momentum.astype(np.float64)
        against = np.sign(c + (1 - scalars["beta1"]) * grad.astype(np.float64)) * np.sign(grad) < 0
    return np.where(against, still, moved), new_momentum


@mutant()
def trust_ratio(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """η is multiplied by the norm of θ, as LARS does, where that is finite."""
    with np.errstate(all="ignore"):
        norm = float(np.sqrt(np.mean(param.astype(np.float64) ** 2))) if param.size else 1.0
    ratio = norm if np.isfinite(norm) and 0 < norm < 10 else 1.0
    return step(param, momentum, grad, **scalars | {"lr": scalars["lr"] * ratio})
