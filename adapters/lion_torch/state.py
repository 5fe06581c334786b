"""What goes into state dicts and comes out of them: momenta in their own dtypes, plain options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lion_ref.hyperparameters import real_number
from lion_torch.checks import momentum_dtype
from lion_torch.rounding import round_to
from lion_torch.scalars import dtype_name

if TYPE_CHECKING:
    from lion_torch.scalars import Group


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A tensor that torch's load_state_dict does not recognize, and so does not cast."""

    tensor: Tensor


def keep_tensors(state_dict: dict[str, Any]) -> dict[str, Any]:
    """A state dict whose momenta are wrapped; the one that was passed in is left as it is.

    torch casts state to the parameter's dtype: a float32 momentum of a bfloat16 parameter would
    lose what it was kept in float32 for.
    """
    state = {
        key: {
            name: Kept(value) if name == "exp_avg" and isinstance(value, Tensor) else value
            for name, value in entry.items()
        }
        if isinstance(entry, dict)
        else entry
        for key, entry in state_dict["state"].items()
    }
    return {**state_dict, "state": state}


def unwrap(groups: list[Group], state: dict[Any, Any]) -> None:
    """Turn wrapped momenta into tensors of the dtype that their group asks for, rounded once."""
    for group in groups:
        for param in group["params"]:
            entry = state.get(param, {})
            kept = entry.get("exp_avg")
            if isinstance(kept, Kept):
                moved = kept.tensor.to(device=param.device)
                entry["exp_avg"] = round_to(moved, momentum_dtype(group, param))


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
