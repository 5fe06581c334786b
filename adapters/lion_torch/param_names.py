"""Which tensor of a model's state dict each parameter of an optimizer's state dict is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from lion_ref.checks import shown

if TYPE_CHECKING:
    from lion_torch.scalars import Group

_BUFFERS = ("running_mean", "running_var")
"""Of BatchNorm and InstanceNorm: the floating buffers that torch's own modules save."""

_MOST_WAYS = 10_000
"""To share out a model's first tensors among the groups, beyond which no more are looked at."""

_LEGAL = (
    "param_names in the groups, as an optimizer of model.named_parameters() saves them since torch "
    "2.5: load the file where it was made, give the optimizer names, and save it again"
)

_Shape = tuple[int, ...] | None


def param_names(
    groups: Sequence[Group], state: Mapping[Any, Any], model: Mapping[str, Any]
) -> list[list[str]]:
    """The names of each group's parameters, in their order.

    They are the groups' param_names, or their keys where these are names, as in
    torch.distributed.checkpoint's state dicts. Else each group has its parameters in the order of
    the model's tensors, in one way that fits the shapes of all momenta.

    Raises:
        ValueError: a name that the model does not have, or that two have; no such way, or several.
    """
    if all("param_names" in group for group in groups):
        names = [_listed(group) for group in groups]
    elif all(isinstance(key, str) for group in groups for key in group["params"]):
        names = [list(group["params"]) for group in groups]
    else:
        names = _by_shape([[_shape(state, key) for key in x["params"]] for x in groups], model)
    seen: set[str] = set()
    for name in (name for own in names for name in own):
        if name not in model:
            raise ValueError(
                f"the optimizer's parameter {shown(name)} is not among the model's tensors; legal: "
                "a state dict of the very model that the optimizer was made of"
            )
        if name in seen:
            raise ValueError(f"the optimizer has {shown(name)} twice; legal: once")
        seen.add(name)
    return names


def _listed(group: Group) -> list[str]:
    names = group["param_names"]
    if (
        not isinstance(names, (list, tuple))
        or len(names) != len(group["params"])
        or not all(isinstance(name, str) for name in names)
    ):
        raise ValueError(
            f"a group of {len(group['params'])} parameters has param_names={shown(names)}; legal: "
            "a name for each"
        )
    return list(names)


def _shape(state: Mapping[Any, Any], key: Any) -> _Shape:
    """Of a parameter's momentum; None if it has none yet."""
    momentum = state.get(key, {}).get("exp_avg")
    return tuple(momentum.shape) if isinstance(momentum, Tensor) else None


class _Way(NamedTuple):
    """A way to share out the first tensors: the last that a group has got, and the way before."""

    group: int
    name: str
    before: _Way | None
    only: bool


def _by_shape(groups: Sequence[Sequence[_Shape]], model: Mapping[str, Any]) -> list[list[str]]:
    candidates = _candidates(model)
    wanted = sum(map(len, groups))
    if len(candidates) < wanted:
        raise ValueError(
            f"the optimizer has {wanted} parameters, and the model {len(candidates)} tensors that "
            "could be they; legal: a state dict of the very model that the optimizer was made of"
        )
    spare = len(candidates) - wanted
    start, end = (0,) * len(groups), tuple(map(len, groups))
    # By how many each group has: one way to get there, and whether it is the only one.
    ways: dict[tuple[int, ...], _Way | None] = {start: None}
    for number, (name, shape) in enumerate(candidates):
        further: dict[tuple[int, ...], _Way | None] = {}
        for counts, way in ways.items():
            if number - sum(counts) < spare:  # a buffer, or a parameter that is not trained
                _add(further, counts, way)
            for group, count in enumerate(counts):
                if count < end[group] and groups[group][count] in (None, shape):
                    more = (*counts[:group], count + 1, *counts[group + 1 :])
                    _add(further, more, _Way(group, name, way, way is None or way.only))
        ways = further
        if len(ways) > _MOST_WAYS:
            raise ValueError(f"too many ways to name the optimizer's parameters; legal: {_LEGAL}")
    if end not in ways:
        raise ValueError(
            "the momenta do not have the shapes of the model's tensors, in their order; legal: "
            f"{_LEGAL}"
        )
    way = ways[end]
    if way is not None and not way.only:
        raise ValueError(
            "which of the model's tensors are the optimizer's parameters cannot be told by their "
            f"order and shapes: there are several ways; legal: {_LEGAL}"
        )
    names: list[list[str]] = [[] for _ in groups]
    while way is not None:
        names[way.group].append(way.name)
        way = way.before
    return [own[::-1] for own in names]


def _add(
    ways: dict[tuple[int, ...], _Way | None], counts: tuple[int, ...], way: _Way | None
) -> None:
    """Another way to these counts: where there is one already, neither is the only one."""
    if counts in ways and way is not None:
        way = way._replace(only=False)
    ways[counts] = way


def _candidates(model: Mapping[str, Any]) -> list[tuple[str, tuple[int, ...]]]:
    """The tensors that can be parameters, with their shapes; of tied ones the first."""
    found = []
    seen = set()
    for name, tensor in model.items():
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            continue
        if name.rpartition(".")[2] in _BUFFERS:
            continue
        memory = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride())
        if tensor.numel() and memory in seen:
            continue
        seen.add(memory)
        found.append((name, tuple(tensor.shape)))
    return found
