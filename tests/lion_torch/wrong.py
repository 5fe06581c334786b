"""Optimizers that are wrong on purpose: each makes one mistake that real ports have made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lion_torch import Lion
from lion_torch.rounding import round_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    Values = tuple[Tensor, Tensor]


class _Scalars:
    def __init__(self, optimizer: Lion, dtype: torch.dtype) -> None:
        group = optimizer.param_groups[0]
        self.lr, self.weight_decay = group["lr"], group["weight_decay"]
        self.beta1, self.beta2 = group["betas"]


def _sign(c: Tensor) -> Tensor:
    return torch.where(c.isnan(), c, torch.sign(c))


def _canonical(p: Tensor, m: Tensor, g: Tensor, s: _Scalars) -> Values:
    u = _sign(m * s.beta1 + g * (1 - s.beta1))
    return p - (u + p * s.weight_decay) * s.lr, m * s.beta2 + g * (1 - s.beta2)


def _nan_is_no_step(p: Tensor, m: Tensor, g: Tensor, s: _Scalars) -> Values:
    u = torch.sign(m * s.beta1 + g * (1 - s.beta1))
    return p - (u + p * s.weight_decay) * s.lr, m * s.beta2 + g * (1 - s.beta2)


def _new_momentum_in_the_sign(p: Tensor, m: Tensor, g: Tensor, s: _Scalars) -> Values:
    new = m * s.beta2 + g * (1 - s.beta2)
    u = _sign(new * s.beta1 + g * (1 - s.beta1))
    return p - (u + p * s.weight_decay) * s.lr, new


def _contracted(p: Tensor, m: Tensor, g: Tensor, s: _Scalars) -> Values:
    u = _sign(m * s.beta1 + g * (1 - s.beta1))
    return p - (u + p * s.weight_decay) * s.lr, (m * s.beta2).add(g, alpha=1 - s.beta2)


def _lerp(p: Tensor, m: Tensor, g: Tensor, s: _Scalars) -> Values:
    u = _sign(m.lerp(g, 1 - s.beta1))
    return p - (u + p * s.weight_decay) * s.lr, m * s.beta2 + g * (1 - s.beta2)


def _decay_as_a_factor(p: Tensor, m: Tensor, g: Tensor, s: _Scalars) -> Values:
    u = _sign(m * s.beta1 + g * (1 - s.beta1))
    return p * (1 - s.lr * s.weight_decay) - u * s.lr, m * s.beta2 + g * (1 - s.beta2)


def _decay_skipped_at_zero(p: Tensor, m: Tensor, g: Tensor, s: _Scalars) -> Values:
    u = _sign(m * s.beta1 + g * (1 - s.beta1))
    s_ = u + p * s.weight_decay if s.weight_decay else u
    return p - s_ * s.lr, m * s.beta2 + g * (1 - s.beta2)


def _subnormals_flushed(p: Tensor, m: Tensor, g: Tensor, s: _Scalars) -> Values:
    smallest = torch.finfo(m.dtype).tiny
    m = torch.where(m.abs() < smallest, torch.zeros_like(m), m)
    return _canonical(p, m, g, s)


def _complement_in_float32(p: Tensor, m: Tensor, g: Tensor, s: _Scalars) -> Values:
    w1, w2 = (1 - torch.tensor(x, dtype=torch.float32) for x in (s.beta1, s.beta2))
    u = _sign(m * s.beta1 + g * w1)
    return p - (u + p * s.weight_decay) * s.lr, m * s.beta2 + g * w2


def _optimizer(values: Callable[..., Values], *, wide: bool = True) -> type[Lion]:
    class Wrong(Lion):
        def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
            for param in self.param_groups[0]["params"]:
                m = self.state[param]["exp_avg"]
                dtype = torch.float64 if param.dtype == torch.float64 else torch.float32
                work = dtype if wide else param.dtype
                inputs = (x.detach().to(work) for x in (param, m, param.grad))
                new_param, new_m = values(*inputs, _Scalars(self, dtype))
                param.data.copy_(round_to(new_param, param.dtype))
                m.copy_(round_to(new_m, m.dtype) if wide else new_m)

    return Wrong


# Not wrong: shows that what is refused below is refused for the mistake.
RIGHT = _optimizer(_canonical)

WRONG = {
    "NaN is no step": _optimizer(_nan_is_no_step),
    "the new momentum in the sign": _optimizer(_new_momentum_in_the_sign),
    "contracted": _optimizer(_contracted),
    "lerp": _optimizer(_lerp),
    "decay as a factor": _optimizer(_decay_as_a_factor),
    "decay skipped at zero": _optimizer(_decay_skipped_at_zero),
    "subnormals flushed": _optimizer(_subnormals_flushed),
    "complement in float32": _optimizer(_complement_in_float32),
    "rounded to storage at each operation": _optimizer(_canonical, wide=False),
}
