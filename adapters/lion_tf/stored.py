"""What Keras's files hold: the variables of layers and of the optimizer, and the config.

A `.weights.h5` file has them under the paths of the layers' attributes, a `.keras` file is a zip
archive of that and of config.json. They are read as data: no class of a config is looked for, no
link out of the file is followed, and no size is believed before it is held against the file's.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import h5py
import numpy as np

from lion_ref.arithmetic import name_of
from lion_ref.checks import shown
from lion_ref.dtypes import STORAGE_DTYPES
from lion_ref.run_state.layout import Placed
from lion_ref.run_state.opened import Opened

CONFIG: Final = "config.json"
WEIGHTS: Final = "model.weights.h5"
SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
_LONGEST_CONFIG: Final = 1 << 26
_MOST_GROUPS: Final = 200_000
_DEEPEST: Final = 64
_MOST_EXPANDED: Final = 100
"""How many times its bytes in the archive a compressed member may have: weights have about one."""


class Variable(NamedTuple):
    """A variable: its path in the file, its shape, its dtype and where its bytes begin."""

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    begin: int

    @property
    def is_float(self) -> bool:
        """Whether Lion could step it; a seed's state, say, is of integers."""
        return self.dtype in STORAGE_DTYPES.values()

    @property
    def placed(self) -> Placed:
        """It as the file's tensor, if it is of floats."""
        return Placed(name_of(self.dtype), self.shape, self.begin)


class Layer(NamedTuple):
    """A layer or model, or the optimizer.

    Attributes:
        key: what its class or attribute is called in the file, as "dense_1".
        name: what Keras calls it; "" where the file does not say.
        variables: its own, in their order.
        chains: layers in it. The order within a chain is the model's; that of the chains to each
            other is not known.
    """

    key: str
    name: str
    variables: tuple[Variable, ...]
    chains: tuple[tuple[Layer, ...], ...]


@dataclass(frozen=True)
class Stored:
    """A file of Keras's.

    Attributes:
        path: of the file.
        config: what config.json has; None if there is none.
        weights: the .weights.h5 file, or a copy that may be written to.
        model: its layers.
        optimizer: the optimizer and what is in it; None if there is none.
    """

    path: Path
    config: Mapping[str, Any] | None
    weights: Opened
    model: Layer
    optimizer: Layer | None


@contextmanager
def one_line(path: Path) -> Iterator[None]:
    """Say of a ValueError which file it is about; and of what libraries raise for a damaged one."""
    try:
        yield
    except ValueError as error:
        words = " ".join(str(error).split())
        if "legal: " not in words:  # h5py's own
            raise ValueError(f"{shown(str(path))}: {_damaged(error)}") from None
        raise ValueError(f"{shown(str(path))}: {words}") from None
    except (zipfile.BadZipFile, zlib.error, RuntimeError, KeyError, EOFError) as error:
        raise ValueError(f"{shown(str(path))}: {_damaged(error)}") from None


def _damaged(error: Exception) -> str:
    reason = " ".join(str(error).split())[:200]
    return f"it is damaged: {reason}; legal: as Keras writes it"


def opened(path: Path, *, copied: bool = False) -> Stored:
    """A file's content, its variables to be mapped into memory.

    Args:
        path: of a `.keras` or `.weights.h5` file, whatever its name.
        copied: have the weights in a temporary file that may be written to.

    Raises:
        ValueError: no such file, or a damaged one; what libraries raise for one becomes such an
            error in `one_line`.
        OSError: the file cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is no regular file; legal: a .keras or .weights.h5 file")
    config, weights = None, Opened(path)
    if weights.head(len(SIGNATURE)) != SIGNATURE:
        config, weights = _unpacked(path)
    elif copied:
        with path.open("rb") as file:
            weights = _copied(file)
    return Stored(path, config, weights, *_read(weights, config))


def _copied(file: IO[bytes]) -> Opened:
    """A file's bytes as a file without a name, which is gone once it is not referred to."""
    descriptor, name = tempfile.mkstemp()
    os.close(descriptor)
    copy = Opened(Path(name), os.O_RDWR)
    with suppress(PermissionError):  # Windows removes no file that is open
        Path(name).unlink()
    with open(copy.number, "wb", closefd=False) as target:
        shutil.copyfileobj(file, target)
    return copy


def _unpacked(path: Path) -> tuple[Mapping[str, Any], Opened]:
    """The config of a .keras file, and a copy of its weights."""
    if not zipfile.is_zipfile(path):
        raise ValueError("it is no file of Keras's; legal: a .keras or .weights.h5 file")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if not {CONFIG, WEIGHTS} <= set(names) or len(set(names)) < len(names):
            raise ValueError(
                f"it has no {CONFIG} or no {WEIGHTS}, or two of a name; legal: a .keras file as "
                "Keras writes it"
            )
        for info in archive.infolist():
            if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise ValueError(f"{shown(info.filename)} is packed; legal: stored, or deflated")
            if info.file_size > max(_MOST_EXPANDED * info.compress_size, 1 << 20):
                raise ValueError(
                    f"{shown(info.filename)} has {info.file_size} bytes, packed into "
                    f"{info.compress_size}; legal: no more than {_MOST_EXPANDED} times as many"
                )
        if archive.getinfo(CONFIG).file_size > _LONGEST_CONFIG:
            raise ValueError(f"{CONFIG} has more than {_LONGEST_CONFIG} bytes; legal: fewer")
        try:
            config = json.loads(archive.read(CONFIG))
        except (ValueError, RecursionError, OSError) as error:
            raise ValueError(f"{CONFIG} is no JSON: {error}; legal: as Keras writes it") from None
        if not isinstance(config, dict):
            raise ValueError(f"{CONFIG} is no object; legal: as Keras writes it")  # noqa: TRY004
        with archive.open(WEIGHTS) as packed:
            return config, _copied(packed)


def _read(weights: Opened, config: Mapping[str, Any] | None) -> tuple[Layer, Layer | None]:
    try:
        with open(weights.number, "rb", closefd=False) as file, h5py.File(file, "r") as h5:
            if h5.userblock_size:
                raise ValueError(
                    "its weights do not begin at its beginning; legal: as Keras writes"
                )
            reader = _Reader(weights.size)
            optimizer = reader.layer(h5, "optimizer", None) if "optimizer" in h5 else None
            return reader.model(h5, config), optimizer
    # The file itself has been opened: whatever h5py raises is of what is in it.
    except (OSError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(_damaged(error)) from None


class _Reader:
    """Walks through the groups of an HDF5 file, of which nothing is believed."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = _MOST_GROUPS

    def model(self, h5: Any, config: Mapping[str, Any] | None) -> Layer:
        """The model, which is the root."""
        return self._layer(h5, "", "", config, 0)

    def layer(self, h5: Any, key: str, config: Mapping[str, Any] | None) -> Layer:
        """The layer of a key of the root."""
        return self._layer(self._group(h5, key), key, key, config, 1)

    def _layer(
        self, group: Any, path: str, key: str, config: Mapping[str, Any] | None, depth: int
    ) -> Layer:
        variables, name = self._variables(group, path)
        chains: list[tuple[Layer, ...]] = []
        for below in self._keys(group, depth):
            if below != "vars" and not (not path and below == "optimizer"):
                chains += self._below(group, path, below, config, depth)
        return Layer(key, name, variables, tuple(chains))

    def _below(
        self, group: Any, path: str, key: str, config: Mapping[str, Any] | None, depth: int
    ) -> list[tuple[Layer, ...]]:
        """The chains of layers under a key, which is a layer's, or that of a list of layers."""
        inside, place = self._group(group, key), f"{path}/{key}".lstrip("/")
        if "vars" in inside:
            return [(self._layer(inside, place, key, None, depth + 1),)]
        described = layers_of(config) if key == "layers" else {}
        by_class: dict[str, list[tuple[int, Layer]]] = {}
        lists: list[tuple[Layer, ...]] = []
        for below in self._keys(inside, depth + 1):
            member = self._group(inside, below)
            if "vars" not in member:  # a list in a list
                lists += self._below(inside, place, below, None, depth + 1)
                continue
            _, name = self._variables(member, f"{place}/{below}")
            layer = self._layer(member, f"{place}/{below}", below, described.get(name), depth + 2)
            stem, number = numbered(below)
            by_class.setdefault(stem, []).append((number, layer))
        members = [layer for found in by_class.values() for _, layer in found]
        if members and {layer.name for layer in members} <= set(described) and not lists:
            order = list(described)
            return [tuple(sorted(members, key=lambda layer: order.index(layer.name)))]
        # Of one class the first is `dense`, the second `dense_1`.
        return lists + [
            tuple(layer for _, layer in sorted(found, key=lambda pair: pair[0]))
            for found in by_class.values()
        ]

    def _variables(self, group: Any, path: str) -> tuple[tuple[Variable, ...], str]:
        """A layer's own variables, and its name."""
        if "vars" not in group:
            return (), ""
        inside, place = self._group(group, "vars"), f"{path}/vars".lstrip("/")
        keys = list(inside)
        if sorted(keys) != sorted(map(str, range(len(keys)))):
            raise ValueError(
                f"{shown(place)} has the variables {shown(sorted(keys))}; legal: 0, 1, 2, …"
            )
        name = inside.attrs.get("name", "")
        found = tuple(self._variable(inside, place, str(i)) for i in range(len(keys)))
        return found, name if isinstance(name, str) else ""

    def _variable(self, group: Any, path: str, key: str) -> Variable:
        place = f"{path}/{key}"
        self._check_link(group, key, place)
        data = group[key]
        if not isinstance(data, h5py.Dataset) or data.external or data.is_virtual:
            raise ValueError(f"{shown(place)} is no variable in this file; legal: one that is")
        size = math.prod(data.shape) * data.dtype.itemsize
        begin = data.id.get_offset()
        empty = size == 0
        if not empty and (
            data.chunks is not None
            or begin is None
            or data.id.get_storage_size() != size
            or begin + size > self._size
        ):
            raise ValueError(
                f"{shown(place)} takes {size} bytes, which do not lie in the file as one piece; "
                "legal: as Keras writes it. Has the file been cut short?"
            )
        dtype = data.dtype
        if data.attrs.get("dtype") == "bfloat16" and dtype.itemsize == 2:
            dtype = STORAGE_DTYPES["bfloat16"]
        return Variable(place, tuple(data.shape), dtype, 0 if empty else begin)

    def _keys(self, group: Any, depth: int) -> Sequence[str]:
        keys = list(group)
        self._left -= 1 + len(keys)
        if self._left < 0 or depth > _DEEPEST:
            raise ValueError(
                f"it has more than {_MOST_GROUPS} groups, or more than {_DEEPEST} one in another; "
                "legal: fewer"
            )
        return keys

    def _group(self, group: Any, key: str) -> Any:
        self._check_link(group, key, f"{group.name}/{key}".lstrip("/"))
        found = group[key]
        if not isinstance(found, h5py.Group):
            raise ValueError(  # noqa: TRY004 - what is wrong is the file
                f"{shown(key)} is no group; legal: groups of variables, as Keras writes them"
            )
        return found

    @staticmethod
    def _check_link(group: Any, key: str, place: str) -> None:
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise ValueError(  # noqa: TRY004
                f"{shown(place)} is a link; legal: what is in the file itself"
            )


def numbered(key: str) -> tuple[str, int]:
    """What a key of a list of layers says: the class's name, and which of it.

    >>> numbered("dense"), numbered("layer_normalization_12")
    (('dense', 0), ('layer_normalization', 12))
    """
    stem, _, number = key.rpartition("_")
    if stem and number.isascii() and number.isdigit():
        return stem, int(number[:9])
    return key, 0


def layers_of(config: Mapping[str, Any] | None) -> dict[str, Mapping[str, Any]]:
    """The layers that a model's config describes, by name, in order; none if two share a name."""
    inner = entry(config, "config")
    layers = inner.get("layers")
    found: dict[str, Mapping[str, Any]] = {}
    for layer in layers if isinstance(layers, list) else []:
        name = entry(layer, "config").get("name")
        if not isinstance(name, str) or name in found:
            return {}
        found[name] = layer
    return found


def entry(value: Any, key: str) -> Mapping[str, Any]:
    """An object in an object; an empty one if there is none."""
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}
