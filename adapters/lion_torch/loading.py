"""State dicts: momenta keep their own dtype, and other Lions' dicts are understood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lion_torch.rounding import round_to
from lion_torch.settings import Group, dtype_name, momentum_dtype

# What no Lion keeps beside its momentum, and other optimizers of torch.optim do.
_FOREIGN_STATE = (
    "exp_avg_sq",
    "exp_inf",
    "momentum_buffer",
    "square_avg",
    "acc_delta",
    "sum",
    "prev",
    "ax",
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


def check_momenta(keys: list[Any], params: list[Tensor], state: dict[Any, Any]) -> None:
    """Refuse what cannot be a parameter's momentum; keys are those of the parameters in state."""
    for key, param in zip(keys, params, strict=False):
        entry = state.get(key)
        if not isinstance(entry, dict) or "exp_avg" not in entry:
            continue
        momentum = entry["exp_avg"]
        name = f"the state dict's exp_avg of parameter {key!r}"
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
                    f"the state dict has {name}={group[name]!r}, which is another update than "
                    f"Lion's; legal: {listed}"
                )
