"""Guided by what it covers of `load`, find bytes that are neither refused in words nor a run.

    python -m tests.lion_ref.run_state.fuzz_load FOLDER RUNS

The folder has the corpus. The first byte of an input says whether the rest is a file, or a header
to which a right length and the tensors of a small run are added.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["lion_ref"]):
    from tests.lion_ref.run_state.files import document, file_of, small
    from tests.lion_ref.run_state.hostile_files import judged

SCRATCH = Path(tempfile.mkdtemp())
WHOLE = small(SCRATCH / "run.safetensors").read_bytes()
HEADER, DATA = document(WHOLE)
KEYS = (
    *("param.", "momentum.", "dtype", "shape", "data_offsets", "__metadata__", "format", "step"),
    *("groups", "semantics", "versions", "spec_version", "names", "lr", "beta1", "lr_schedule"),
    *(
        "F16",
        "F32",
        "BF16",
        "F64",
        "[0,",
        "-0",
        "1e999",
        "NaN",
        "null",
        "true",
        "18446744073709551616",
    ),
)


def one_input(data: bytes) -> None:
    path = SCRATCH / "hostile.safetensors"
    path.write_bytes(data[1:] if data[:1] == b"f" else file_of(data[1:], DATA))
    judged(path)


def main() -> None:
    folder, runs = Path(sys.argv[1]), sys.argv[2]
    (folder / "file").write_bytes(b"f" + WHOLE)
    (folder / "header").write_bytes(b"h" + json.dumps(HEADER, ensure_ascii=False).encode())
    words = folder.with_name("dictionary")
    words.write_text("".join(f'"{key}"\n' for key in KEYS), encoding="utf-8")
    options = [
        f"-runs={runs}",
        f"-dict={words}",
        "-max_len=4096",
        "-timeout=20",
        "-max_total_time=90",
    ]
    atheris.Setup([sys.argv[0], *options, str(folder)], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
