"""What is refused of groups, tensors and state dicts, before any of it is used (SPEC C13, C14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from lion_ref.checks import check_shapes, shown
from lion_ref.dtypes import LEGAL_DTYPES, STORAGE_DTYPES
from lion_ref.subnormals import check_subnormals
from lion_torch.layout import elements_may_share_memory, local
from lion_torch.scalars import compute_dtype, dtype_name, read_values, rounded

if TYPE_CHECKING:
    from lion_torch.scalars import Group

FLAGS = ("maximize", "capturable", "differentiable")
CHOICES = ("foreach", "fused")
CAPTURABLE_DEVICES = ("cuda", "xpu", "hpu", "xla")
SPARSE = (
    torch.sparse_coo,
    torch.sparse_csr,
    torch.sparse_csc,
    torch.sparse_bsr,
    torch.sparse_bsc,
)

# What no Lion keeps beside its exp_avg, and other optimizers of torch.optim do; and where
# bitsandbytes keeps all of its state, Lion's momentum too, which would be lost without a word.
_FOREIGN_STATE = (
    "exp_avg_sq",
    "exp_inf",
    "momentum_buffer",
    "square_avg",
    "acc_delta",
    "sum",
    "prev",
    "ax",
    "state1",
    "__bnb_optimizer_quant_state__",
)

# Options of other Lions that make another update of it, and the values that do not.
_OTHER_UPDATES: dict[str, tuple[Any, ...]] = {
    "caution": (False,),
    "cautious": (False,),
    "cautious_factor": (1.0,),
    "corrected_weight_decay": (False,),
    "decouple_lr": (False,),
    "kahan_sum": (False, None),
    "use_gc": (False,),
    "r": (0.0,),
    "weight_decouple": (True,),
    "fixed_decay": (False,),
    "adanorm": (False,),
}


def check_group(group: Group, *, wait: bool = True) -> None:
    """Refuse options that are not legal alone or together, in torch's words where it has any.

    With wait=False, as within a capture, the values of tensors on a device are not looked at.
    """
    for name in FLAGS:
        if not isinstance(group[name], bool):
            raise TypeError(f"{name}={shown(group[name])} is not legal; legal: True, False")
    for name in CHOICES:
        if not (group[name] is None or isinstance(group[name], bool)):
            raise TypeError(f"{name}={shown(group[name])} is not legal; legal: None, True, False")
    check_subnormals(group["subnormals"])
    chosen = _chosen_dtype(group)
    if group["fused"] and group["differentiable"]:
        raise RuntimeError("`fused` does not support `differentiable`")
    if group["fused"] and group["foreach"]:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    if group["foreach"] and group["differentiable"]:
        raise RuntimeError("`foreach` does not support `differentiable`")
    for name in ("lr", "weight_decay"):
        _check_tensor(group, name)
    values = read_values(group, wait=wait)
    # A set of dtypes, as there may be many parameters.
    for param in {param.dtype for param in group["params"]}:
        rounded(group, values, compute_dtype(param, chosen or param, param))


def momentum_dtype(group: Group, param: Tensor) -> torch.dtype:
    """The dtype of a parameter's momentum: the group's choice, else the parameter's own."""
    return _chosen_dtype(group) or param.dtype


def _chosen_dtype(group: Group) -> torch.dtype | None:
    """TypeError unless momentum_dtype is None, or one of SPEC C2 or its name."""
    chosen = group["momentum_dtype"]
    if chosen is None:
        return None
    if not isinstance(chosen, (str, torch.dtype)) or dtype_name(chosen) not in STORAGE_DTYPES:
        raise TypeError(f"momentum_dtype={shown(chosen)} is not legal; legal: None, {LEGAL_DTYPES}")
    dtype: torch.dtype = getattr(torch, dtype_name(chosen))
    return dtype


def check_distinct(params: list[Tensor]) -> None:
    """Refuse a parameter that is listed twice in a group, of which torch only warns."""
    if len(set(params)) < len(params):
        raise ValueError(
            "params holds a parameter more than once, and a step would update it more than once; "
            "legal: each parameter once"
        )


def _check_tensor(group: Group, name: str) -> None:
    value = group[name]
    if not isinstance(value, Tensor):
        return
    if value.numel() != 1:
        raise ValueError(f"Tensor {name} must be 1-element")
    if not value.is_floating_point():
        raise TypeError(
            f"Tensor {name} has dtype {dtype_name(value.dtype)}; legal: floating dtypes"
        )
    if group["foreach"] and not group["capturable"]:
        raise ValueError(
            f"{name} as a Tensor is not supported for capturable=False and foreach=True"
        )


def check_tensors(
    group: Group, param: Tensor, momentum: Tensor | None, grad: Tensor
) -> torch.dtype:
    """The compute dtype of a parameter that can be stepped with its momentum and gradient."""
    if grad.layout in SPARSE:
        raise RuntimeError(
            f"Lion does not support sparse gradients (got {grad.layout}): every momentum decays "
            "and every parameter moves at each step, so nothing could be skipped; legal: dense "
            "gradients, as from Embedding(sparse=False), or param.grad = param.grad.to_dense()"
        )
    _check_dense("param", param)
    _check_dense("grad", grad)
    if group["capturable"] and param.device.type not in CAPTURABLE_DEVICES:
        raise RuntimeError(
            f"capturable=True with a param on {param.device.type}; legal: params on "
            f"{', '.join(CAPTURABLE_DEVICES)}"
        )
    _check_writable(group, "param", param)
    _check_beside(param, "grad", grad)
    if momentum is None:
        return compute_dtype(param.dtype, momentum_dtype(group, param), grad.dtype)
    _check_dense("exp_avg", momentum)
    _check_beside(param, "exp_avg", momentum)
    _check_writable(group, "exp_avg", momentum)
    return compute_dtype(param.dtype, momentum.dtype, grad.dtype)


def _check_dense(name: str, tensor: object) -> None:
    """TypeError unless it is a tensor whose elements lie in memory one by one."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} is of type {type(tensor).__name__}; legal: a Tensor")
    if tensor.layout is not torch.strided:
        raise TypeError(f"{name} has layout {tensor.layout}; legal: torch.strided")


def _check_beside(param: Tensor, name: str, tensor: Tensor) -> None:
    """ValueError unless a tensor has its parameter's shape and device."""
    check_shapes(param.shape, **{name: tensor.shape})
    if tensor.device != param.device:
        raise ValueError(
            f"{name} is on {tensor.device}, but param is on {param.device}; "
            "legal: param, momentum and grad on one device"
        )
    if isinstance(tensor, FakeTensor) != isinstance(param, FakeTensor):
        raise ValueError(
            f"of {name} and param one is a FakeTensor, which has no numbers, and one is not; "
            "legal: all of them, or none"
        )


def _check_writable(group: Group, name: str, tensor: Tensor) -> None:
    """What torch would refuse in the middle of a step, when some of it has been done."""
    check_not_inference(name, tensor)
    if tensor.is_neg():
        raise RuntimeError(
            f"{name} is negated lazily, as the imaginary part of a conjugate is, and its bits are "
            "not its values; legal: a tensor of its own, as from clone()"
        )
    if group["differentiable"] and tensor.is_leaf and tensor.requires_grad:
        raise RuntimeError(
            f"differentiable=True with a {name} that is a leaf and requires grad, which autograd "
            "does not let anyone update in place; legal: a clone() of it"
        )
    if not tensor.is_contiguous() and elements_may_share_memory(local(tensor)):
        raise RuntimeError(
            f"{name} of shape {tuple(tensor.shape)} and strides {tensor.stride()} has elements "
            "that share memory, so each would be updated more than once; legal: a tensor of "
            "its own, as from clone()"
        )


def check_not_inference(name: str, tensor: Tensor) -> None:
    """RuntimeError for a tensor that torch lets nobody update here."""
    if tensor.is_inference() and not torch.is_inference_mode_enabled():
        raise RuntimeError(
            f"{name} was made under torch.inference_mode(), and cannot be updated outside it; "
            "legal: a step inside it, or a tensor of its own, as from clone()"
        )


_STATE_DICT = "a state dict, {'state': {key: {...}}, 'param_groups': [{'params': [key, ...], ...}]}"


def check_is_dict(state_dict: Any) -> None:
    """TypeError unless it is one, which torch takes for granted before anything looks inside."""
    _check_type("the state dict", state_dict, dict, _STATE_DICT)


def check_form(state_dict: dict[str, Any]) -> None:
    """TypeError or ValueError unless this has the parts of a state dict, of the types they have."""
    legal = _STATE_DICT
    for name in ("state", "param_groups"):
        if name not in state_dict:
            raise ValueError(f"the state dict has no {name!r}; legal: {legal}")
    _check_type("the state dict's 'state'", state_dict["state"], dict, legal)
    _check_type("the state dict's 'param_groups'", state_dict["param_groups"], list, legal)
    seen: set[Any] = set()
    for group in state_dict["param_groups"]:
        _check_type("a group of the state dict", group, dict, legal)
        _check_type("a group's 'params' in the state dict", group.get("params"), list, legal)
        for key in group["params"]:
            _check_type("a key in a group's 'params'", key, (int, str), legal)
            if key in seen:
                raise ValueError(f"the state dict lists parameter {shown(key)} twice; legal: once")
            seen.add(key)


def _check_type(name: str, value: object, kind: type | tuple[type, ...], legal: str) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{name} is of type {type(value).__name__}; legal: {legal}")


def check_momenta(keys: list[Any], params: list[Tensor], state: dict[Any, Any]) -> None:
    """Refuse what cannot be a parameter's momentum; keys are those of the parameters in state."""
    for key, param in zip(keys, params, strict=False):
        entry = state.get(key, {})
        if not isinstance(entry, dict):
            raise TypeError(
                f"the state dict's state of parameter {shown(key)} is of type "
                f"{type(entry).__name__}; legal: a dict"
            )
        if "exp_avg" not in entry:
            continue
        momentum = entry["exp_avg"]
        name = f"the state dict's exp_avg of parameter {shown(key)}"
        if not isinstance(momentum, Tensor):
            raise TypeError(f"{name} is of type {type(momentum).__name__}; legal: a Tensor")
        if momentum.layout is not torch.strided or not momentum.is_floating_point():
            raise TypeError(
                f"{name} is {dtype_name(momentum.dtype)} of layout {momentum.layout}; "
                "legal: a dense tensor of a floating dtype"
            )
        if momentum.shape != param.shape:
            raise ValueError(
                f"{name} has shape {tuple(momentum.shape)}; legal: {tuple(param.shape)}, the "
                "parameter's"
            )


def check_is_lion(param_groups: list[Group], state: dict[Any, Any]) -> None:
    """ValueError for a dict of another optimizer, or of a Lion that is another update."""
    entries = [entry for entry in state.values() if isinstance(entry, dict)]
    found = [f"{name!r} in its state" for name in _FOREIGN_STATE if any(name in x for x in entries)]
    if any("amsgrad" in group for group in param_groups):
        found.append("'amsgrad' among its options")
    if not all("betas" in group for group in param_groups):
        found.append("no 'betas' among its options")
    if found:
        raise ValueError(
            f"the state dict has {found[0]}, so it is another optimizer's; legal: a state dict of "
            "a Lion"
        )
    for group in param_groups:
        for name, legal in _OTHER_UPDATES.items():
            if name in group and group[name] not in legal:
                listed = ", ".join(map(repr, legal))
                raise ValueError(
                    f"the state dict has {name}={shown(group[name])}, which is another update than "
                    f"Lion's; legal: {listed}"
                )
