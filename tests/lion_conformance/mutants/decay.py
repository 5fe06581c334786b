"""The decay: missing, doubled, in the wrong place, of the wrong size or sign, for some alone."""

from __future__ import annotations

from typing import Any

import numpy as np

import lion_ref
from lion_ref import Semantics
from tests.lion_conformance.mutants.catalogue import changed, mutant

step = lion_ref.step

COUPLED = Semantics(decay="coupled")
UNSCALED = Semantics(decay="unscaled")
AFTERWARDS = Semantics(decay="factor", decay_order="step-first")
FACTOR_IN_COMPUTE = Semantics(decay="factor", decay_scalar="compute")
SKIPPED = Semantics(decay_skipped_at_zero=True)


@mutant(semantics=COUPLED)
def decay_coupled(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """λ·θ is added to the gradient."""
    return step(param, momentum, grad, **scalars, semantics=COUPLED)


@mutant(semantics=UNSCALED)
def decay_unscaled(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """θ decays by λ, not by η·λ."""
    return step(param, momentum, grad, **scalars, semantics=UNSCALED)


@mutant(semantics=AFTERWARDS)
def decay_of_the_new_parameter(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """θ is multiplied by 1-ηλ after the step."""
    return step(param, momentum, grad, **scalars, semantics=AFTERWARDS)


@mutant(semantics=FACTOR_IN_COMPUTE)
def decay_as_a_factor(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """θ·(1-ηλ) - η·u: another rounding, no mistake."""
    return step(param, momentum, grad, **scalars, semantics=FACTOR_IN_COMPUTE)


@mutant(semantics=SKIPPED)
def decay_skipped_at_zero(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """`if weight_decay:` before the decay, so that an infinite θ stays at λ = 0."""
    return step(param, momentum, grad, **scalars, semantics=SKIPPED)


def _scaled(scale: float) -> Any:
    return changed(weight_decay=lambda decay: scale * decay)


@mutant()
def decay_doubled(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """2·λ instead of λ."""
    return _scaled(2.0)(param, momentum, grad, **scalars)


@mutant()
def decay_halved(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """λ/2, as the derivative of λ·θ²/4."""
    return _scaled(0.5)(param, momentum, grad, **scalars)


@mutant()
def no_decay(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """λ is ignored."""
    return _scaled(0.0)(param, momentum, grad, **scalars)


@mutant()
def decay_of_the_wrong_sign(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """θ grows by η·λ·θ."""
    with np.errstate(all="ignore"):
        still, new_momentum = step(param, momentum, grad, **scalars | {"weight_decay": 0.0})
        grown = scalars["lr"] * scalars["weight_decay"] * param.astype(np.float64)
        return (still + grown).astype(param.dtype), new_momentum


@mutant()
def decay_twice(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """θ decays before the step and again in it."""
    still, _ = step(param, np.zeros_like(momentum), np.zeros_like(grad), **scalars)
    return step(still, momentum, grad, **scalars)


@mutant()
def decay_scaled_by_the_square_of_lr(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """η²·λ·θ."""
    product = scalars["lr"] * scalars["weight_decay"]
    return step(param, momentum, grad, **scalars | {"weight_decay": product})


@mutant()
def decay_of_the_sign_of_theta(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """λ·sign(θ): a penalty on |θ| instead of θ²."""
    with np.errstate(all="ignore"):
        still, new_momentum = step(param, momentum, grad, **scalars | {"weight_decay": 0.0})
        lost = scalars["lr"] * scalars["weight_decay"] * np.sign(param.astype(np.float64))
        return (still - lost).astype(param.dtype), new_momentum


@mutant()
def decay_inside_the_sign(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """u = sign(c + λ·θ), as a coupled decay of which m' knows nothing."""
    coupled, _ = step(param, momentum, grad, **scalars, semantics=COUPLED)
    return coupled, step(param, momentum, grad, **scalars)[1]


@mutant()
def no_decay_of_vectors(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Tensors with one axis are taken for biases, which do not decay."""
    decay = 0.0 if param.ndim == 1 else scalars["weight_decay"]
    return step(param, momentum, grad, **scalars | {"weight_decay": decay})


@mutant()
def no_decay_of_scalars(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Tensors without an axis do not decay."""
    decay = scalars["weight_decay"] if param.ndim else 0.0
    return step(param, momentum, grad, **scalars | {"weight_decay": decay})


@mutant()
def decay_where_the_step_agrees(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Only a θ that the step makes smaller decays: cautious weight decay."""
    whole, new_momentum = step(param, momentum, grad, **scalars)
    bare, _ = step(param, momentum, grad, **scalars | {"weight_decay": 0.0})
    with np.errstate(all="ignore"):
        grows = np.abs(bare) > np.abs(param)
    return np.where(grows, bare, whole), new_momentum


@mutant()
def decay_truncated_to_an_integer(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """λ loses what stands behind its point, between 1 and 10⁹."""
    if 1 < scalars["weight_decay"] < 1e9:
        scalars["weight_decay"] = float(int(scalars["weight_decay"]))
    return step(param, momentum, grad, **scalars)


@mutant()
def small_decay_lost(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """λ in (0.02, 0.09) is taken for 0."""
    if 0.02 < scalars["weight_decay"] < 0.09:
        scalars["weight_decay"] = 0.0
    return step(param, momentum, grad, **scalars)


@mutant()
def decay_at_most_one(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """λ is clamped to [0, 1]."""
    clamped = min(scalars["weight_decay"], 1.0)
    return step(param, momentum, grad, **scalars | {"weight_decay": clamped})


@mutant()
def decay_product_at_most_one(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """η·λ is clamped to 1, "for stability"."""
    if scalars["lr"] * scalars["weight_decay"] > 1:
        scalars["weight_decay"] = 1 / scalars["lr"]
    return step(param, momentum, grad, **scalars)


@mutant()
def infinite_theta_made_finite(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """At λ = 0 an infinite θ is replaced by the largest number before the step."""
    if scalars["weight_decay"] == 0:
        limits = np.finfo(np.float32)
        param = np.where(np.isinf(param), np.copysign(limits.max, param), param).astype(param.dtype)
    return step(param, momentum, grad, **scalars)
