"""Keras's own files, as people have them, to a run state and from one (SPEC C34).

What is read is what `model.save` and `model.save_weights` leave of a model with a Lion, Keras's or
`lion_tf`'s. A variable's name is its path in the file, as "layers/dense/vars/0". No class that a
file names is looked for, and nothing in it is run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, cast

import numpy as np

from lion_ref import CANONICAL, Semantics
from lion_ref.checks import listed, shown
from lion_ref.run_state import Checkpoint, Group, Header, Tensors
from lion_ref.run_state.opened import Opened
from lion_ref.run_state.replacing import replacing
from lion_ref.schedules import Schedule
from lion_tf.groups import joined, split
from lion_tf.paired import paired, trained
from lion_tf.stored import CONFIG, WEIGHTS, Stored, Variable, entry, one_line, opened

__all__ = ["read", "write"]

_FLUSH: Final = Semantics(subnormals="flush")
_OURS: Final = "lion_tf>Lion"
_TABLE: Final = "lion_tf>TableSchedule"
_NUMBERS: Final = {"beta1": "beta_1", "beta2": "beta_2", "weight_decay": "weight_decay"}


def read(
    path: str | os.PathLike[str], *, step: int | None = None, numbers: Group | None = None
) -> Checkpoint:
    """A run from a .keras or .weights.h5 file, its tensors mapped into memory (SPEC C34).

    The order of an optimizer's variables is the model's, and that is told by config.json where the
    model is a Sequential or Functional one, else by the shapes, if they leave one order.

    Args:
        path: of the file.
        step: how many steps have been done, whatever the file says.
        numbers: η, β1, β2 and λ, whatever the file says; needed for a .weights.h5 file, which has
            no β1, β2 and λ, and for a schedule of η or λ that is Keras's own.

    Raises:
        ValueError: no such file, a damaged one, one without a Lion's state, momenta that cannot be
            told, numbers that it does not have: in one line.
        OSError: the file cannot be read.
    """
    with one_line(Path(path)):
        found = _found(opened(Path(path)))
        done = found.steps if step is None else step
        if numbers is None:
            numbers = _numbers(found, done)
        header = Header(done, split(found.decaying, replace(numbers, names=None)))
        return Checkpoint(
            _Tensors(found.stored.weights, found.pairs),
            done,
            header.of(found.pairs).groups,
            _FLUSH if entry(found.optimizer, "config").get("subnormals") == "flush" else CANONICAL,
        )


def write(
    checkpoint: Checkpoint, path: str | os.PathLike[str], *, like: str | os.PathLike[str] | None
) -> None:
    """A run to a copy of a file of Keras's, whose model and optimizer have such variables.

    Only Keras can make such a file of a model, so one is needed: of the same model, saved by Keras
    after a step. Its variables, momenta, iterations and, in a .keras file, η, β1, β2 and λ are
    replaced; a .weights.h5 file has none of β1, β2 and λ, which are left to the code that loads it.

    Args:
        checkpoint: the run, its names the paths in the file, as `read` gives them.
        path: where to. What is there stays until the new file is whole.
        like: the file.

    Raises:
        ValueError: a file that is not like the run: all that does not fit; numbers that one Keras
            optimizer cannot have.
        OSError: a file cannot be read or written.
    """
    if like is None:
        raise ValueError(
            f"{shown(str(path))}: Keras alone can make such a file of a model; legal: like=, a "
            "file that Keras saved of the same model after a step; or a run state, which "
            "lion_tf.import_state takes into an optimizer"
        )
    with one_line(Path(like)):
        found = _found(opened(Path(like), copied=True))
        header = Header(checkpoint.step, tuple(checkpoint.groups)).of(checkpoint.tensors)
        _check_like(checkpoint.tensors, found.pairs)
        numbers = joined(header, found.decaying, {name: name for name in found.pairs})
        config = _config(found, numbers)
        for name, (param, momentum) in found.pairs.items():
            for variable, value in zip((param, momentum), checkpoint.tensors[name], strict=True):
                found.stored.weights.write(variable.placed)[...] = value
        _count(found, checkpoint.step)
        if found.rate is not None:
            with np.errstate(over="ignore"):  # Keras holds it in float32, whatever it is
                found.stored.weights.write(found.rate.placed)[...] = numbers.lr
    _save(found.stored, config, Path(path))


class _Found(NamedTuple):
    """A Lion's state in a file.

    Attributes:
        stored: the file.
        optimizer: what config.json has of the optimizer; empty if there is no config.json.
        iteration: the variable that counts steps.
        rate: η; None where it is a schedule.
        steps: how many have been done.
        pairs: θ and m by name, in the optimizer's order.
        decaying: by name, whether it has a weight decay.
    """

    stored: Stored
    optimizer: Mapping[str, Any]
    iteration: Variable
    rate: Variable | None
    steps: int
    pairs: Mapping[str, tuple[Variable, Variable]]
    decaying: Mapping[str, bool]


class _Tensors(Mapping[str, Tensors]):
    """θ and m by name, each mapped into memory as it is asked for."""

    def __init__(self, file: Opened, pairs: Mapping[str, tuple[Variable, Variable]]) -> None:
        self._file = file
        self._pairs = pairs

    def __getitem__(self, name: str) -> Tensors:
        return Tensors(*(self._file.read(variable.placed) for variable in self._pairs[name]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)


# --- what a file holds ------------------------------------------------------------------------


def _found(stored: Stored) -> _Found:
    optimizer = entry(entry(stored.config, "compile_config"), "optimizer")
    _check_is_lion(stored, optimizer)
    variables = stored.optimizer.variables if stored.optimizer else ()
    model = trained(stored.model, stored.config)
    if not variables or variables[0].shape or variables[0].dtype.kind != "i":
        raise ValueError(
            "it has no iterations of an optimizer; legal: a model that was saved with its Lion, "
            "after a step"
        )
    iteration, *left = variables
    rate = None
    if len(left) == model.size + 1 and not left[0].shape and left[0].is_float:
        rate, *left = left
    if len(left) < model.size and len(left) <= 1:
        raise ValueError("it has no momenta; legal: a model that was saved after a step")
    pairs = paired(model, left)
    with open(stored.weights.number, "rb", closefd=False) as file:
        file.seek(iteration.begin)
        steps = int(np.frombuffer(file.read(iteration.dtype.itemsize), iteration.dtype)[0])
    decaying = dict(zip(pairs, _decaying(optimizer, len(pairs)), strict=True))
    return _Found(stored, optimizer, iteration, rate, steps, pairs, decaying)


def _check_is_lion(stored: Stored, optimizer: Mapping[str, Any]) -> None:
    """ValueError, which names what it is, unless the optimizer is a Lion whose state is all."""
    legal = "legal: Lion, Keras's or lion_tf's"
    if stored.config is not None:
        name = optimizer.get("registered_name") or optimizer.get("class_name")
        if name is None:
            raise ValueError(f"it says nothing of an optimizer; {legal}, of a compiled model")
        if name not in ("Lion", _OURS):
            raise ValueError(f"its optimizer is {shown(name)}; {legal}")
        if stored.optimizer and stored.optimizer.chains:  # as compile does for mixed_float16
            raise ValueError(
                f"its optimizer is in a {shown(stored.optimizer.name)}; {legal}, by itself, or a "
                "run state that lion_tf.export_state writes of its inner_optimizer"
            )
        config = entry(optimizer, "config")
        for option in ("use_ema", "gradient_accumulation_steps"):
            if config.get(option):
                raise ValueError(
                    f"its optimizer has {option}={shown(config[option])}, whose state no run has; "
                    "legal: a run state that lion_tf.export_state writes of the optimizer"
                )
        return
    if stored.optimizer is None:
        raise ValueError("it has no optimizer's variables, only the model's; " + legal)
    names = [layer.name or layer.key for chain in stored.optimizer.chains for layer in chain]
    name = stored.optimizer.name
    if names or not re.fullmatch(r"lion(_\d+)?", name):
        raise ValueError(
            f"its optimizer is called {shown(name)}, and may be any; {legal}, which Keras calls "
            "'lion'; or a .keras file, which says what it is"
        )


def _decaying(optimizer: Mapping[str, Any], size: int) -> list[bool]:
    """For each variable, in the optimizer's order, whether it has a decay."""
    excluded = entry(optimizer, "config").get("exclude_from_weight_decay")
    if excluded is None:
        return [True] * size
    marked = excluded.get("variables") if isinstance(excluded, Mapping) else None
    if (
        not isinstance(marked, list)
        or len(marked) != size
        or not all(isinstance(x, list) and len(x) == 2 for x in marked)
    ):
        raise ValueError(
            "which variables it excludes from the weight decay cannot be told; legal: a model that "
            "was saved after a step, with all its variables trained"
        )
    return [by is None for _, by in marked]


def _numbers(found: _Found, step: int) -> Group:
    """η, β1, β2 and λ, of config.json and of the variables."""
    config = entry(found.optimizer, "config")
    if not config:
        raise ValueError(
            "a .weights.h5 file has no β1, β2 and λ; legal: these numbers beside it, or a .keras "
            "file"
        )
    rate, lr_schedule = _number("η", config.get("learning_rate"), step)
    decay, decay_schedule = _number("λ", config.get("weight_decay") or 0.0, step)
    try:
        numbers = Group(
            lr=rate,
            beta1=cast("float", config.get("beta_1")),  # Group checks what they are
            beta2=cast("float", config.get("beta_2")),
            weight_decay=decay,
            lr_schedule=lr_schedule,
            weight_decay_schedule=decay_schedule,
        )
    except TypeError as error:
        raise ValueError(str(error)) from None
    if found.rate is None:
        if lr_schedule is None:
            raise ValueError("it has no η; legal: a Lion's state, as Keras writes it")
        return numbers
    # What is held is rounded: what was set is known, if it has not been changed since.
    held = found.stored.weights.read(found.rate.placed)
    with np.errstate(over="ignore"):
        unchanged = lr_schedule is None and held == held.dtype.type(numbers.lr)
    return numbers if unchanged else replace(numbers, lr=float(held), lr_schedule=None)


def _number(symbol: str, value: Any, step: int) -> tuple[Any, Schedule | None]:
    """A number, and the schedule that it is of."""
    if not isinstance(value, Mapping):
        return value, None
    name = value.get("registered_name") or value.get("class_name")
    if name != _TABLE:
        raise ValueError(
            f"its {symbol} is of {shown(name)}, which is not evaluated; legal: the numbers of the "
            "next step beside it, or a run state that lion_tf.export_state writes of the optimizer"
        )
    try:
        schedule = Schedule(**entry(value, "config"))
    except TypeError as error:
        raise ValueError(f"its {symbol} is of no schedule: {error}; legal: a Schedule's") from None
    return schedule(step), schedule


# --- to a file --------------------------------------------------------------------------------


def _check_like(
    tensors: Mapping[str, Tensors], pairs: Mapping[str, tuple[Variable, Variable]]
) -> None:
    """ValueError, of all that does not fit, unless a run has the file's variables."""
    wrong = [f"{shown(name)} is not in the run" for name in pairs if name not in tensors]
    for name, values in tensors.items():
        if name not in pairs:
            wrong.append(f"{shown(name)} of the run is not in it")
            continue
        for symbol, value, variable in zip("θm", values, pairs[name], strict=True):
            if (tuple(value.shape), value.dtype) != (variable.shape, variable.dtype):
                wrong.append(
                    f"{symbol} of {shown(name)} is {variable.dtype} of shape {variable.shape} in "
                    f"it, {value.dtype} of shape {tuple(value.shape)} in the run"
                )
    if wrong:
        raise ValueError(
            f"it is not like the run. {listed(wrong, '; ')}; legal: the same variables, by mapping"
        )


def _config(found: _Found, numbers: Group) -> Mapping[str, Any] | None:
    """config.json with the run's numbers; ValueError if such a file has no place for them."""
    config = found.stored.config
    if (found.rate is None) != (numbers.lr_schedule is not None):
        has = ("a number", "a schedule")[found.rate is None]
        raise ValueError(
            f"η is {has} in it, and {('a schedule', 'a number')[found.rate is None]} in the run; "
            "legal: the same in both"
        )
    if config is None:
        return None
    new: dict[str, Any] = json.loads(json.dumps(config))
    optimizer = new["compile_config"]["optimizer"]
    if numbers.weight_decay_schedule and optimizer.get("registered_name") != _OURS:
        raise ValueError(
            "λ is a schedule in the run, which Keras's Lion does not take; legal: ours"
        )
    changed = {theirs: getattr(numbers, ours) for ours, theirs in _NUMBERS.items()}
    changed["learning_rate"] = _written(numbers.lr, numbers.lr_schedule)
    changed["weight_decay"] = _written(numbers.weight_decay, numbers.weight_decay_schedule)
    optimizer["config"] |= changed
    return new


def _written(number: float, schedule: Schedule | None) -> Any:
    """As Keras's config has a number, or a schedule of lion_tf's."""
    if schedule is None:
        return number
    return {
        "module": "lion_tf.schedules",
        "class_name": "TableSchedule",
        "config": asdict(schedule),
        "registered_name": _TABLE,
    }


def _count(found: _Found, step: int) -> None:
    """Have the file say how many steps have been done."""
    dtype = found.iteration.dtype
    if step > np.iinfo(dtype).max:
        raise ValueError(f"step={step} is not legal; legal: what {dtype} holds, as it has it")
    with open(found.stored.weights.number, "r+b", closefd=False) as file:
        file.seek(found.iteration.begin)
        file.write(np.array(step, dtype).tobytes())


def _save(stored: Stored, config: Mapping[str, Any] | None, path: Path) -> None:
    with open(stored.weights.number, "rb", closefd=False) as weights, replacing(path) as file:
        weights.seek(0)
        if config is None:
            shutil.copyfileobj(weights, file)
        else:
            octets = BytesIO(json.dumps(config).encode())
            _pack(stored.path, {CONFIG: octets, WEIGHTS: weights}, file)


def _pack(like: Path, replaced: Mapping[str, IO[bytes]], file: IO[bytes]) -> None:
    """An archive like another, with other bytes in some of its members."""
    with zipfile.ZipFile(like) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            with (
                replaced[name] if name in replaced else old.open(name) as source,
                new.open(name, "w", force_zip64=True) as target,
            ):
                shutil.copyfileobj(source, target)
