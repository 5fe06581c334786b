"""A run out of PyTorch and into it, as a file that every framework goes on from (SPEC C34)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from lion_ref import run_state
from lion_ref.checks import shown, type_name
from lion_ref.run_state import Header, Here, Unfinished, matched
from lion_torch import options
from lion_torch.arrays import as_tensor
from lion_torch.checks import check_group, check_tensors, momentum_dtype
from lion_torch.layout import local
from lion_torch.optimizer import Lion
from lion_torch.scalars import dtype_name
from lion_torch.shards import Processes, is_sharded, place

if TYPE_CHECKING:
    import os

    from lion_ref.run_state import NameMap
    from lion_torch.options import Schedules
    from lion_torch.scalars import Group

__all__ = ["export_state", "import_state"]

Named: TypeAlias = "torch.nn.Module | Iterable[tuple[str, Tensor]]"


@torch.no_grad()
def export_state(
    optimizer: Lion,
    path: str | os.PathLike[str],
    *,
    model: Named,
    step: int,
    lr_schedule: Schedules = None,
    weight_decay_schedule: Schedules = None,
) -> None:
    """Write a run to a file, from which every framework goes on with the same bits (SPEC C34).

    Parameters, momenta, the groups' numbers and the number of steps go there, one tensor at a time,
    in their own dtypes. A momentum that has not been made yet is zeros. The old file stays until
    the new one is whole.

    A schedule that every framework has is a `lion_ref.schedules.Schedule`:
    `LambdaLR(Lion(params, lr=1.0), schedule)` has its η at every step, to the bit. To go on with
    it, make both as at first, then `import_state`, then `scheduler.last_epoch = header.step`.

    A run of DTensors, as `fully_shard` makes them, is written by all processes of torch.distributed
    together, each its shards, to a file that all of them see: each makes the same call. Any other
    run is written by whoever calls: with DistributedDataParallel, let one process call.

    Args:
        optimizer: whose state it is.
        path: where to.
        model: whose `named_parameters` give the names, or (name, parameter) pairs. A parameter that
            the optimizer does not have is not part of the run. Of several names the first counts.
            A wrapper's prefix would be in the names: give the model that is wrapped.
        step: how many steps have been done.
        lr_schedule: what makes η of the steps done, for all groups, or a list with one, or None,
            for each.
        weight_decay_schedule: likewise, of λ.

    Raises:
        TypeError, ValueError, RuntimeError: what a step would refuse, and what a file cannot tell:
            a parameter without a name, maximize=True, a group with another number than its
            schedule.
        OSError: the file cannot be written.

    >>> import tempfile, lion_ref.run_state
    >>> model = torch.nn.Linear(3, 2)
    >>> path = tempfile.mkdtemp() + "/run.safetensors"
    >>> export_state(Lion(model.parameters(), lr=1e-3), path, model=model, step=0)
    >>> sorted(lion_ref.run_state.load(path).tensors)
    ['bias', 'weight']
    """
    processes = _processes(optimizer)
    with processes.agreed():
        members = _members(optimizer, model)
        groups = options.written(
            optimizer.param_groups,
            [[x.name for x in group] for group in members],
            step=step,
            lr_schedule=lr_schedule,
            weight_decay_schedule=weight_decay_schedule,
        )
        semantics = options.semantics(optimizer.param_groups)
        header = Header(step, groups, semantics, {"torch": str(torch.__version__)})
        every = [x for group in members for x in group]
        described = {
            x.name: (tuple(x.param.shape), dtype_name(x.param.dtype), x.momentum_dtype)
            for x in every
        }
        file = Unfinished(path, described, header)
        places = {tensor: place(tensor) for x in every for tensor in x.tensors}
    processes.require_same("names, shapes, dtypes or numbers", (described, header))
    with file.shared(processes.agreed, first=processes.first):
        for x in every:
            # A momentum that has not been made is zeros, as all of the new file is.
            for target, tensor in zip(file[x.name], x.tensors, strict=False):
                if processes.writes(tensor):
                    as_tensor(target[(*places[tensor], ...)]).copy_(local(tensor))


@torch.no_grad()
def import_state(
    optimizer: Lion,
    path: str | os.PathLike[str],
    *,
    model: Named,
    mapping: NameMap | None = None,
) -> Header:
    """Go on with the run in a file: θ, m and the groups' numbers, in place (SPEC C34).

    A tensor is read when it is written to, by each process the shard that it has; the file may be
    of another number of processes, and of another framework. A momentum keeps the dtype that it has
    in the file, which becomes its group's momentum_dtype. Gradients stay, and so does what a
    scheduler has: see `export_state`.

    Args:
        optimizer: has the parameters; its η, β1, β2 and λ become those of the file.
        path: of the file.
        model: as in `export_state`.
        mapping: where names or axes differ: the file's name to the name here, or to the name here
            and the axes of the file's tensor, as `numpy.transpose` takes them; or a function of
            name and shape that gives one of these.

    Returns:
        The rest of the run: the number of steps done, the groups with their schedules and the names
        here, and the semantics of its steps. Where these flush subnormals, steps here have the bits
        of one run with `subnormals="flush"`; the optimizer's own choice stays.

    Raises:
        TypeError, ValueError, RuntimeError: all that does not fit, what a step would refuse, and a
            group here whose parameters have several numbers in the file. Nothing has been changed.
        OSError: the file cannot be read. Where that, or no memory, comes in the middle, some
            tensors are the file's already: import again before the next step.

    >>> import tempfile
    >>> model = torch.nn.Linear(3, 2)
    >>> path = tempfile.mkdtemp() + "/run.safetensors"
    >>> export_state(Lion(model.parameters(), lr=1e-3), path, model=model, step=7)
    >>> again = torch.nn.Linear(3, 2)
    >>> optimizer = Lion(again.parameters())
    >>> import_state(optimizer, path, model=again).step, optimizer.param_groups[0]["lr"]
    (7, 0.001)
    """
    processes = _processes(optimizer)
    with processes.agreed():
        members = _members(optimizer, model)
        every = [x for group in members for x in group]
        state = run_state.load(path)
        here = {x.name: Here(tuple(x.param.shape), dtype_name(x.param.dtype)) for x in every}
        found = matched(state, here, mapping)
        dtypes = {x.name: state.tensors.dtypes(x.name) for x in found.values()}
        values = options.read(
            optimizer.param_groups,
            [{found[x.name].name: x.param for x in group} for group in members],
            state.header,
            dtypes,
        )
        pairs = {x.name: (x.param, x.momentum_of(dtypes[found[x.name].name][1])) for x in every}
        places = {tensor: place(tensor) for pair in pairs.values() for tensor in pair}
    with processes.agreed():
        for name, pair in pairs.items():
            for source, tensor in zip(found[name].of(state), pair, strict=True):
                if local(tensor).numel():
                    local(tensor).copy_(as_tensor(source[(*places[tensor], ...)]))
            param, momentum = pair
            optimizer.state[param]["exp_avg"] = momentum
        for group, given in zip(optimizer.param_groups, values, strict=True):
            options.assign(group, given)
    return state.header.renamed({at.name: name for name, at in found.items()})


@dataclass(frozen=True, eq=False, slots=True)
class _Member:
    """A parameter of a group, its name, and its momentum if there is one."""

    name: str
    group: Group
    param: Tensor
    momentum: Tensor | None

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (self.param,) if self.momentum is None else (self.param, self.momentum)

    @property
    def momentum_dtype(self) -> str:
        if self.momentum is None:
            return dtype_name(momentum_dtype(self.group, self.param))
        return dtype_name(self.momentum.dtype)

    def momentum_of(self, dtype: str) -> Tensor:
        """The momentum to write to: a new one unless there is one of this dtype."""
        if self.momentum is not None and dtype_name(self.momentum.dtype) == dtype:
            return self.momentum
        return torch.zeros_like(self.param, dtype=getattr(torch, dtype), requires_grad=False)

    def check(self) -> None:
        """Refuse what a step would refuse, and what is no tensor of numbers by itself."""
        try:
            check_tensors(self.group, self.param, self.momentum, self.param)
            for tensor in self.tensors:
                _check_whole(tensor)
        except (TypeError, ValueError, RuntimeError) as error:
            raise type(error)(f"{shown(self.name)}: {error}") from None


def _check_whole(tensor: Tensor) -> None:
    """ValueError for what has no numbers, and for shards of which nobody says where they lie."""
    if local(tensor).is_meta or isinstance(tensor, FakeTensor):
        raise ValueError("a meta or fake tensor has no numbers; legal: one that has been made")
    if getattr(tensor, "_fsdp_flattened", False):
        raise ValueError(
            "FullyShardedDataParallel has made it a piece of a flat parameter; legal: the "
            "parameters of fully_shard"
        )


def _processes(optimizer: Lion) -> Processes:
    if not isinstance(optimizer, Lion):
        raise TypeError(
            f"the optimizer is of type {type_name(optimizer)}; legal: a lion_torch.Lion"
        )
    params = (param for group in optimizer.param_groups for param in group["params"])
    return Processes(several=any(map(is_sharded, params)))


def _members(optimizer: Lion, model: Named) -> list[list[_Member]]:
    """The parameters of each group, checked as before a step."""
    names = _names(model)
    members: list[list[_Member]] = []
    for number, group in enumerate(optimizer.param_groups):
        check_group(group)
        members.append([])
        for position, param in enumerate(group["params"]):
            if param not in names:
                raise ValueError(
                    f"parameter {position} of group {number}, of shape {tuple(param.shape)}, has "
                    "no name in the model; legal: a model, or (name, parameter) pairs, with every "
                    "parameter of the optimizer"
                )
            momentum = optimizer.state.get(param, {}).get("exp_avg")
            member = _Member(names[param], group, param, momentum)
            member.check()
            members[-1].append(member)
    return members


def _names(model: Named) -> dict[Tensor, str]:
    """The first name of each parameter; no name is that of two."""
    names: dict[Tensor, str] = {}
    known: dict[str, Tensor] = {}
    for name, param in _pairs(model):
        if known.setdefault(name, param) is not param:
            raise ValueError(f"{shown(name)} is the name of two parameters; legal: of one")
        names.setdefault(param, name)
    return names


def _pairs(model: Any) -> Iterator[tuple[str, Tensor]]:
    legal = "a torch.nn.Module, or (name, parameter) pairs"
    if isinstance(model, torch.nn.Module):
        model = model.named_parameters()
    if isinstance(model, Mapping) or not isinstance(model, Iterable):
        raise TypeError(f"model is of type {type_name(model)}; legal: {legal}")
    for pair in model:
        match pair:
            case (str() as name, Tensor() as param):
                yield name, param
            case _:
                raise TypeError(f"model has an item of type {type_name(pair)}; legal: {legal}")
