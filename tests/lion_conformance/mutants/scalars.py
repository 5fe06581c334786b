"""The four scalars: rounded, clamped, replaced, mistaken, right at the usual values alone."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

import lion_ref
from lion_ref import Semantics
from tests.lion_conformance.mutants.catalogue import changed, mutant

step = lion_ref.step

COMPLEMENT = Semantics(sign_complement="compute", momentum_complement="compute")


def _bfloat16(value: float) -> float:
    return float(ml_dtypes.bfloat16(value))


def _float16(value: float) -> float:
    return float(np.float16(min(value, 65504.0)))


@mutant()
def learning_rate_in_bfloat16(*arrays: Any, **scalars: Any) -> Any:
    """η is rounded to bfloat16."""
    return changed(lr=_bfloat16)(*arrays, **scalars)


@mutant()
def learning_rate_in_float16(*arrays: Any, **scalars: Any) -> Any:
    """η is rounded to float16."""
    return changed(lr=_float16)(*arrays, **scalars)


@mutant()
def decay_in_bfloat16(*arrays: Any, **scalars: Any) -> Any:
    """λ is rounded to bfloat16."""
    return changed(weight_decay=_bfloat16)(*arrays, **scalars)


@mutant()
def beta1_in_bfloat16(*arrays: Any, **scalars: Any) -> Any:
    """β1 is rounded to bfloat16, and so its complement is 4% off."""
    return changed(beta1=lambda beta: min(_bfloat16(beta), 1 - 2.0**-9))(*arrays, **scalars)


@mutant()
def beta2_in_float16(*arrays: Any, **scalars: Any) -> Any:
    """β2 is rounded to float16, and so its complement is off."""
    return changed(beta2=lambda beta: min(_float16(beta), 1 - 2.0**-12))(*arrays, **scalars)


@mutant(semantics=COMPLEMENT)
def complement_in_float32(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """1-β is formed from β rounded to float32."""
    return step(param, momentum, grad, **scalars, semantics=COMPLEMENT)


@mutant(dtype="float64")
def scalars_in_float32(*arrays: Any, **scalars: Any) -> Any:
    """All four scalars are rounded to float32 for a float64 θ."""
    rounded: dict[str, Any] = {name: float(np.float32(value)) for name, value in scalars.items()}
    betas = {name: min(rounded[name], 1 - 2.0**-25) for name in ("beta1", "beta2")}
    return step(*arrays, **rounded | betas)


@mutant()
def lr_and_decay_swapped(*arrays: Any, **scalars: Any) -> Any:
    """η and λ change places."""
    swapped = {"lr": scalars["weight_decay"], "weight_decay": scalars["lr"]}
    return step(*arrays, **scalars | swapped)


@mutant()
def falsy_learning_rate(*arrays: Any, **scalars: Any) -> Any:
    """`lr or 1e-4`: a learning rate of 0 becomes the default."""
    return changed(lr=lambda lr: lr or 1e-4)(*arrays, **scalars)


@mutant()
def falsy_beta1(*arrays: Any, **scalars: Any) -> Any:
    """`beta1 or 0.9`: a β1 of 0 becomes the default."""
    return changed(beta1=lambda beta: beta or 0.9)(*arrays, **scalars)


@mutant()
def falsy_beta2(*arrays: Any, **scalars: Any) -> Any:
    """`beta2 or 0.99`: a β2 of 0 becomes the default."""
    return changed(beta2=lambda beta: beta or 0.99)(*arrays, **scalars)


@mutant()
def nothing_done_at_a_learning_rate_of_zero(
    param: Any, momentum: Any, grad: Any, **scalars: Any
) -> Any:
    """`if lr == 0: return`: the momentum misses the gradient."""
    if scalars["lr"] == 0:
        return param.copy(), momentum.copy()
    return step(param, momentum, grad, **scalars)


@mutant()
def momentum_not_read_at_a_beta1_of_zero(
    param: Any, momentum: Any, grad: Any, **scalars: Any
) -> Any:
    """At β1 = 0 u = sign(g), where 0·inf should be NaN."""
    read = momentum if scalars["beta1"] else np.zeros_like(momentum)
    new_param, _ = step(param, read, grad, **scalars)
    return new_param, step(param, momentum, grad, **scalars)[1]


@mutant()
def momentum_not_read_at_a_beta2_of_zero(
    param: Any, momentum: Any, grad: Any, **scalars: Any
) -> Any:
    """At β2 = 0 m' = g, where 0·inf should be NaN."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if scalars["beta2"] == 0:
        new_momentum = step(param, np.zeros_like(momentum), grad, **scalars)[1]
    return new_param, new_momentum


@mutant()
def learning_rate_at_most_one(*arrays: Any, **scalars: Any) -> Any:
    """η is clamped to [0, 1]."""
    return changed(lr=lambda lr: min(lr, 1.0))(*arrays, **scalars)


@mutant()
def learning_rate_at_most_ten(*arrays: Any, **scalars: Any) -> Any:
    """η above 10 and below 10³ is clamped to 10."""
    return changed(lr=lambda lr: 10.0 if 10 < lr < 1e3 else lr)(*arrays, **scalars)


@mutant()
def tiny_learning_rate_raised(*arrays: Any, **scalars: Any) -> Any:
    """η in (10⁻⁸, 10⁻⁵) is raised to 10⁻⁵."""
    return changed(lr=lambda lr: 1e-5 if 1e-8 < lr < 1e-5 else lr)(*arrays, **scalars)


@mutant()
def learning_rate_of_six_decimals(*arrays: Any, **scalars: Any) -> Any:
    """η passes through text with six decimals."""
    return changed(lr=lambda lr: float(f"{lr:.6f}"))(*arrays, **scalars)


@mutant()
def learning_rate_of_six_digits(*arrays: Any, **scalars: Any) -> Any:
    """η passes through text with six significant digits."""
    return changed(lr=lambda lr: float(f"{lr:.6g}"))(*arrays, **scalars)


@mutant()
def learning_rate_doubled_in_between(*arrays: Any, **scalars: Any) -> Any:
    """η in (10⁻³, 0.05) is doubled."""
    return changed(lr=lambda lr: 2 * lr if 1e-3 < lr < 0.05 else lr)(*arrays, **scalars)


@mutant()
def learning_rate_doubled_in_an_odd_range(*arrays: Any, **scalars: Any) -> Any:
    """η in (0.12, 0.18) is doubled."""
    return changed(lr=lambda lr: 2 * lr if 0.12 < lr < 0.18 else lr)(*arrays, **scalars)


@mutant()
def decay_lost_in_an_odd_range(*arrays: Any, **scalars: Any) -> Any:
    """λ in (0.12, 0.3) is taken for 0."""
    return changed(weight_decay=lambda x: 0.0 if 0.12 < x < 0.3 else x)(*arrays, **scalars)


@mutant()
def decay_above_one_is_a_percentage(*arrays: Any, **scalars: Any) -> Any:
    """λ in (1, 100) is divided by 100."""
    return changed(weight_decay=lambda x: x / 100 if 1 < x < 100 else x)(*arrays, **scalars)


@mutant()
def beta2_at_most_ninety_nine(*arrays: Any, **scalars: Any) -> Any:
    """β2 is clamped to 0.99."""
    return changed(beta2=lambda beta: min(beta, 0.99))(*arrays, **scalars)


@mutant()
def beta1_wrong_below_a_half(*arrays: Any, **scalars: Any) -> Any:
    """β1 in (0, 0.45) is raised to 0.45."""
    return changed(beta1=lambda beta: 0.45 if 0 < beta < 0.45 else beta)(*arrays, **scalars)


@mutant()
def beta2_wrong_in_the_middle(*arrays: Any, **scalars: Any) -> Any:
    """β2 in (0.6, 0.85) becomes 0.9."""
    return changed(beta2=lambda beta: 0.9 if 0.6 < beta < 0.85 else beta)(*arrays, **scalars)


@mutant()
def betas_sorted(*arrays: Any, **scalars: Any) -> Any:
    """The smaller β is taken for β1, whichever was given so."""
    beta1, beta2 = sorted((scalars["beta1"], scalars["beta2"]))
    return step(*arrays, **scalars | {"beta1": beta1, "beta2": beta2})


@mutant()
def decay_lost_where_the_product_is_small(
    param: Any, momentum: Any, grad: Any, **scalars: Any
) -> Any:
    """η·λ below 10⁻⁵ (but not 0) is taken for no decay."""
    if 0 < scalars["lr"] * scalars["weight_decay"] < 1e-5:
        scalars["weight_decay"] = 0.0
    return step(param, momentum, grad, **scalars)


@mutant()
def learning_rate_of_exactly_a_half(*arrays: Any, **scalars: Any) -> Any:
    """η = 0.5 is taken for "unset" and becomes 1."""
    return changed(lr=lambda lr: 1.0 if lr == 0.5 else lr)(*arrays, **scalars)


@mutant()
def equal_betas(*arrays: Any, **scalars: Any) -> Any:
    """β1 = β2 is taken for a mistake, and β2 becomes 0.99."""
    if scalars["beta1"] == scalars["beta2"]:
        scalars["beta2"] = 0.99
    return step(*arrays, **scalars)


@mutant()
def long_memory_cut_short(*arrays: Any, **scalars: Any) -> Any:
    """β2 above 0.9999 is clamped to it."""
    return changed(beta2=lambda beta: min(beta, 0.9999))(*arrays, **scalars)


@mutant(accepted=True)
def minus_zero_learning_rate(*arrays: Any, **scalars: Any) -> Any:
    """η = -0 becomes +0, which shows in the sign of θ' = ±0 alone."""
    return changed(lr=lambda lr: lr + 0.0)(*arrays, **scalars)


@mutant(refuses="weight_decay = -0")
def minus_zero_refused(*arrays: Any, **scalars: Any) -> Any:
    """λ = -0 is taken for a negative number, and raises."""
    if np.signbit(scalars["weight_decay"]):
        raise ValueError(f"weight_decay={scalars['weight_decay']!r} is not legal; legal: >= 0")
    return step(*arrays, **scalars)


@mutant()
def learning_rate_clamped_below(*arrays: Any, **scalars: Any) -> Any:
    """η between 10⁻²⁵ and 10⁻⁸ is raised to 10⁻⁸."""
    return changed(lr=lambda lr: 1e-8 if 1e-25 < lr < 1e-8 else lr)(*arrays, **scalars)


@mutant()
def learning_rate_clamped_above(*arrays: Any, **scalars: Any) -> Any:
    """η between 2·10⁴ and 10²⁵ is lowered to 2·10⁴."""
    return changed(lr=lambda lr: 2e4 if 2e4 < lr < 1e25 else lr)(*arrays, **scalars)


@mutant()
def decay_clamped_below(*arrays: Any, **scalars: Any) -> Any:
    """λ between 10⁻²⁵ and 10⁻⁶ is taken for 0."""
    return changed(weight_decay=lambda x: 0.0 if 1e-25 < x < 1e-6 else x)(*arrays, **scalars)


@mutant()
def decay_clamped_above(*arrays: Any, **scalars: Any) -> Any:
    """λ between 2·10¹⁰ and 10²⁵ is lowered to 2·10¹⁰."""
    return changed(weight_decay=lambda x: 2e10 if 2e10 < x < 1e25 else x)(*arrays, **scalars)


@mutant()
def small_beta1_lost(*arrays: Any, **scalars: Any) -> Any:
    """β1 below 10⁻³ is taken for 0."""
    return changed(beta1=lambda beta: beta if beta >= 1e-3 else 0.0)(*arrays, **scalars)


@mutant()
def beta2_near_one_cut_short(*arrays: Any, **scalars: Any) -> Any:
    """β2 with a complement between 10⁻¹² and 10⁻⁶ becomes 1-10⁻⁶."""
    between = 1 - 1e-12, 1 - 1e-6
    return changed(beta2=lambda x: between[1] if between[1] < x < between[0] else x)(
        *arrays, **scalars
    )
