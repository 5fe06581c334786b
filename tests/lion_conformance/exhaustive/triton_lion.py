"""The Triton kernel of the examples on arrays of 16 bits, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.lion_conformance.ptx.triton_example import example

TYPES = {"bfloat16": "*bf16", "float16": "*fp16"}


def written(folder: Path, dtype: str, **options: Any) -> Path:
    """The kernel's PTX in a folder, and beside it the file that says how it is launched."""
    lion = example()
    text = lion.ptx(array=TYPES[dtype], **options)
    (folder / "lion.ptx").write_text(text, encoding="utf-8")
    lines = {
        "source": "lion.ptx",
        "arguments": [*lion.ARGUMENTS, 0, 0],
        "elements_per_program": lion.BLOCK,
        "dtypes": [[dtype] * 3],
    }
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items())
    (folder / "kernel.toml").write_text(text, encoding="utf-8")
    return folder / "kernel.toml"
