"""Training checkpoints as people have them, of Orbax, to a run state and from one (SPEC C34).

A checkpoint is a folder of a tree: parameters under "params", the optimizer's state, an optax one
with Lion's in it, under "opt_state". Orbax is asked for when one is read or written, not before.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import jax
import numpy as np
import optax

from lion_jax.checks import naming
from lion_jax.names import by_name
from lion_jax.state import LionState, found_in
from lion_ref.checks import check_shapes, shown
from lion_ref.dtypes import check_dtypes, storage_name
from lion_ref.run_state import Checkpoint, Group, Header, Tensors, metadata

__all__ = ["read", "write"]

_FORM: Final = 'a folder that Orbax made of {"params": …, "opt_state": …}'
_OWN: Final = "lion_ref"
"""The key of Orbax's metadata under which `write` puts what optax's state has no place for."""

_OTHERS: Final = {
    frozenset({"mu", "nu"}): "Adam",
    frozenset({"trace"}): "SGD with momentum",
    frozenset({"nu"}): "RMSProp",
    frozenset({"sum_of_squares"}): "Adagrad",
    frozenset({"v_row", "v_col"}): "Adafactor",
}
"""Optimizers by the fields of their states in optax, the first that fits."""


def read(
    path: str | os.PathLike[str], *, step: int | None = None, numbers: Group | None = None
) -> Checkpoint:
    """A run from a folder of Orbax's, a parameter read when it is asked for (SPEC C34).

    The folder is of a tree with "params" and "opt_state", as of a flax TrainState; what else is in
    it is no part of a run, and nor are parameters without a momentum. The state is optax.lion's, or
    lion_jax's, alone or in a chain. Names are the paths in the tree of parameters.

    Args:
        path: of the folder.
        step: how many steps have been done, whatever the state's count says.
        numbers: η, β1, β2 and λ for all parameters, which no optax state has; what `write` has made
            has them.

    Raises:
        TypeError, ValueError: no such folder, a state of another optimizer, momenta that are not
            like the parameters, no numbers: in one line.
        ImportError: orbax-checkpoint is not installed.
        OSError: the folder cannot be read.
    """
    folder = _Folder(path)
    try:
        for key in ("params", "opt_state"):
            if not isinstance(folder.tree, Mapping) or key not in folder.tree:
                raise ValueError(f"it has no {key!r}; legal: {_FORM}")  # noqa: TRY301
        state = _lions(folder.tree["opt_state"])
        leaves = _paired(folder.tree["params"], state.mu)
        done = int(folder.read([state.count])[0]) if step is None else step
        header = Header(done, _groups(folder, numbers)).of(leaves)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{folder.path}: {error}") from None
    return Checkpoint(_Tensors(folder, leaves), header.step, header.groups)


def write(checkpoint: Checkpoint, path: str | os.PathLike[str]) -> None:
    """A run to a folder that Orbax's StandardCheckpointer restores (SPEC C34).

        {"params": …, "opt_state": the state of optax.lion}

    A name with "/" is a path of nested dicts, in which an index of a sequence is a key: what has
    sequences is better taken from a run state, by `import_state`. Orbax takes the tree as a whole,
    so all tensors are in memory for a while. The numbers lie in its metadata, where `read` finds
    them.

    Args:
        checkpoint: the run.
        path: where to; nothing may be there.

    Raises:
        TypeError, ValueError: what is no run; a step that optax's count does not hold; a name that
            is a part of another's path.
        ImportError: orbax-checkpoint is not installed.
        OSError: the folder cannot be written.
    """
    orbax, place = _orbax(), Path(path).absolute()
    header = Header(checkpoint.step, tuple(checkpoint.groups)).of(checkpoint.tensors)
    if header.step > np.iinfo(np.int32).max:
        raise ValueError(f"step={header.step} is not legal in an optax state; legal: below 2**31")
    if os.path.lexists(place):
        raise ValueError(f"{place} is there already; legal: a path where nothing is")
    params, mu = (
        _nested({name: np.asarray(pair[i]) for name, pair in checkpoint.tensors.items()})
        for i in range(2)
    )
    count = np.asarray(header.step, np.int32)
    with orbax.StandardCheckpointer() as checkpointer:
        checkpointer.save(
            place,
            {"params": params, "opt_state": (LionState(count, mu), *_beside(header, count))},
            custom_metadata={_OWN: metadata.written(header)},
        )


class _Folder:
    """A folder of Orbax's: what the tree in it is like, and its leaves as they are asked for."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._orbax = _orbax()
        self.path = Path(path).absolute()
        if not (self.path / "_METADATA").is_file() and (self.path / "default").is_dir():
            self.path /= "default"  # of one step of a CheckpointManager
        if not (self.path / "_METADATA").is_file():
            raise ValueError(f"{self.path} has no _METADATA; legal: {_FORM}")
        self._checkpointer = self._orbax.Checkpointer(self._orbax.PyTreeCheckpointHandler())
        with self._read_by_orbax():
            found = self._checkpointer.metadata(self.path)
            if found.item_metadata is None:  # of which Orbax has written to its log
                raise ValueError("a part of its metadata is missing or damaged")
            self.tree = found.item_metadata.tree
        self.own = (found.custom_metadata or {}).get(_OWN)
        leaves, self._structure = jax.tree.flatten(self.tree)
        self._index = {id(leaf): i for i, leaf in enumerate(leaves)}

    def read(self, wanted: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
        """The arrays of some leaves of the tree, and of no others."""
        indices = [self._index[id(leaf)] for leaf in wanted]
        every = [self._orbax.PLACEHOLDER] * len(self._index)
        for i, leaf in zip(indices, wanted, strict=True):
            every[i] = leaf
        structure: Any = self._structure
        item = structure.unflatten(every)
        as_numpy = self._orbax.RestoreArgs(restore_type=np.ndarray)
        arguments = self._orbax.args.PyTreeRestore(
            item=item, restore_args=jax.tree.map(lambda _: as_numpy, item)
        )
        with self._read_by_orbax():
            leaves = jax.tree.leaves(self._checkpointer.restore(self.path, args=arguments))
        return [np.asarray(leaves[i]) for i in indices]

    @contextmanager
    def _read_by_orbax(self) -> Iterator[None]:
        """Whatever Orbax raises of a damaged folder, in one line."""
        try:
            yield
        except OSError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise ValueError(
                f"{self.path}: Orbax cannot read it, {reason}; legal: {_FORM}"
            ) from error


class _Tensors(Mapping[str, Tensors]):
    """θ and m by name, each pair read as it is asked for."""

    def __init__(self, folder: _Folder, leaves: Mapping[str, Tensors]) -> None:
        self._folder = folder
        self._leaves = leaves

    def __getitem__(self, name: str) -> Tensors:
        return Tensors(*self._folder.read(self._leaves[name]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._leaves)

    def __len__(self) -> int:
        return len(self._leaves)


def _orbax() -> ModuleType:
    try:
        import orbax.checkpoint
    except ImportError as error:
        raise ImportError(
            "checkpoints of JAX need orbax-checkpoint, which is not installed: "
            "pip install orbax-checkpoint",
            name="orbax",
        ) from error
    module: ModuleType = orbax.checkpoint
    return module


def _lions(opt_state: Any) -> Any:
    """The one LionState in a state as Orbax has it, all of whose other parts are counts."""
    lions, beside = [], []
    for where, part in _parts(opt_state, "opt_state"):
        if isinstance(part, LionState):
            lions.append(part)
        elif part.shape or not np.issubdtype(part.dtype, np.integer):
            beside.append(where)
    if len(lions) != 1:
        raise ValueError(f"opt_state holds {len(lions)} states of Lion; legal: one")
    if beside:
        raise ValueError(
            f"it holds {beside[0]}, which is no part of a Lion's state and would be lost; legal: "
            "the state of optax.lion or lion_jax.lion, alone or in a chain without other tensors"
        )
    return lions[0]


def _parts(node: Any, where: str) -> Iterator[tuple[str, Any]]:
    """The LionStates in a state, and the leaves beside them, each with where it is."""
    found = None if node is None else found_in(node)
    if found is not None:
        yield where, found
    elif isinstance(node, Mapping):
        other = next((name for fields, name in _OTHERS.items() if fields <= set(node)), None)
        if other is not None:
            raise ValueError(f"{where} is the state of {other}; legal: that of Lion")
        for key, part in node.items():
            yield from _parts(part, f"{where}/{key}")
    elif isinstance(node, (list, tuple)):
        for i, part in enumerate(node):
            yield from _parts(part, f"{where}/{i}")
    elif node is not None:
        yield where, node


def _paired(params: Any, mu: Any) -> dict[str, Tensors]:
    """What is said of θ and m by name, checked; parameters without a momentum are left out."""
    theirs, momenta = by_name(params), by_name(mu)
    if others := [name for name in momenta if name not in theirs]:
        raise ValueError(
            f"the momentum {shown(others[0])} is of no parameter; legal: a tree like params"
        )
    found = {}
    for name, (path, m) in momenta.items():
        theta = theirs[name].leaf
        with naming(path):
            check_dtypes(theta.dtype, m.dtype, theta.dtype)
            check_shapes(theta.shape, momentum=m.shape)
            storage_name(theta.dtype)
        found[name] = Tensors(theta, m)
    return found


def _groups(folder: _Folder, numbers: Group | None) -> tuple[Group, ...]:
    if numbers is not None:
        return (numbers,)
    if folder.own is None:
        raise ValueError(
            "it has no η, β1, β2 and λ, which are no part of an optax state; legal: these numbers "
            "beside it"
        )
    if not isinstance(folder.own, Mapping) or not all(
        isinstance(text, str) for text in folder.own.values()
    ):
        raise ValueError(f"its metadata has {_OWN}={shown(folder.own)}; legal: as write writes it")
    return metadata.read(folder.own).groups


def _nested(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """A tree of dicts whose paths are the names."""
    tree: dict[str, Any] = {}
    for name, array in arrays.items():
        *parents, last = name.split("/")
        node: Any = tree
        for parent in parents:
            node = node.setdefault(parent, {}) if isinstance(node, dict) else node
        if not isinstance(node, dict) or last in node:
            raise ValueError(
                f"{shown(name)} cannot be a path beside the other names; legal: names of which "
                "none is the beginning of another's path"
            )
        node[last] = array
    return tree


def _beside(header: Header, count: Any) -> Any:
    """What optax.lion chains to its LionState, its schedules' counts at the run's."""
    rates = (
        any(getattr(x, name) is not None for x in header.groups)
        for name in ("lr_schedule", "weight_decay_schedule")
    )
    lr, decay = (optax.constant_schedule(0.0) if scheduled else 0.0 for scheduled in rates)
    return jax.tree.map(lambda _: count, optax.lion(lr, weight_decay=decay).init({})[1:])
