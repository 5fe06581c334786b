"""The Lion optimizer as a torch.optim.Optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import torch
from torch._compile import _disable_dynamo
from torch.optim import Optimizer

from lion_torch import amp
from lion_torch.checks import (
    check_distinct,
    check_form,
    check_group,
    check_is_dict,
    check_is_lion,
    check_momenta,
)
from lion_torch.kernel import choose, skips_on_device
from lion_torch.state import filled, settle, take_momenta
from lion_torch.work import plan, triples

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from torch.optim.optimizer import ParamsT

    from lion_ref.subnormals import SubnormalsChoice
    from lion_torch.layout import Places

__all__ = ["Lion"]


class Lion(Optimizer):
    """Lion, bit for bit as SPEC.md defines it.

        u  = sign(β1·m + (1-β1)·g)
        θ' = θ - η·(u + λ·θ)
        m' = β2·m + (1-β2)·g

    Rounding order (SPEC C5): a = β1⊗m, b = (1-β1)⊗g, c = a⊕b, u = sign(c); d = λ⊗θ, s = u⊕d,
    e = η⊗s, θ' = θ⊖e; x = β2⊗m, y = (1-β2)⊗g, m' = x⊕y, each one IEEE 754 operation in float64 if
    θ is float64, else in float32; 1-β is formed in binary64; θ' and m' are rounded once more, to
    their storage dtypes. Every path below gives the same bits.

    Args:
        params: parameters θ, named or not, or dicts of parameter groups; of any shape; float16,
            bfloat16, float32 or float64.
        lr: η, finite and >= 0; a float, or a tensor of one element.
        betas: (β1, β2), each in [0, 1).
        weight_decay: λ, finite and >= 0; decoupled, and scaled by η; a float or such a tensor.
        maximize: step with -g in place of g.
        foreach: True for `torch._foreach_*` operations over all tensors of a group, False for one
            tensor at a time; None lets fused decide.
        capturable: keep lr and weight_decay tensors on the device, as a CUDA graph needs.
        differentiable: let autograd see the step.
        fused: one pass over memory, by lion_cpu's kernel on a CPU and by Triton on a GPU: None
            wherever there is one, True or an error, False for torch's own operations.
        momentum_dtype: dtype of the momentum, or its name, which is what a group keeps; None for
            each parameter's own. A float32 momentum beside bfloat16 parameters keeps what bfloat16
            rounds away.
        subnormals: "native" and "keep" keep them, as torch does. "flush" takes them for zeros,
            operands and results alike, on every device, as XLA does on a CPU: the bits of the other
            adapters' "flush", in a thread that flushes too (SPEC C33).

    Each parameter's state is its momentum m, under `exp_avg`, of the parameter's shape; zeros at
    first.

    Raises:
        TypeError: a dtype that is not legal, a value that is no real number.
        ValueError: a value outside its range, by the constructor or by the step that meets it.
        RuntimeError: options that exclude each other, sparse gradients, expanded parameters.

    A step that is refused has changed nothing.

    Source: Chen et al., "Symbolic Discovery of Optimization Algorithms", arXiv 2302.06675.

    >>> theta = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    >>> optimizer = Lion([theta], lr=0.5, weight_decay=0.25)
    >>> theta.grad = torch.tensor([-3.0, 0.0])
    >>> optimizer.step()
    >>> theta.tolist(), optimizer.state[theta]["exp_avg"].tolist()
    ([1.375, 1.75], [-0.029999999329447746, 0.0])
    """

    # GradScaler then leaves the gradients scaled and sets grad_scale and found_inf here. Every step
    # looks at these, so that an assigned value decides who unscales and skips, and no bit.
    _step_supports_amp_scaling: Any = amp.WhereFused()

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float | Tensor = 0.0,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        momentum_dtype: torch.dtype | str | None = None,
        subnormals: SubnormalsChoice = "native",
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "momentum_dtype": momentum_dtype,
            "subnormals": subnormals,
        }
        super().__init__(params, defaults)
        settle(self.defaults)
        self._known: dict[int, Places] = {}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; its options are checked, here and again at every step."""
        super().add_param_group(param_group)
        try:
            check_group(self.param_groups[-1])
            check_distinct(self.param_groups[-1]["params"])
        except (TypeError, ValueError, RuntimeError):
            del self.param_groups[-1]
            raise
        settle(self.param_groups[-1])

    def state_dict(self) -> dict[str, Any]:
        """State and options, these as numbers and strings alone unless a tensor was given."""
        for group in self.param_groups:
            settle(group)
        return super().state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state dict of this class, lion-pytorch's or timm's.

        Options that a loaded group does not have stay those of the group here. A momentum takes its
        group's momentum_dtype, else the parameter's; torch alone would cast it to the parameter's.

        Raises:
            TypeError: a momentum that is no dense tensor of real numbers, an illegal dtype.
            ValueError: groups or shapes that do not match, another optimizer's dict, or options
                that make another update of Lion.
        """

        check_is_dict(state_dict)
        loaded: dict[str, Any] = {}

        def completed(_: Optimizer, given: dict[str, Any]) -> dict[str, Any]:
            check_form(given)
            check_is_lion(given["param_groups"], given["state"])
            groups = filled(given["param_groups"], self.param_groups, self.defaults)
            # Before anything is loaded: a refused dict changes nothing. torch compares the lengths.
            for group, mine in zip(groups, self.param_groups, strict=False):
                check_group({**group, "params": mine["params"]})
                check_momenta(group["params"], mine["params"], given["state"])
            loaded.update(given, param_groups=groups)
            return loaded

        # Before and after, next to torch's own loading: the user's hooks see what this makes of it.
        handles = [
            self.register_load_state_dict_pre_hook(completed),
            self.register_load_state_dict_post_hook(
                lambda _: take_momenta(self, loaded), prepend=True
            ),
        ]
        try:
            super().load_state_dict(state_dict)
        finally:
            for handle in handles:
                handle.remove()

    def __getstate__(self) -> dict[str, Any]:
        assigned = {k: v for k, v in vars(self).items() if k == "_step_supports_amp_scaling"}
        return {**super().__getstate__(), **assigned}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._known = {}
        self.defaults.setdefault("subnormals", "native")  # older pickles have no choice
        for group in self.param_groups:
            for name, default in self.defaults.items():
                group.setdefault(name, default)
        for group in (self.defaults, *self.param_groups):
            settle(group)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    # torch.compile calls the step rather than tracing it: its code generators contract products
    # and sums on a GPU, and this code is one pass already. A new lr then recompiles nothing.
    # torch.optim's own decorator: torch.compiler.disable would import all of dynamo.
    @_disable_dynamo
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step; a parameter without a gradient is left as it is, and so is its momentum.

        Args:
            closure: evaluates the model again and returns the loss, which is returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            planned = plan(self.param_groups, self.state, self._known)
            works = [(work, choose(work)) for work in planned]
            grad_scale: Tensor | None = getattr(self, "grad_scale", None)
            found_inf: Tensor | None = getattr(self, "found_inf", None)
            if found_inf is not None:
                if all(skips_on_device(update) for _, update in works):
                    works = [(work.skipping(found_inf), update) for work, update in works]
                elif found_inf.item():
                    return loss
            if grad_scale is not None:
                amp.unscale(self.param_groups, grad_scale)
            # All of them before the first update: what raises here has changed nothing.
            ready = [(work, update, triples(work, self.state)) for work, update in works]
            for work, update, some in ready:
                with torch.set_grad_enabled(work.group["differentiable"]):
                    update(some, work.scalars)
        return loss
