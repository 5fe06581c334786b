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
from dataclasses import dataclass, replace
from typing import Any, Final

from lion_ref.checks import shown
from lion_ref.dtypes import STORAGE_DTYPES
from lion_ref.run_state.strict_json import check, is_text, json_value

CODES: Final = {"float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64"}
"""Safetensors' names of the storage dtypes."""

_DTYPES: Final = {code: name for name, code in CODES.items()}

LONGEST_HEADER: Final = 1 << 25
"""Bytes: enough for some 100,000 parameters, and Python reads any so long in seconds."""

MOST_AXES: Final = 32
MOST_NUMBERS: Final = 2**59
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
        return math.prod(self.shape) * self.width

    @property
    def width(self) -> int:
        """The bytes of a number."""
        return STORAGE_DTYPES[self.dtype].itemsize


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies: the bytes before the tensors, the tensors, and the file's size."""

    head: bytes
    tensors: Mapping[str, Placed]
    size: int


def laid_out(tensors: Mapping[str, tuple[str, tuple[int, ...]]], text: Mapping[str, str]) -> Layout:
    """The layout for tensors of these dtypes and shapes: the widest first, and all are aligned."""
    entries: dict[str, Any] = {METADATA: dict(text)}
    relative: dict[str, Placed] = {}
    begin = 0
    for name, (dtype, shape) in sorted(
        tensors.items(), key=lambda item: (-STORAGE_DTYPES[item[1][0]].itemsize, item[0])
    ):
        _check_shape(name, list(shape))
        relative[name] = placed = Placed(dtype, shape, begin)
        begin += placed.bytes
        offsets = [placed.begin, begin]
        entries[name] = {"dtype": CODES[dtype], "shape": shape, "data_offsets": offsets}
    header = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    check(
        len(header) <= LONGEST_HEADER,
        f"the names of {len(tensors)} tensors take {len(header)} bytes",
        f"no more than {LONGEST_HEADER}",
    )
    start = 8 + len(header)
    absolute = {name: replace(x, begin=start + x.begin) for name, x in relative.items()}
    return Layout(len(header).to_bytes(8, "little") + header, absolute, start + begin)


def parsed(head: bytes, size: int) -> tuple[dict[str, Placed], dict[str, str]]:
    """The tensors that the bytes of a file's head describe, and its text.

    Args:
        head: the file's first bytes: 8, and the header that they announce, as far as it is there.
        size: of the whole file.

    Raises:
        ValueError: anything but a whole safetensors file of storage dtypes, without gaps.
    """
    length = header_length(head, size)
    check(head[8:9] == b"{", "its header does not begin with '{'", "that of a safetensors file")
    entries = json_value("its header", head[8 : 8 + length])
    text = entries.pop(METADATA, {})
    check(is_text(text), f"its {METADATA} is not text by key", "an object of strings")
    start = 8 + length
    tensors = {name: _placed(name, entry, start, size) for name, entry in entries.items()}
    _check_gaps(tensors, start, size)
    return tensors, text


def header_length(head: bytes, size: int) -> int:
    """What the first 8 bytes say; ValueError if no header of that length can be there."""
    check(len(head) >= 8, f"it has {size} bytes, no safetensors file", "a run state")
    length = int.from_bytes(head[:8], "little")
    check(
        length <= min(size - 8, LONGEST_HEADER),
        f"its first 8 bytes announce a header of {length} bytes, but it has {size} in all",
        f"a whole safetensors file, its header no longer than {LONGEST_HEADER} bytes",
    )
    return length


def _placed(name: str, entry: Any, start: int, size: int) -> Placed:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(
            f"{shown(name)} is not described by dtype, shape and data_offsets; legal: these three"
        )
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in _DTYPES:
        raise ValueError(f"{shown(name)} has dtype {shown(code)}; legal: {', '.join(_DTYPES)}")
    _check_shape(name, shape)
    if not _whole(offsets, 2) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= size - start:
        raise ValueError(
            f"{shown(name)} lies at {shown(offsets)} of {size - start} bytes of data: has the file "
            "been cut short? legal: [begin, end] within them"
        )
    placed = Placed(_DTYPES[code], tuple(shape), start + offsets[0])
    if placed.bytes != offsets[1] - offsets[0]:
        raise ValueError(
            f"{shown(name)}, {code} of shape {shape}, takes {placed.bytes} bytes, but "
            f"lies at {offsets}; legal: as many as it takes"
        )
    if placed.begin % placed.width and placed.bytes:
        raise ValueError(
            f"{shown(name)} begins at byte {placed.begin} of the file; legal: a multiple of "
            f"{placed.width}, the width of {code}"
        )
    return placed


def _check_shape(name: str, shape: Any) -> None:
    # Zeros do not count: some reader may multiply up to the first of them, and overflow.
    if not _whole(shape, MOST_AXES) or math.prod(filter(None, shape)) > MOST_NUMBERS:
        raise ValueError(
            f"{shown(name)} has shape {shown(shape)}; legal: up to {MOST_AXES} whole numbers >= 0, "
            f"whose product is no more than {MOST_NUMBERS}, zeros aside"
        )


def _whole(numbers: Any, most: int) -> bool:
    return (
        isinstance(numbers, list)
        and len(numbers) <= most
        and all(type(x) is int and x >= 0 for x in numbers)
    )


def _check_gaps(tensors: Mapping[str, Placed], start: int, size: int) -> None:
    """Bytes of two tensors, or of none, are a mistake, or a hiding place."""
    end, before = start, ""
    for name, placed in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].bytes)):
        if placed.begin != end:
            what = "share memory" if placed.begin < end else "have a gap between them"
            first = shown(before) if before else "the header"
            raise ValueError(f"{first} and {shown(name)} {what}; legal: one after another")
        end, before = placed.begin + placed.bytes, name
    check(end == size, f"the last {size - end} bytes belong to no tensor", "none")
