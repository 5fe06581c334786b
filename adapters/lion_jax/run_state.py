"""A run to and from a file that every framework goes on from, bit for bit (SPEC C34)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import optax

from lion_jax.checks import check_as_stored, is_abstract, leaves_like, naming
from lion_jax.mask import as_boolean, is_none, spread
from lion_jax.names import by_name
from lion_jax.scalars import is_traced, rate_at
from lion_jax.shards import opened, placed, write
from lion_jax.state import LionState, count_beside, whole_state
from lion_jax.transformation import LionTransformation, lion
from lion_ref import Semantics
from lion_ref.arithmetic import round_to
from lion_ref.checks import check_shapes, shown, type_name
from lion_ref.dtypes import STORAGE_DTYPES, check_dtypes, compute_dtype, storage_name
from lion_ref.run_state import Group, Header, Here, NameMap, Tensors, Unfinished, load, matched
from lion_ref.schedules import Schedule, check_schedule

Tree = Any
_LATEST = np.iinfo(np.int32).max


def export_state(
    state: Any,
    path: str | os.PathLike[str],
    *,
    params: Tree,
    tx: LionTransformation,
    lr_schedule: Schedule | None = None,
    weight_decay_schedule: Schedule | None = None,
) -> None:
    """Write a run to a file, from which every adapter's import_state goes on (SPEC C34).

    A parameter's name is its path in the tree, "dense/kernel". Each shard is written to its place
    in the file, one after another, and nothing is gathered. Where there are several processes each
    of them calls this, with a path on a file system that all of them share.

    Args:
        state: of `tx`: a LionState, optax.lion's, or a chain's that holds nothing else.
        path: where to; what is there stays until the new file is whole.
        params: the parameters.
        tx: the `lion` that goes on with them, for η, β1, β2, λ and the mask: where that is False,
            λ is 0. A schedule of optax is evaluated at the state's count, for the step that comes
            next; of a `lion_ref.schedules.Schedule` the file has the name, too.
        lr_schedule: what makes η of the steps done, if tx has it in another form.
        weight_decay_schedule: what makes λ, likewise.

    Raises:
        TypeError, ValueError: a state, a tree, a dtype or a number that no file can have; a
            schedule whose number for the next step is not that of tx. The path is as it was.
        OSError: the file cannot be written.

    >>> import tempfile, jax.numpy as jnp
    >>> path = tempfile.mktemp(suffix=".safetensors")
    >>> tx, params = lion(1e-4), {"dense": {"kernel": jnp.ones((3, 2))}}
    >>> export_state(tx.init(params), path, params=params, tx=tx)
    >>> params, state, header = import_state(path, params=params)
    >>> header.groups[0].names, header.groups[0].lr, int(state.count)
    (('dense/kernel',), 0.0001, 0)
    """
    if not isinstance(tx, LionTransformation):
        raise TypeError(f"tx is of type {type_name(tx)}; legal: what lion_jax.lion gives")
    found = whole_state(state)
    _check_valued("state.count", found.count)
    tensors = _tensors(params, found.mu)
    schedules = {"learning_rate": lr_schedule, "weight_decay": weight_decay_schedule}
    groups = _groups(tx, tensors, _decaying(tx, params), found.count, schedules)
    header = Header(int(found.count), groups, _semantics(tx, tensors), _versions())
    file = Unfinished(path, {name: _described(*pair) for name, pair in tensors.items()}, header)
    with opened(file):
        for name, pair in tensors.items():
            for target, source in zip(file[name], pair, strict=True):
                write(target, source)


def import_state(
    path: str | os.PathLike[str], *, params: Tree, mapping: NameMap | None = None
) -> tuple[Tree, Any, Header]:
    """A run from a file, as this framework has it (SPEC C34).

    Args:
        path: what any adapter's export_state has written.
        params: a tree like the parameters: arrays, whose values do not matter, or
            jax.ShapeDtypeStructs. What is loaded lies as they do: of a sharded one each device gets
            its part alone.
        mapping: where names or axes differ: from a name in the file to the name here, or to name
            and axes as in `numpy.transpose`; or a function that gives either, of name and shape.

    Returns:
        The parameters; the LionState, its momenta in the dtypes that the file has; and the header,
        its groups with the names here, of which `from_header` makes the transformation.

    Raises:
        ValueError: no run state; one that does not fit, with all that does not; a step that int32
            does not hold. TypeError: a float64 while jax_enable_x64 is off.
        OSError: the file cannot be read.
    """
    run = load(path)
    if run.header.step > _LATEST:
        raise ValueError(f"{path}: {run.header.step} steps are done; legal: up to {_LATEST}")
    leaves = by_name(params)
    here = {}
    for name, (place, leaf) in leaves.items():
        with naming(place):
            _check_array("param", leaf)
            here[name] = Here(tuple(leaf.shape), storage_name(leaf.dtype, "param"))
    found = matched(run, here, mapping)
    for name, (place, _) in leaves.items():
        with naming(place):
            dtypes = run.tensors.dtypes(found[name].name)
            for kind, dtype in zip(Tensors._fields, dtypes, strict=True):
                check_as_stored(kind, STORAGE_DTYPES[dtype])
    loaded = []
    for name, (place, leaf) in leaves.items():
        with naming(place):
            loaded.append([placed(x, leaf) for x in found[name].of(run)])
    structure: Any = jax.tree.structure(params)
    theta, m = (structure.unflatten([pair[i] for pair in loaded]) for i in range(2))
    header = run.header.renamed({at.name: name for name, at in found.items()})
    return theta, LionState(count_beside(params, run.header.step), m), header


def from_header(header: Header, params: Tree, **options: Any) -> LionTransformation:
    """The `lion` that goes on with a run whose header `import_state` has returned.

    Args:
        header: what import_state returned. Where its semantics flush subnormals, steps have the
            bits of one run with `subnormals="flush"`, which a CPU has anyway.
        params: the tree, for the mask: where a group's λ is 0 and another's is not.
        **options: of `lion`, other than the numbers.

    Raises:
        ValueError: groups that one transformation cannot have, or that are of other parameters.

    >>> header = Header(7, (Group(lr=1e-4, weight_decay=0.1, names=("w",)),))
    >>> from_header(header, {"w": 0.0}).given.weight_decay
    0.1
    """
    names = by_name(params)
    groups = header.of(names).groups
    decaying = [x for x in groups if x.weight_decay or x.weight_decay_schedule]
    numbers = {replace(x, names=()) for x in decaying or groups}
    others = {replace(x, weight_decay=0.0, weight_decay_schedule=None, names=()) for x in groups}
    if not len(numbers) == len(others) == 1:
        raise ValueError(
            f"the run has {len(groups)} groups, which differ in more than λ = 0; legal: one "
            "lion for each, in optax.partition"
        )
    one = (decaying or groups)[0]
    structure: Any = jax.tree.structure(params)
    decays = {name for group in decaying for name in group.names or ()}
    mask = [name in decays for name in names]
    return lion(
        one.lr_schedule or one.lr,
        one.beta1,
        one.beta2,
        weight_decay=one.weight_decay_schedule or one.weight_decay,
        mask=None if all(mask) or not decaying else structure.unflatten(mask),
        **options,
    )


def _tensors(params: Tree, mu: Tree) -> dict[str, Tensors]:
    """θ and m by name, checked."""
    momenta = leaves_like(jax.tree.structure(params), "state.mu", mu)
    found = {}
    for (name, (place, theta)), m in zip(by_name(params).items(), momenta, strict=True):
        with naming(place):
            for argument, x in (("param", theta), ("momentum", m)):
                _check_array(argument, x)
                _check_valued(argument, x)
            check_dtypes(theta.dtype, m.dtype, theta.dtype)
            check_shapes(theta.shape, momentum=m.shape)
        found[name] = Tensors(theta, m)
    return found


def _described(theta: Any, m: Any) -> tuple[tuple[int, ...], str, str]:
    return tuple(theta.shape), storage_name(theta.dtype), storage_name(m.dtype)


def _check_array(argument: str, x: Any) -> None:
    if not (hasattr(x, "shape") and hasattr(x, "dtype")):
        raise TypeError(
            f"{argument} is of type {type_name(x)}; legal: an array, None. Of a tree that has "
            "others, the part that is trained"
        )


def _check_valued(argument: str, x: Any) -> None:
    if is_traced(x) or is_abstract(x):
        raise TypeError(
            f"{argument} has no values, a {type_name(x)}; legal: an array, outside jit, vmap, grad "
            "and eval_shape"
        )


def _decaying(tx: LionTransformation, params: Tree) -> list[bool]:
    """For each parameter whether its λ is that of tx."""
    structure: Any = jax.tree.structure(params, is_leaf=is_none)
    mask = leaves_like(structure, "mask", spread(tx.given.mask, params))
    leaves = structure.flatten_up_to(params)
    return [as_boolean(x) for x, leaf in zip(mask, leaves, strict=True) if leaf is not None]


def _groups(
    tx: LionTransformation,
    tensors: Mapping[str, Tensors],
    decaying: list[bool],
    count: Any,
    schedules: Mapping[str, Schedule | None],
) -> tuple[Group, ...]:
    """The parameters that decay, and those that do not."""
    computes = {compute_dtype(pair.param.dtype) for pair in tensors.values()}
    numbers = {name: _number(name, tx, count, named, computes) for name, named in schedules.items()}
    (lr, lr_schedule), decay = numbers["learning_rate"], numbers["weight_decay"]
    found = []
    for decays in sorted(set(decaying), reverse=True):
        own_decay, own_schedule = decay if decays else (0.0, None)
        names = tuple(x for x, d in zip(tensors, decaying, strict=True) if d == decays)
        beta1, beta2 = _known("b1", tx.given.b1), _known("b2", tx.given.b2)
        found.append(Group(lr, beta1, beta2, own_decay, names, lr_schedule, own_schedule))
    return tuple(found)


def _number(
    name: str, tx: LionTransformation, count: Any, named: Schedule | None, computes: Any
) -> tuple[float, Schedule | None]:
    """η or λ of the step that comes next, and the schedule that it is of, if that has a name."""
    given = getattr(tx.given, name)
    value = _known(name, rate_at(name, given, count))
    own = given if isinstance(given, Schedule) else None
    argument = "lr_schedule" if name == "learning_rate" else "weight_decay_schedule"
    check_schedule(argument, named)
    if named is None:
        return value, own
    expected = named(int(count))
    wide = np.array([value, expected])
    if own not in (None, named) or any(len(set(round_to(wide, x))) > 1 for x in computes):
        raise ValueError(
            f"{argument}={shown(named)} is not legal: it gives {expected!r} after {int(count)} "
            f"steps, but tx has {shown(own or value)}; legal: what tx has, None"
        )
    return expected, named


def _known(name: str, value: Any) -> float:
    if is_traced(value):
        raise TypeError(f"{name} of tx is traced; legal: a number that is known, outside jit")
    return float(value)


def _semantics(tx: LionTransformation, tensors: Mapping[str, Tensors]) -> Semantics:
    """That of tx where the tensors lie."""
    arrays = [x for pair in tensors.values() for x in pair if isinstance(x, jax.Array)]
    devices: set[Any] = set().union(*(x.sharding.device_set for x in arrays))
    platforms = {device.platform for device in devices}
    found = {x: tx.given.semantics(x) for x in platforms or {jax.default_backend()}}
    if len(set(found.values())) > 1:
        each = ", ".join(f"{x}: {found[x].describe()}" for x in sorted(found))
        raise ValueError(f"the tensors lie where steps have several semantics ({each}); legal: one")
    return next(iter(found.values()))


def _versions() -> dict[str, str]:
    return {"jax": jax.__version__, "optax": optax.__version__}
