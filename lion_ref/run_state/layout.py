"""The form of the file: a safetensors file's, which is a JSON header and then the tensors' bytes.

    8 bytes   the header's length, little-endian
    header    {"__metadata__": {key: text}, name: {"dtype", "shape", "data_offsets"}, …}
    data      the tensors in C order, one after another, without a gap

Nothing of a file is believed: whatever a header says is held against the file's size before any of
it is used, and what is refused is refused in one line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Literal

import numpy as np

from lion_ref.dtypes import STORAGE_DTYPES
from lion_ref.hyperparameters import shown

CODES: Final = {"float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64"}
"""Safetensors' names of the storage dtypes."""

LONGEST_HEADER: Final = 1 << 26
"""Bytes: enough for some 300,000 tensors, and for no memory to be filled by a number in a file."""

LONGEST_NAME: Final = 1000
MOST_AXES: Final = 32
METADATA: Final = "__metadata__"


@dataclass(frozen=True, slots=True)
class Placed:
    """A tensor of the file: its dtype's name, its shape, and where its bytes begin in the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int

    @property
    def bytes(self) -> int:
        """How many it takes."""
        return math.prod(self.shape) * STORAGE_DTYPES[self.dtype].itemsize

    def mapped(self, file: BinaryIO, mode: Literal["r+", "c"]) -> np.ndarray[Any, Any]:
        """The tensor in the file: r+ to assign to, c to read, when what is assigned is private."""
        dtype = STORAGE_DTYPES[self.dtype]
        if not self.bytes:  # no memory can be mapped to none
            return np.empty(self.shape, dtype)
        return np.asarray(np.memmap(file, dtype, mode, self.begin, self.shape))


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies: the bytes before the tensors, the tensors, and the file's size."""

    head: bytes
    tensors: Mapping[str, Placed]
    size: int


def laid_out(tensors: Mapping[str, tuple[str, tuple[int, ...]]], text: Mapping[str, str]) -> Layout:
    """The layout for tensors of these dtypes and shapes: the widest first, and all are aligned."""
    entries: dict[str, Any] = {METADATA: dict(text)}
    begin = 0
    order = sorted(tensors, key=lambda name: (-STORAGE_DTYPES[tensors[name][0]].itemsize, name))
    relative: dict[str, Placed] = {}
    for name in order:
        dtype, shape = tensors[name]
        placed = Placed(dtype, shape, begin)
        relative[name] = placed
        end = begin + placed.bytes
        entries[name] = {
            "dtype": CODES[dtype],
            "shape": list(shape),
            "data_offsets": [begin, end],
        }
        begin = end
    header = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > LONGEST_HEADER:
        raise ValueError(
            f"the names of {len(tensors)} tensors take {len(header)} bytes; legal: no more than "
            f"{LONGEST_HEADER}"
        )
    start = 8 + len(header)
    placed_in_file = {
        name: Placed(x.dtype, x.shape, start + x.begin) for name, x in relative.items()
    }
    return Layout(len(header).to_bytes(8, "little") + header, placed_in_file, start + begin)


def parsed(head: bytes, size: int) -> tuple[Layout, dict[str, str]]:
    """The layout that the bytes of a file's head describe, and its text.

    Args:
        head: the file's first bytes: 8, and the header that they announce, as far as it is there.
        size: of the whole file.

    Raises:
        ValueError: anything but a whole safetensors file of storage dtypes, without gaps.
    """
    length = header_length(head, size)
    entries = json_value("the header", head[8 : 8 + length])
    check(isinstance(entries, dict), "the header is no JSON object", "that of a safetensors file")
    text = entries.pop(METADATA, {})
    check(is_text(text), f"its {METADATA} is not text by key", "an object of strings")
    start = 8 + length
    tensors = {name: _placed(name, entry, start, size) for name, entry in entries.items()}
    _check_gaps(tensors, start, size)
    return Layout(head[:start], tensors, size), text


def header_length(head: bytes, size: int) -> int:
    """What the first 8 bytes say; ValueError if no header of that length can be there."""
    if len(head) < 8:
        raise ValueError(f"it has {size} bytes, no safetensors file; legal: a run state")
    length = int.from_bytes(head[:8], "little")
    if length > min(size - 8, LONGEST_HEADER):
        raise ValueError(
            f"its first 8 bytes announce a header of {length} bytes, but it has {size} in all; "
            f"legal: a whole safetensors file, its header no longer than {LONGEST_HEADER} bytes"
        )
    return length


def check_name(name: object) -> None:
    """ValueError unless it can be a tensor's name: a printable path of parts, none of which climbs.

    >>> check_name("layers.0/kernel")
    >>> check_name("../../etc/passwd")
    Traceback (most recent call last):
        ...
    ValueError: the name '../../etc/passwd' is not legal; legal: 1 to 1000 printable characters, \
without '\\\\', of parts between '/' that are not empty, '.' or '..'
    """
    if (
        isinstance(name, str)
        and 0 < len(name) <= LONGEST_NAME
        and name.isprintable()
        and "\\" not in name
        and not {"", ".", ".."}.intersection(name.split("/"))
    ):
        return
    raise ValueError(
        f"the name {shown(name)} is not legal; legal: 1 to {LONGEST_NAME} printable characters, "
        "without '\\\\', of parts between '/' that are not empty, '.' or '..'"
    )


def check(holds: bool, what: str, legal: str) -> None:
    """ValueError that says what is wrong, and what would be legal, unless it holds."""
    if not holds:
        raise ValueError(f"{what}; legal: {legal}")


def is_text(value: Any) -> bool:
    """Whether it is an object of strings."""
    return isinstance(value, dict) and all(isinstance(x, str) for x in value.values())


def json_value(what: str, text: str | bytes) -> Any:
    """A value in JSON, no key twice and no NaN in it; ValueError in one line for anything else."""
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{what} is no JSON: {reason}; legal: that of a run state") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{shown(name)} is there twice")
        found[name] = value
    return found


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


def _placed(name: str, entry: Any, start: int, size: int) -> Placed:
    check_name(name)
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(
            f"{shown(name)} is not described by dtype, shape and data_offsets; legal: these three"
        )
    dtype = next((x for x, code in CODES.items() if code == entry["dtype"]), None)
    if dtype is None:
        raise ValueError(
            f"{shown(name)} has dtype {shown(entry['dtype'])}; legal: {', '.join(CODES.values())}"
        )
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _whole(shape) or len(shape) > MOST_AXES:
        raise ValueError(
            f"{shown(name)} has shape {shown(shape)}; legal: up to {MOST_AXES} whole numbers >= 0"
        )
    if not _whole(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= size - start:
        raise ValueError(
            f"{shown(name)} lies at {shown(offsets)} of {size - start} bytes of data; legal: "
            "[begin, end] within them. Has the file been cut short?"
        )
    placed = Placed(dtype, tuple(shape), start + offsets[0])
    if placed.bytes != offsets[1] - offsets[0]:
        raise ValueError(
            f"{shown(name)}, {entry['dtype']} of shape {shown(shape)}, takes {placed.bytes} bytes, "
            f"but lies at {offsets}; legal: as many as it takes"
        )
    return placed


def _whole(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(x) is int and x >= 0 for x in numbers)


def _check_gaps(tensors: Mapping[str, Placed], start: int, size: int) -> None:
    """Bytes of two tensors, or of none, are a mistake, or a hiding place."""
    end, before = start, "the header"
    for name, placed in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].bytes)):
        if placed.begin != end:
            what = "share memory" if placed.begin < end else "have a gap between them"
            raise ValueError(f"{before} and {shown(name)} {what}; legal: one after another")
        end, before = placed.begin + placed.bytes, shown(name)
    if end != size:
        raise ValueError(f"{size - end} bytes after {before} belong to no tensor; legal: none")
