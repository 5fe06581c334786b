"""The numbers of parameter groups, to and from those of a run state's groups (SPEC C34)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from lion_ref import CANONICAL, run_state
from lion_ref.checks import shown
from lion_ref.schedules import Schedule, check_schedule
from lion_torch.checks import check_group, check_not_inference, momentum_dtype
from lion_torch.declared import declared_semantics
from lion_torch.scalars import compute_dtype, dtype_name, read_values
from lion_torch.state import settle, shared_momentum_dtype

if TYPE_CHECKING:
    from lion_ref import Semantics
    from lion_ref.run_state import Header
    from lion_torch.scalars import Group

Schedules: TypeAlias = "Schedule | Sequence[Schedule | None] | None"

NUMBERS = ("lr", "weight_decay")
"""Of a group's, those that may be tensors and may have a schedule."""


def check_direction(number: int, group: Group) -> None:
    """ValueError for maximize=True."""
    if group.get("maximize"):
        raise ValueError(
            f"group {number} has maximize=True, which a run state cannot tell, and whoever goes on "
            "would step the other way; legal: maximize=False, with the gradients of the negated "
            "objective"
        )


def semantics(groups: Sequence[Group]) -> Semantics:
    """Which bits the steps of all groups have; ValueError where those of two differ."""
    found = {declared_semantics(group["subnormals"]): group["subnormals"] for group in groups}
    if len(found) > 1:
        listed = ", ".join(map(repr, found.values()))
        raise ValueError(
            f"groups have subnormals={listed}, but a run state has one semantics; legal: the same "
            "in all groups"
        )
    return next(iter(found), CANONICAL)


def written(
    groups: Sequence[Group],
    names: Sequence[Sequence[str]],
    *,
    step: int,
    lr_schedule: Schedules = None,
    weight_decay_schedule: Schedules = None,
) -> tuple[run_state.Group, ...]:
    """What a run state has of some groups, whose parameters have these names, before a step.

    Raises:
        TypeError, ValueError: a number that is not legal, or not the one that its schedule has.
    """
    schedules = zip(
        _for_each(len(groups), "lr_schedule", lr_schedule),
        _for_each(len(groups), "weight_decay_schedule", weight_decay_schedule),
        strict=True,
    )
    found = []
    for number, (group, own, (lr, weight_decay)) in enumerate(
        zip(groups, names, schedules, strict=True)
    ):
        check_direction(number, group)
        values = asdict(read_values(group, wait=True))
        for name, schedule in zip(NUMBERS, (lr, weight_decay), strict=True):
            if schedule is not None and _held(group[name], schedule(step)) != values[name]:
                raise ValueError(
                    f"{name}={values[name]} of group {number} is not legal; legal: "
                    f"{schedule(step)}, which its schedule has after {step} steps and "
                    "scheduler.step() sets"
                )
        found.append(
            run_state.Group(
                **values,
                names=tuple(own),
                lr_schedule=lr,
                weight_decay_schedule=weight_decay,
            )
        )
    return tuple(found)


def _for_each(groups: int, name: str, schedules: Any) -> Sequence[Schedule | None]:
    if schedules is None or isinstance(schedules, Schedule):
        return [schedules] * groups
    if not isinstance(schedules, (list, tuple)) or len(schedules) != groups:
        raise ValueError(
            f"{name}={shown(schedules)} is not legal; legal: a lion_ref.schedules.Schedule, None, "
            f"or a list with one of them for each of {groups} groups"
        )
    for schedule in schedules:
        check_schedule(name, schedule)
    return schedules


def read(
    groups: Sequence[Group],
    names: Sequence[Mapping[str, Tensor]],
    header: Header,
    dtypes: Mapping[str, tuple[str, str]],
) -> list[dict[str, Any]]:
    """The options that some groups are to have, of those of a run state, checked.

    Args:
        groups: as they are.
        names: for each of them its parameters, by their names in the file.
        header: of the file.
        dtypes: those of θ and m in the file, by name.

    Raises:
        TypeError, ValueError: numbers that a group cannot have, or parameters of one group with
            several numbers, or momenta of several dtypes.
        RuntimeError: a number's tensor that cannot be set.
    """
    found = []
    for number, (group, params) in enumerate(zip(groups, names, strict=True)):
        check_direction(number, group)
        values: dict[str, Any] = {}
        if params:
            numbers = _one(number, params, header).hyperparameters
            values = {
                "lr": numbers.lr,
                "betas": (numbers.beta1, numbers.beta2),
                "weight_decay": numbers.weight_decay,
            }
            theirs = {name: dtypes[name] for name in params}
            if any(dtype_name(momentum_dtype(group, p)) != theirs[x][1] for x, p in params.items()):
                values["momentum_dtype"] = shared_momentum_dtype(theirs)
            check_group({**group, **values})
        found.append(values)
    _check_held(groups, found)
    return found


def assign(group: Group, values: Mapping[str, Any]) -> None:
    """Give a group its options; a tensor stays the one that it is, as a CUDA graph may read it."""
    for name, value in values.items():
        if isinstance(group[name], Tensor):
            group[name].fill_(value)
        else:
            group[name] = value
    settle(group)


def _one(number: int, params: Mapping[str, Tensor], header: Header) -> run_state.Group:
    """The one group of the file whose numbers and schedules all of the parameters have."""
    found = {replace(header.group_of(name), names=None): name for name in params}
    if len(found) > 1:
        listed = "; ".join(f"{shown(name)} has {_words(group)}" for group, name in found.items())
        raise ValueError(
            f"the parameters of group {number} have several numbers in the file: {listed}; legal: "
            "a group here for each of the file's"
        )
    return next(iter(found))


def _words(group: run_state.Group) -> str:
    """Its numbers, and the schedules that it has."""
    return ", ".join(
        f"{name}={value!r}"
        for name, value in asdict(group).items()
        if name != "names" and value is not None
    )


def _check_held(groups: Sequence[Group], found: Sequence[Mapping[str, Any]]) -> None:
    """Refuse where an option that is a tensor cannot be set, or not to the number's bits."""
    given: dict[int, float] = {}
    for number, (group, values) in enumerate(zip(groups, found, strict=True)):
        for name in NUMBERS:
            tensor = group[name]
            if not values or not isinstance(tensor, Tensor):
                continue
            check_not_inference(f"{name} of group {number}", tensor)
            held = _held(tensor, values[name])
            for param in group["params"]:
                compute = compute_dtype(param.dtype, param.dtype, param.dtype)
                both = (torch.tensor(x, dtype=compute) for x in (held, values[name]))
                if not torch.equal(*both):
                    raise ValueError(
                        f"{name} of group {number} is a {dtype_name(tensor.dtype)} tensor, which "
                        f"would make {held} of the file's {values[name]}; legal: a float64 tensor, "
                        "a number"
                    )
            if given.setdefault(id(tensor), values[name]) != values[name]:
                raise ValueError(
                    f"{name} of group {number} is a tensor that another group has too, but the "
                    f"file has {values[name]} and {given[id(tensor)]} for them; legal: a tensor, "
                    "or a number, for each"
                )


def _held(option: Any, value: float) -> float:
    """What an option holds once it is set to a value: a tensor rounds it to its dtype."""
    if isinstance(option, Tensor):
        return float(torch.tensor(value, dtype=option.dtype).item())
    return value
