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
from array import array
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from lion_torch.blocks import Blocks
from lion_torch.layout import flat_views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor

    from lion_torch.settings import TorchScalars

    Triple = tuple[Tensor, Tensor, Tensor]
    Dtypes = tuple[torch.dtype, ...]

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

_PLAIN = frozenset((torch.nn.Parameter, torch.Tensor))
_CODES = {torch.float16: 0, torch.bfloat16: 1, torch.float32: 2, torch.float64: 3}


def update(triples: Iterable[Triple], scalars: TorchScalars) -> None:
    """One step of many tensors, in place.

    Tensors that do not lie in memory as one dense run each, in one order, go through blocks
    instead: the bits are the same.

    Raises:
        RuntimeError: no C++ compiler, or it failed; nothing has been written.
    """
    kernel = load()
    alike, others = _sorted(list(triples))
    numbers = (ctypes.c_double * 6)(
        scalars.beta1,
        scalars.one_minus_beta1,
        scalars.beta2,
        scalars.one_minus_beta2,
        float(scalars.lr),
        float(scalars.weight_decay),
    )
    for dtypes, some in alike.items():
        columns = list(zip(*some, strict=True))
        pointers = [array("q", map(torch.Tensor.data_ptr, column)) for column in columns]
        sizes = array("q", map(torch.Tensor.numel, columns[0]))
        tables = (table.buffer_info()[0] for table in (*pointers, sizes))
        codes = (_CODES[dtype] for dtype in dtypes)
        if kernel(len(some), *tables, *codes, numbers, torch.get_num_threads()):
            raise RuntimeError(f"the kernel has no code for {dtypes}")  # plan() refused it before
        # Autograd does not see what happens through pointers.
        torch.autograd.graph.increment_version(columns[0] + columns[1])
    if others:
        Blocks(scalars).run(others)


def _sorted(triples: list[Triple]) -> tuple[dict[Dtypes, list[Triple]], list[Triple]]:
    """Dense triples by their dtypes, and the others."""
    columns = list(zip(*triples, strict=True))
    dtypes = [{x.dtype for x in column} for column in columns]
    if all(len(x) == 1 for x in dtypes) and all(
        all(map(torch.Tensor.is_contiguous, column)) and _PLAIN.issuperset(map(type, column))
        for column in columns
    ):  # nearly always; asked of all at once, as there may be many small ones
        return {tuple(x.pop() for x in dtypes): triples}, []
    alike: defaultdict[Dtypes, list[Triple]] = defaultdict(list)
    others = []
    for triple in triples:
        if flat_views(triple) is not None and not any(map(is_traceable_wrapper_subclass, triple)):
            alike[tuple(x.dtype for x in triple)].append(triple)
        else:
            others.append(triple)
    return alike, others


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
