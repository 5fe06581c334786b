"""Run states for tests: a small one, and files written by hand, right or wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from lion_ref.dtypes import STORAGE_DTYPES, legal_triples
from lion_ref.run_state import Group, RunState, save
from lion_ref.schedules import Schedule
from lion_ref.semantics import Semantics

PAIRS = sorted({(param, momentum) for param, momentum, _ in legal_triples()})


def bits(array: Any) -> bytes:
    """Shape, dtype and every bit."""
    found = np.asarray(array)
    return f"{found.shape} {found.dtype.name} ".encode() + found.tobytes()


def every_kind(dtype: str, shape: tuple[int, ...] = (9,)) -> np.ndarray[Any, Any]:
    """Zeros of both signs, subnormals, infinities, NaNs with payloads, quiet and signalling."""
    kind = STORAGE_DTYPES[dtype]
    width = kind.itemsize * 8
    mantissa = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}[dtype]
    top, infinity = 1 << (width - 1), (1 << (width - 1)) - (1 << mantissa)
    patterns = [0, top, 1, top | 1, (1 << mantissa) - 1, infinity, top | infinity]
    patterns += [infinity | 5, top | infinity | (1 << (mantissa - 1)) | 3]
    octets = b"".join(pattern.to_bytes(width // 8, "little") for pattern in patterns)
    return np.resize(np.frombuffer(octets, kind), shape)


def small(path: Path) -> Path:
    """A run of three parameters in two groups, with all that a header can have."""
    tensors = {
        "fc.weight": (every_kind("bfloat16", (2, 3)), every_kind("float32", (2, 3))),
        "fc.bias": (every_kind("float16", (3,)), every_kind("bfloat16", (3,))),
        "params/größe": (every_kind("float64", ()), every_kind("float64", ())),
    }
    groups = [
        Group(lr=0.1, names=("params/größe", "fc.weight"), weight_decay=0.3),
        Group(
            lr=Schedule("cosine", 1e-3, steps=100)(7),
            names=("fc.bias",),
            lr_schedule=Schedule("cosine", 1e-3, steps=100),
        ),
    ]
    semantics = Semantics(subnormals="flush")
    save(path, tensors, step=7, groups=groups, semantics=semantics, versions={"torch": "2.9.1"})
    return path


def document(octets: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the tensors' bytes of a file."""
    end = 8 + int.from_bytes(octets[:8], "little")
    return json.loads(octets[8:end]), octets[end:]


def file_of(header: Any, data: bytes) -> bytes:
    """A file with any header: as bytes, or as a value in JSON."""
    text = "" if isinstance(header, bytes) else json.dumps(header, ensure_ascii=False)
    octets: bytes = header if isinstance(header, bytes) else text.encode("utf-8", "surrogatepass")
    octets += b" " * (-len(octets) % 8)
    return len(octets).to_bytes(8, "little") + octets + data


def save_again(state: RunState, path: Path) -> None:
    """Write what was loaded to another file."""
    header = state.header
    save(
        path,
        state.tensors,
        step=header.step,
        groups=header.groups,
        semantics=header.semantics,
        versions=header.versions,
    )
