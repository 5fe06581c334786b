"""fused=True on a CPU: one pass over memory, by a C++ kernel that is compiled once.

One library serves every shape, size and dtype. It is kept in the cache folder of torch's own
extensions, so later processes only load it.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from lion_torch.kernel import blocks
from lion_torch.layout import flat_views, gathered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lion_torch.layout import Triple
    from lion_torch.scalars import TorchScalars

SOURCE = Path(__file__).with_name("lion_cpu.cpp")

# No contraction: it would change bits (SPEC C5). Not trapping and not setting errno change none,
# and without them the sign is not vectorized.
FLAGS = (
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-shared",
    "-ffp-contract=off",
    "-fno-trapping-math",
    "-fno-math-errno",
)
# The instructions torch found on this machine, rather than -march=native: a cache folder may be
# shared by machines that differ.
INSTRUCTIONS = {
    "AVX2": ("-mavx2", "-mf16c"),
    "AVX512": ("-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mf16c"),
}
COMPILERS = ("g++", "clang++", "c++")

_CODES = {torch.float16: 0, torch.bfloat16: 1, torch.float32: 2, torch.float64: 3}


def update(triples: Iterable[Triple], scalars: TorchScalars) -> None:
    """One step of many tensors, in place.

    Tensors that do not lie in memory as one dense run each, in one order, go through blocks
    instead: the bits are the same.

    Raises:
        RuntimeError: no C++ compiler, or it failed; nothing has been written.
    """
    kernel = load()
    numbers = (ctypes.c_double * 6)(
        scalars.beta1,
        scalars.one_minus_beta1,
        scalars.beta2,
        scalars.one_minus_beta2,
        float(scalars.lr),
        float(scalars.weight_decay),
    )
    alike, others = gathered(triples, _kind)
    for some in alike:
        tables = (table.buffer_info()[0] for table in (*some.pointers, some.sizes))
        codes = (_CODES[dtype] for dtype in some.dtypes)
        if kernel(len(some), *tables, *codes, numbers, torch.get_num_threads()):
            # plan() refused it before.
            raise RuntimeError(f"the kernel has no code for {some.dtypes}")
        # Autograd does not see what happens through pointers.
        torch.autograd.graph.increment_version(some.written)
    if others:
        blocks.update(others, scalars)


def _kind(triple: Triple) -> tuple[torch.dtype, ...] | None:
    """The dtypes of three tensors that one pointer each can go through; of others None."""
    if flat_views(triple) is None or any(map(is_traceable_wrapper_subclass, triple)):
        return None
    return tuple(x.dtype for x in triple)


@cache
def load() -> Callable[..., int]:
    """The kernel, from the cache folder; compiled into it by the first call on a machine.

    Raises:
        RuntimeError: no C++ compiler, or it failed: its command and its message.
    """
    path = library_path()
    if not path.exists():
        _build(path)
    function = ctypes.CDLL(str(path)).lion_step
    function.restype = ctypes.c_int
    function.argtypes = [
        ctypes.c_int64,
        *[ctypes.c_void_p] * 4,
        *[ctypes.c_int] * 3,
        ctypes.c_void_p,
        ctypes.c_int,
    ]
    step: Callable[..., int] = function
    return step


def library_path() -> Path:
    """Where the compiled kernel is kept: TORCH_EXTENSIONS_DIR, else the user's cache folder."""
    root = os.environ.get("TORCH_EXTENSIONS_DIR")
    folder = Path(root) if root else Path.home() / ".cache" / "torch_extensions"
    parts = (SOURCE.read_text(encoding="utf-8"), *_flags(), platform.machine(), platform.system())
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return folder / "lion_torch" / f"lion_cpu_{digest}.so"


def _flags() -> tuple[str, ...]:
    return FLAGS + INSTRUCTIONS.get(torch.backends.cpu.get_cpu_capability(), ())


def _build(path: Path) -> None:
    compiler = os.environ.get("CXX") or next(filter(shutil.which, COMPILERS), None)
    if compiler is None:
        raise RuntimeError(
            "fused=True on a CPU needs a C++ compiler, and there is none; legal: install "
            f"{', '.join(COMPILERS[:2])} or set CXX, or use fused=None (the same bits)"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        built = Path(folder) / path.name
        command = [*compiler.split(), *_flags(), str(SOURCE), "-o", str(built)]
        ran = _run([*command, "-fopenmp"])
        if ran.returncode:
            # Some compilers come without OpenMP; the kernel then runs in one thread.
            ran = _run(command)
        if ran.returncode:
            raise RuntimeError(
                "fused=True on a CPU needs a C++17 compiler with _Float16; "
                f"{' '.join(command)} failed: {ran.stderr.strip()[-2000:]}; legal: set CXX to "
                "g++ 12 or clang++ 15, or newer, or use fused=None (the same bits)"
            )
        built.replace(path)  # in one step: other processes may be building it too


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)
