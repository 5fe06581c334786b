"""State dicts: momenta keep their own dtype, and other Lions' dicts are understood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lion_torch.rounding import round_to
from lion_torch.settings import Group, momentum_dtype

# Options that no Lion has, and Adam's family, whose state has an exp_avg too, does.
_FOREIGN = ("amsgrad",)

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


def check_is_lion(groups: list[Group]) -> None:
    """ValueError for groups of another optimizer, or of a Lion that is another update."""
    for group in groups:
        foreign = [name for name in _FOREIGN if name in group]
        if foreign:
            raise ValueError(
                f"the state dict has {foreign[0]!r} among its options, so it is another "
                "optimizer's; legal: a state dict of a Lion"
            )
        for name, legal in _OTHER_UPDATES.items():
            if name in group and group[name] not in legal:
                listed = ", ".join(map(repr, legal))
                raise ValueError(
                    f"the state dict has {name}={group[name]!r}, which is another update than "
                    f"Lion's; legal: {listed}"
                )
