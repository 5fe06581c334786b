"""η, β1, β2 and λ of a Keras optimizer as a run's groups, and of a run's groups for Keras.

Keras has one η, β1, β2 and λ for all variables, and a list of those without a decay: that is one
group, or two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from lion_ref.arithmetic import round_to
from lion_ref.checks import listed, shown
from lion_ref.dtypes import compute_dtype
from lion_ref.hyperparameters import finite_in
from lion_ref.run_state import Group, Header
from lion_ref.schedules import Schedule


def split(decaying: Mapping[str, bool], numbers: Group) -> tuple[Group, ...]:
    """The groups of these names: with these numbers, and, without a decay, with λ = 0."""
    with_decay = tuple(name for name, decays in decaying.items() if decays)
    without = tuple(name for name, decays in decaying.items() if not decays)
    bare = replace(numbers, names=without, weight_decay=0.0, weight_decay_schedule=None)
    groups = (replace(numbers, names=with_decay), bare)
    return tuple(group for group in groups if group.names)


def joined(header: Header, decaying: Mapping[str, bool], names: Mapping[str, str]) -> Group:
    """The one η, β1, β2 and λ that Keras takes for a run's groups.

    Args:
        header: the run's, its groups with the names of the file.
        decaying: by name, whether a variable here has a decay.
        names: the name in the file, by the name here.

    Raises:
        ValueError: Keras cannot have both of two groups' numbers; in one line which.
    """
    groups = {here: header.group_of(names[here]) for here in decaying}
    first = next(iter(groups), None)
    if first is None:
        return replace(header.groups[0], names=None) if header.groups else Group(lr=0.0)
    for field in ("lr", "beta1", "beta2", "lr_schedule"):
        for name, group in groups.items():
            if getattr(group, field) != getattr(groups[first], field):
                raise ValueError(
                    f"{field} is {shown(getattr(groups[first], field))} of {shown(first)} and "
                    f"{shown(getattr(group, field))} of {shown(name)} in the file, but a Keras "
                    f"optimizer has one for all; legal: one {field}"
                )
    decays = {name: groups[name] for name, decays in decaying.items() if decays}
    bare = {name: groups[name] for name, decays in decaying.items() if not decays}
    for name, group in bare.items():
        if _decay(group) != (0.0, None):
            raise ValueError(
                f"{shown(name)} is excluded from the weight decay here, but has λ = "
                f"{shown(group.weight_decay)} in the file; legal: an optimizer that does not "
                "exclude it"
            )
    found = {_decay(group): name for name, group in reversed(decays.items())}
    if len(found) > 1:
        others = [name for name, group in decays.items() if _decay(group) == (0.0, None)]
        legal = "one λ, and 0 for variables that the optimizer excludes from the decay"
        if len(found) == 2 and others:
            excluded = listed(list(map(shown, others)))
            legal = f"{legal}, by exclude_from_weight_decay before it is built: {excluded}"
        (one, of_one), (other, of_other) = list(found.items())[-1:-3:-1]
        raise ValueError(
            f"λ is {shown(one[0])} of {shown(of_one)} and {shown(other[0])} of "
            f"{shown(of_other)} in the file, but a Keras optimizer has one; legal: {legal}"
        )
    chosen = groups[next(iter(decays), first)]
    return replace(chosen, names=None)


def check_schedules(of: str, numbers: Group, step: int, dtypes: Iterable[str]) -> None:
    """ValueError unless the schedules go on with η and λ, the numbers of the next step."""
    for name in ("lr", "weight_decay"):
        schedule = getattr(numbers, f"{name}_schedule")
        if schedule is not None:
            given, number = schedule(step), getattr(numbers, name)
            if not alike(given, number, dtypes):
                raise ValueError(
                    f"{name}_schedule gives {given!r} for the step after {step}, but {of} has "
                    f"{number!r} there; legal: a schedule that goes on with it"
                )


def planned(numbers: Group, step: int) -> Group:
    """The same with η and λ in binary64, as the schedules give them for the next step."""
    rate, decay = numbers.lr_schedule, numbers.weight_decay_schedule
    return replace(
        numbers,
        lr=rate(step) if rate else numbers.lr,
        weight_decay=decay(step) if decay else numbers.weight_decay,
    )


def alike(one: float, other: float, dtypes: Iterable[str]) -> bool:
    """Whether steps of these dtypes round two numbers to the same."""
    return all(
        round_to(np.float64(one), compute) == round_to(np.float64(other), compute)
        for compute in map(compute_dtype, set(dtypes))
    )


def check_finite(numbers: Group, dtypes: Iterable[str]) -> None:
    """ValueError for numbers that are not finite in a compute dtype."""
    for dtype in set(dtypes):
        for name in ("lr", "weight_decay"):
            finite_in(name, getattr(numbers, name), compute_dtype(dtype))


def _decay(group: Group) -> tuple[float, Schedule | None]:
    return group.weight_decay, group.weight_decay_schedule
