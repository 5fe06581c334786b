"""Arrays of any storage dtype, and what belongs to them, as bytes and back.

NumPy's own format does not know bfloat16, so that bit patterns are what is stored.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array, bits


def pack(arrays: Mapping[str, Sequence[Array]], **facts: Any) -> bytes:
    """Named lists of arrays, and facts that JSON can hold, as bytes."""
    file = io.BytesIO()
    dtypes = {name: [x.dtype.name for x in found] for name, found in arrays.items()}
    stored = {f"{name}.{i}": bits(x) for name, found in arrays.items() for i, x in enumerate(found)}
    about = np.array(json.dumps({"dtypes": dtypes, "facts": facts}))
    np.savez(file, about=about, **stored)  # type: ignore[arg-type]  # the stub: allow_pickle
    return file.getvalue()


def unpack(packed: bytes) -> tuple[dict[str, list[Array]], dict[str, Any]]:
    """The arrays and the facts.

    >>> arrays, facts = unpack(pack({"m": [np.ones(2, STORAGE_DTYPES["bfloat16"])]}, count=3))
    >>> arrays["m"][0].dtype.name, facts
    ('bfloat16', {'count': 3})
    """
    with np.load(io.BytesIO(packed)) as stored:
        about = json.loads(str(stored["about"]))
        arrays = {
            name: [stored[f"{name}.{i}"].view(STORAGE_DTYPES[d]) for i, d in enumerate(dtypes)]
            for name, dtypes in about["dtypes"].items()
        }
    return arrays, about["facts"]
