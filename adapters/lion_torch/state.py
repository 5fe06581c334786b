"""What goes into state dicts and comes out of them: momenta in their own dtypes, plain options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lion_ref.checks import shown
from lion_ref.hyperparameters import real_number
from lion_torch.checks import momentum_dtype
from lion_torch.rounding import round_to
from lion_torch.scalars import dtype_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch.optim import Optimizer

    from lion_torch.scalars import Group


def take_momenta(optimizer: Optimizer, loaded: dict[str, Any]) -> None:
    """Give each parameter its momentum of a loaded state dict, in the dtype its group asks for.

    torch has cast them to the parameter's dtype by then: a float32 momentum of a bfloat16 parameter
    has lost what it was kept in float32 for. The dict's own are rounded once, if at all.
    """
    for group, given in zip(optimizer.param_groups, loaded["param_groups"], strict=True):
        for param, key in zip(group["params"], given["params"], strict=True):
            momentum = loaded["state"].get(key, {}).get("exp_avg")
            if momentum is not None:
                moved = momentum.to(device=param.device)
                optimizer.state[param]["exp_avg"] = round_to(moved, momentum_dtype(group, param))


def filled(groups: list[Group], own: list[Group], defaults: Group) -> list[Group]:
    """Loaded groups, with the options that they do not have from the groups that load them."""
    return [
        {**{name: mine[name] for name in defaults if name in mine}, **group}
        for group, mine in zip(groups, own, strict=False)
    ] + groups[len(own) :]


def settle(group: Group) -> None:
    """Keep the options as types that every checkpoint carries; the values stay what they are.

    torch's checkpoints of sharded runs take no dtype, torch.load(weights_only=True) no NumPy
    number, JSON neither. A tensor stays one, as a CUDA graph may read it.

    >>> import numpy as np
    >>> group = {"lr": np.float64(0.5), "betas": [0.9, 0.99], "momentum_dtype": torch.float32}
    >>> settle(group); group
    {'lr': 0.5, 'betas': (0.9, 0.99), 'momentum_dtype': 'float32'}
    """
    if isinstance(group.get("momentum_dtype"), (str, torch.dtype)):
        group["momentum_dtype"] = dtype_name(group["momentum_dtype"])
    if type(group.get("subnormals")) is not str and isinstance(group.get("subnormals"), str):
        group["subnormals"] = str(group["subnormals"])  # NumPy's are of a type of their own
    for name in ("lr", "betas", "weight_decay"):
        if name in group:
            group[name] = _settled(group[name])


def _settled(value: Any) -> Any:
    if type(value) is float or isinstance(value, Tensor):  # as at nearly every step
        return value
    if isinstance(value, (tuple, list)):
        return tuple(map(_settled, value))
    try:
        return real_number("", value, "")
    except TypeError:  # the next step will refuse it
        return value


def shared_momentum_dtype(dtypes: Mapping[str, tuple[str, str]]) -> str | None:
    """The momentum_dtype of a group with parameters and momenta of these dtypes, by name.

    ValueError if a group cannot have it, as it has one for all, or each parameter's own.

    >>> shared_momentum_dtype({"a": ("bfloat16", "bfloat16"), "b": ("float32", "float32")})
    >>> shared_momentum_dtype({"a": ("bfloat16", "float32"), "b": ("float32", "float32")})
    'float32'
    """
    if all(param == momentum for param, momentum in dtypes.values()):
        return None
    found = {momentum: name for name, (_, momentum) in dtypes.items()}
    if len(found) > 1:
        listed = ", ".join(f"{dtype} of {shown(name)}" for dtype, name in found.items())
        raise ValueError(
            f"the momenta of one group are {listed}; legal: one dtype for all, or each its "
            "parameter's"
        )
    return next(iter(found))
