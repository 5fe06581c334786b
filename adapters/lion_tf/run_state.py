"""A run out of a Keras optimizer and its variables, and into them (SPEC C34)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lion_ref.checks import shown, type_name
from lion_ref.run_state import Header, Here, NameMap, Unfinished, load, matched
from lion_ref.schedules import Schedule
from lion_ref.semantics import Semantics
from lion_tf.checks import path as name_of
from lion_tf.declared import declared_semantics
from lion_tf.excluded import Excluded, searched_name
from lion_tf.groups import check_schedules, joined, planned, split
from lion_tf.hyperparameters import change, check_change, numbers_of, steps_done
from lion_tf.optimizer import Lion


def export_state(
    optimizer: Lion,
    path: str | os.PathLike[str],
    *,
    lr_schedule: Schedule | None = None,
    weight_decay_schedule: Schedule | None = None,
) -> None:
    """Write a run to a file, from which every adapter goes on with the same bits (SPEC C34).

    Written are the variables that the optimizer has, by their paths, their momenta, `iterations`,
    and η, β1, β2 and λ of the next step; variables that are excluded from the decay are a group
    with λ = 0. What a model has besides, as moving averages of a BatchNormalization, is no part of
    a run. Of a variable that is mirrored on several devices one copy is written: where there are
    several workers, let one call this.

    Args:
        optimizer: built, and not in the middle of accumulating gradients.
        path: where to, as "run.safetensors". The file is put there once it is whole.
        lr_schedule: what η is of the number of steps, for who goes on. A `Schedule` that the
            optimizer has itself need not be given.
        weight_decay_schedule: the same for λ.

    Raises:
        TypeError: no `lion_tf.Lion`.
        ValueError: an optimizer that is not built, keeps moving averages (`use_ema`) or has
            gradients that are not applied yet: a run has none of these; two variables of one path;
            a schedule that does not go on with the optimizer's own number.
        OSError: the file cannot be written.
    """
    _check(optimizer)
    if not optimizer.built:
        raise ValueError(
            "optimizer has no variables yet; legal: one that is built, as by "
            "optimizer.build(model.trainable_variables)"
        )
    variables = _by_name(optimizer._trainable_variables)
    decaying = dict(zip(variables, _decaying(optimizer, list(variables.values())), strict=True))
    step = steps_done(optimizer)
    numbers = numbers_of(optimizer, lr_schedule, weight_decay_schedule)
    dtypes = [_dtype(variable) for variable in variables.values()]
    check_schedules("the optimizer", numbers, step, dtypes)
    numbers = planned(numbers, step)
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__}
    groups = split(decaying, numbers)
    semantics = _semantics(optimizer, variables.values())
    header = Header(step, groups, semantics, versions)
    described = {
        name: (tuple(variable.shape), _dtype(variable), _dtype(variable))
        for name, variable in variables.items()
    }
    with Unfinished(path, described, header) as file:
        for (name, variable), momentum in zip(variables.items(), optimizer._momentums, strict=True):
            target = file[name]
            target.param[...] = _own(variable).numpy()
            target.momentum[...] = _own(momentum).numpy()


def import_state(
    optimizer: Lion,
    path: str | os.PathLike[str],
    *,
    variables: Iterable[Any] | None = None,
    mapping: NameMap | None = None,
) -> Header:
    """Go on with a run: the variables, momenta, `iterations` and numbers of a file (SPEC C34).

    Everything is checked before anything is changed. η, β1, β2 and λ are the file's afterwards,
    and so is a schedule that it has; without one, a schedule of the optimizer stays if it goes on
    with the file's η.

    Args:
        optimizer: built or not. The variables that it excludes from the decay need λ = 0 there.
        path: the file.
        variables: what the optimizer is to be built for, as `model.trainable_variables`; needed
            if it is not built yet.
        mapping: where names or axes differ: from a name in the file to the path here, or to the
            path and an order of axes; or a function of name and shape that returns these.

    Returns:
        How many steps have been done, the groups with the paths here, the semantics, the versions.
        Where the semantics flush subnormals, steps here have the bits of one run with
        `subnormals="flush"`; the optimizer's own choice stays.

    Raises:
        TypeError: no `lion_tf.Lion`.
        ValueError: no run state, or not of these variables: all that does not fit is listed;
            numbers that differ between variables, where Keras has one for all; a momentum of
            another dtype than its variable; an optimizer that keeps moving averages or has
            gradients that are not applied yet; numbers that a traced step would not see.
        OSError: the file cannot be read.
    """
    _check(optimizer)
    steps_done(optimizer)
    listed = _variables(optimizer, variables)
    here = _by_name(listed)
    state = load(path)
    found = matched(state, {name: _here(variable) for name, variable in here.items()}, mapping)
    try:
        decaying = dict(zip(here, _decaying(optimizer, listed), strict=True))
        names = {name: mapped.name for name, mapped in found.items()}
        numbers = joined(state.header, decaying, names)
        dtypes = [_dtype(variable) for variable in listed]
        count = check_change(optimizer, numbers, state.header.step, dtypes)
    except ValueError as error:
        raise ValueError(f"{shown(str(state.path))}: {error}") from None

    with optimizer._distribution_strategy.scope():  # so that every copy is written
        optimizer.build(listed)
        for (name, variable), momentum in zip(here.items(), optimizer._momentums, strict=True):
            for target, source in zip((variable, momentum), found[name].of(state), strict=True):
                _own(target).assign(tf.constant(np.ascontiguousarray(source).reshape(source.shape)))
        optimizer._iterations.assign(count)
        change(optimizer, numbers)
    return state.header.renamed({there: here for here, there in names.items()})


def _check(optimizer: Any) -> None:
    if not isinstance(optimizer, Lion):
        inner = isinstance(getattr(optimizer, "inner_optimizer", None), Lion)
        legal = "lion_tf.Lion"
        if inner:
            legal += ", as its inner_optimizer is; the loss scale is no part of a run"
        raise TypeError(f"optimizer is of type {type_name(optimizer)}; legal: {legal}")
    if optimizer.use_ema:
        raise ValueError(
            "optimizer keeps moving averages of the variables, which no run has; legal: "
            "use_ema=False"
        )


def _variables(optimizer: Lion, variables: Iterable[Any] | None) -> list[Any]:
    """What the optimizer is built for, or is to be."""
    given = None if variables is None else list(variables)
    if not optimizer.built:
        if given is None:
            raise ValueError(
                "optimizer has no variables yet; legal: variables=model.trainable_variables, or "
                "an optimizer that is built"
            )
        return given
    built = list(optimizer._trainable_variables)
    key = optimizer._var_key
    if given is not None and set(map(key, given)) != set(map(key, built)):
        raise ValueError("optimizer is built for other variables than these; legal: those, or None")
    return built


def _by_name(variables: Sequence[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for variable in variables:
        name = name_of(variable)
        if name in found:
            raise ValueError(
                f"two variables have the path {shown(name)}; legal: a path each, as layers of "
                "other names give"
            )
        if getattr(variable, "overwrite_with_gradient", False):
            raise ValueError(
                f"variable {shown(name)} is overwritten with its gradient, which no run has; "
                "legal: variables that Lion updates"
            )
        found[name] = variable
    return found


def _decaying(optimizer: Lion, variables: list[Any]) -> list[bool]:
    """For each variable whether it has a decay, be the optimizer built or not."""
    if optimizer._excluded_config and variables:
        excluded = Excluded.found(optimizer._excluded_config(), variables)
        optimizer = Lion()
        optimizer._exclude(excluded)
    return [optimizer._use_weight_decay(searched_name(x)[0]) for x in variables]


def _semantics(optimizer: Lion, variables: Iterable[Any]) -> Semantics:
    """What is declared for the devices on which the variables lie."""
    local = tf.distribute.get_strategy().experimental_local_results
    devices = {copy.device for variable in variables for copy in local(_own(variable))}
    rule = optimizer.subnormals
    found = {x: declared_semantics(x, subnormals=rule) for x in sorted(devices)}
    if len(set(found.values())) > 1:
        words = ", ".join(f"{x.describe()} on {device}" for device, x in found.items())
        raise ValueError(f"the variables' devices differ: {words}; legal: devices of one semantics")
    return next(iter(found.values()), Semantics())


def _own(variable: Any) -> Any:
    """TensorFlow's variable."""
    return searched_name(variable)[0]


def _dtype(variable: Any) -> str:
    name: str = tf.as_dtype(variable.dtype).name
    return name


def _here(variable: Any) -> Here:
    """A variable's shape and dtype, which is its momentum's too."""
    return Here(tuple(variable.shape), _dtype(variable), _dtype(variable))
