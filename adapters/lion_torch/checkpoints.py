"""Training checkpoints as people have them, of torch.save, to a run state and from one (SPEC C34).

What is read is what a file is most often: a dict with a model's state dict, an optimizer's of some
Lion, and the number of steps. Nothing in a file is run: `torch.load(weights_only=True)` alone.
"""

from __future__ import annotations

import os
import pickle
import re
import stat
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zipfile import BadZipFile, is_zipfile

import numpy as np
import torch
from torch import Tensor

from lion_ref.checks import check_shapes, shown, type_name
from lion_ref.dtypes import STORAGE_DTYPES, check_dtypes, storage_name
from lion_ref.run_state import Checkpoint, Header, Tensors
from lion_ref.run_state.replacing import replacing
from lion_ref.run_state.state import SCHEDULES
from lion_ref.schedules import Schedule
from lion_torch.arrays import as_array, as_tensor
from lion_torch.checks import check_form, check_is_dict, check_is_lion, check_momenta
from lion_torch.options import semantics, written
from lion_torch.param_names import param_names
from lion_torch.scalars import dtype_name
from lion_torch.shards import is_sharded
from lion_torch.state import shared_momentum_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lion_torch.scalars import Group

__all__ = ["read", "write"]

MODEL_KEYS: Final = ("model", "state_dict", "model_state_dict")
OPTIMIZER_KEYS: Final = ("optimizer", "optimizer_state_dict", "optimizer_states")
STEP_KEYS: Final = ("step", "global_step", "iteration")

_FORM = (
    "torch.save({'model': model.state_dict(), 'optimizer': optimizer.state_dict(), 'step': n}, "
    "path)"
)

# What torch.load raises of files that are cut short, damaged, or none of torch.save's.
_UNREADABLE = (
    pickle.UnpicklingError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    EOFError,
    ImportError,
    OverflowError,
    OSError,  # it is there, and can be opened
)


def read(path: str | os.PathLike[str], *, step: int | None = None) -> Checkpoint:
    """A run from a file of torch.save's, its tensors mapped into memory (SPEC C34).

    The file is a dict with a model's state dict under "model", "state_dict" or "model_state_dict",
    an optimizer's under "optimizer", "optimizer_state_dict" or "optimizer_states", and the number
    of steps under "step", "global_step" or "iteration". The optimizer's is that of lion_torch's
    Lion, lion-pytorch's or timm's. Buffers, and parameters that the optimizer does not have, are
    not part of a run.

    Where the file does not name the optimizer's parameters, they are those of the model's tensors
    whose order and shapes fit all momenta, and it is an error unless one choice does.

    What a file does not say cannot be found: with lion-pytorch's decoupled_weight_decay=True, λ in
    the steps was the file's, divided by the first η.

    Args:
        path: of the file.
        step: how many steps have been done, whatever the file says.

    Raises:
        TypeError, ValueError: no such file, one that holds more than tensors, numbers and text, a
            state of another optimizer, or names that cannot be told: in one line.
        OSError: the file cannot be read.
    """
    place = Path(path)
    try:
        content = _loaded(place)
        model, optimizer = _model(content), _optimizer(content)
        done = _step(content) if step is None else step
        groups, state = optimizer["param_groups"], optimizer["state"]
        _check_state(groups, state)
        names = param_names(groups, state, model)
        tensors: dict[str, Tensors] = {}
        for group, own in zip(groups, names, strict=True):
            for name in own:
                _check_tensor(name, model[name])
            check_momenta(group["params"], [model[name] for name in own], state)
            for key, name in zip(group["params"], own, strict=True):
                tensors[name] = _tensors(name, group, model[name], state.get(key, {}))
        schedules = {
            name: [_schedule(name, group.get(name)) for group in groups] for name in SCHEDULES
        }
        header = Header(done, written(groups, names, step=done, **schedules)).of(tensors)
        rules = [{"subnormals": group.get("subnormals", "native")} for group in groups]
        found = Checkpoint(tensors, header.step, header.groups, semantics(rules))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{place}: {error}") from None
    return found


def write(checkpoint: Checkpoint, path: str | os.PathLike[str]) -> None:
    """A run to a file that `torch.load(path, weights_only=True)` reads (SPEC C34).

        {"model": {name: θ}, "optimizer": {"state": …, "param_groups": …}, "step": n}

    The optimizer's state dict is for a `lion_torch.Lion` of the same groups, its parameters in the
    order of their param_names, as torch goes by that order. A schedule is an option of its group,
    as a dict of the arguments of `lion_ref.schedules.Schedule`. The old file stays until the new
    one is whole.

    Args:
        checkpoint: the run.
        path: where to.

    Raises:
        TypeError, ValueError: what is no run, and momenta of several dtypes in one group, as a
            group has one momentum_dtype.
        OSError: the file cannot be written.

    >>> import tempfile
    >>> from lion_ref.run_state import Group
    >>> w = np.ones(2, np.float32)
    >>> path = tempfile.mkdtemp() + "/checkpoint.pt"
    >>> write(Checkpoint({"w": Tensors(w, 0 * w)}, 7, (Group(lr=0.5),)), path)
    >>> read(path).step, torch.load(path, weights_only=True)["model"]
    (7, {'w': tensor([1., 1.])})
    """
    header = Header(checkpoint.step, tuple(checkpoint.groups)).of(checkpoint.tensors)
    model: dict[str, Tensor] = {}
    state: dict[int, dict[str, Tensor]] = {}
    groups: list[Group] = []
    for group in header.groups:
        names = group.names or ()
        keys = range(len(model), len(model) + len(names))
        dtypes = {}
        for key, name in zip(keys, names, strict=True):
            param, momentum = checkpoint.tensors[name]
            check_dtypes(param.dtype, momentum.dtype, param.dtype)
            check_shapes(param.shape, momentum=momentum.shape)
            dtypes[name] = storage_name(param.dtype), storage_name(momentum.dtype)
            model[name], state[key] = _saved(param), {"exp_avg": _saved(momentum)}
        groups.append(
            {
                "lr": group.lr,
                "betas": (group.beta1, group.beta2),
                "weight_decay": group.weight_decay,
                "momentum_dtype": shared_momentum_dtype(dtypes),
                # As options that torch keeps with the others, and that a step does not look at.
                **{name: asdict(x) for name in SCHEDULES if (x := getattr(group, name))},
                **({"subnormals": "flush"} if checkpoint.semantics.subnormals != "keep" else {}),
                "params": list(keys),
                "param_names": list(names),
            }
        )
    optimizer = {"state": state, "param_groups": groups}
    with replacing(path) as file:
        torch.save({"model": model, "optimizer": optimizer, "step": header.step}, file)


# --- what a file holds ------------------------------------------------------------------------


def _loaded(path: Path) -> dict[str, Any]:
    """What torch.save was given, without running any of it."""
    # Not opened before it is known to be one: opening a pipe waits for who writes to it.
    regular = stat.S_ISREG(path.stat().st_mode)
    # torch.load goes by that name, and hands the file to another package.
    if not regular or path.suffix == ".safetensors" or not _is_zipfile(path):
        raise ValueError(f"it is no whole file of torch.save's; legal: {_FORM}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old or scripted files, which an error will tell
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except _UNREADABLE as error:
        raise ValueError(
            f"{_reason(error)}; legal: {_FORM}, of tensors, numbers and text"
        ) from None
    if not isinstance(content, dict):
        raise TypeError(f"it holds a {type_name(content)}; legal: {_FORM}")
    return content


def _is_zipfile(path: Path) -> bool:
    try:
        return is_zipfile(path)
    except BadZipFile:  # it says that it goes on in another file, for example
        return False


def _reason(error: Exception) -> str:
    text = str(error)
    if refused := re.search(r"GLOBAL (\S+)", text):
        return f"it asks for {shown(refused[1])}, and nothing that a file asks for is run"
    words = " ".join(text.rpartition("WeightsUnpickler error:")[2].split())
    return f"torch.load cannot read it: {words.partition('. ')[0][:200]}"


def _model(content: Mapping[str, Any]) -> Mapping[str, Any]:
    if {"state", "param_groups"} <= set(content):
        raise ValueError(f"it holds an optimizer's state alone, without parameters; legal: {_FORM}")
    model = content[_only_key("model's", MODEL_KEYS, content)]
    if not isinstance(model, dict) or not all(isinstance(name, str) for name in model):
        raise TypeError(f"the model's state dict is no dict of tensors by name; legal: {_FORM}")
    return model


def _optimizer(content: Mapping[str, Any]) -> dict[str, Any]:
    optimizer = content[_only_key("optimizer's", OPTIMIZER_KEYS, content)]
    if isinstance(optimizer, list):
        if len(optimizer) != 1:
            raise ValueError(f"it holds the states of {len(optimizer)} optimizers; legal: of one")
        optimizer = optimizer[0]
    check_is_dict(optimizer)
    check_form(optimizer)
    found: dict[str, Any] = optimizer
    return found


def _only_key(whose: str, keys: Sequence[str], content: Mapping[str, Any]) -> str:
    found = [key for key in keys if key in content]
    if len(found) != 1:
        has = f"several: {', '.join(found)}" if found else f"none, but {shown(list(content)[:10])}"
        raise ValueError(
            f"of the keys of the {whose} state dict it has {has}; legal: one of {', '.join(keys)}"
        )
    return found[0]


def _step(content: Mapping[str, Any]) -> int:
    found = {}
    for key in STEP_KEYS:
        value = content.get(key)
        if isinstance(value, Tensor) and not value.is_floating_point() and value.numel() == 1:
            value = value.item()
        if value is not None:
            found[key] = value
    if not found or len(set(map(repr, found.values()))) > 1:
        has = shown(found) if found else "none"
        raise ValueError(
            f"of {', '.join(STEP_KEYS)} it has {has}; legal: one number of steps, or one beside "
            "it, which goes before the file's"
        )
    step: int = next(iter(found.values()))
    return step


# --- a Lion's state ---------------------------------------------------------------------------


def _check_state(groups: Sequence[Group], state: Mapping[Any, Any]) -> None:
    """ValueError or TypeError unless this is a Lion's whole state, and all of it can be told."""
    check_is_lion(list(groups), dict(state))
    for group in groups:
        for name in ("lr", "weight_decay"):
            if name not in group:
                raise ValueError(f"a group of the state dict has no {name!r}; legal: a Lion's")
    keys = {key for group in groups for key in group["params"]}
    for key, entry in state.items():
        if key not in keys:
            raise ValueError(f"it has a state of parameter {shown(key)}, which no group has")
        if not isinstance(entry, dict):
            raise TypeError(
                f"the state of parameter {shown(key)} is of type {type_name(entry)}; legal: a dict"
            )
        other = [
            name for name in entry if name not in ("exp_avg", "step") and entry[name] is not None
        ]
        if other:
            raise ValueError(
                f"the state of parameter {shown(key)} has {shown(other[0])}, which Lion's update "
                "does not have; legal: exp_avg"
            )


def _schedule(name: str, given: Any) -> Schedule | None:
    """As `write` writes it."""
    if given is None:
        return None
    try:
        return Schedule(**given)
    except TypeError as error:
        raise TypeError(
            f"{name}={shown(given)} is not legal: {error}; legal: a dict of the arguments of "
            "lion_ref.schedules.Schedule"
        ) from None


def _check_tensor(name: str, tensor: Any) -> None:
    """TypeError unless a tensor's elements lie in the file, one by one, as they are."""
    if (
        not isinstance(tensor, Tensor)
        or is_sharded(tensor)
        or tensor.layout is not torch.strided
        or tensor.device.type != "cpu"  # meta, whatever it is mapped to
        or tensor.is_neg()
    ):
        raise TypeError(f"{shown(name)} is no dense tensor with its numbers; legal: one")


def _tensors(name: str, group: Group, param: Tensor, state: Mapping[str, Any]) -> Tensors:
    """θ and m; an m that has not been made yet is zeros, of the dtype it would have had."""
    momentum = state.get("exp_avg")
    dtype = momentum.dtype if momentum is not None else group.get("momentum_dtype") or param.dtype
    try:
        check_dtypes(dtype_name(param.dtype), dtype_name(dtype), dtype_name(param.dtype))
    except TypeError as error:
        raise TypeError(f"{shown(name)}: {error}") from None
    if momentum is None:
        # Memory for these is taken when it is written to.
        zeros = np.zeros(tuple(param.shape), STORAGE_DTYPES[dtype_name(dtype)])
        return Tensors(as_array(param), zeros)
    _check_tensor(f"exp_avg of {name}", momentum)
    return Tensors(as_array(param), as_array(momentum))


# --- to a file --------------------------------------------------------------------------------


def _saved(array: Any) -> Tensor:
    """A tensor of an array, in the order in which whoever loads it expects its elements."""
    return as_tensor(np.asarray(array, STORAGE_DTYPES[storage_name(array.dtype)], order="C"))
