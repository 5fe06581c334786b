"""Small kernels written by hand, and launches of them on two arrays of float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lion_conformance.ptx.machine import launch
from lion_conformance.ptx.memory import Memory
from lion_conformance.ptx.source import parse
from lion_conformance.ptx.syntax import Entry

HEADER = """.version 8.0
.target sm_80
.address_size 64
"""

REGISTERS = """
.reg .pred %p<20>;
.reg .b16 %h<20>;
.reg .b32 %r<40>;
.reg .f32 %f<40>;
.reg .b64 %rd<40>;
"""

INDEX = """
ld.param.u64 %rd1, [a];
ld.param.u64 %rd2, [b];
ld.param.u32 %r1, [n];
mov.u32 %r2, %ctaid.x;
mov.u32 %r3, %ntid.x;
mov.u32 %r4, %tid.x;
mad.lo.s32 %r5, %r2, %r3, %r4;
mul.wide.s32 %rd3, %r5, 4;
add.s64 %rd4, %rd1, %rd3;
add.s64 %rd5, %rd2, %rd3;
"""
"""%rd1, %rd2: a, b; %r1: n; %r4: the thread; %r5: which of all; %rd4, %rd5: its elements."""

TAIL = """
setp.ge.s32 %p1, %r5, %r1;
@%p1 bra DONE;
"""
"""Threads past n leave; the kernel has to have the label DONE."""


def entry(body: str, *, variables: str = "", module: str = "", size: str = "") -> Entry:
    """A kernel of a, b and n with this body, after what every one begins with."""
    text = (
        f"{HEADER}{module}\n"
        f".visible .entry k(.param .u64 a, .param .u64 b, .param .u32 n)\n{size}\n"
        f"{{{REGISTERS}{variables}{INDEX}{body}\n}}\n"
    )
    return parse(text).kernel("k")


def launched(
    kernel: Entry | str,
    n: int = 32,
    *,
    size: int | None = None,
    grid: int = 1,
    threads: int = 32,
    offset: int = 0,
    written: bool = True,
    **options: Any,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """a = 0, 1, ... and b = 100, 101, ... after a launch; `size` elements each, n if not said."""
    made = kernel if isinstance(kernel, Entry) else entry(kernel)
    memory = Memory()
    a = np.arange(n if size is None else size, dtype=np.float32)
    addresses = memory.place("a", a, offset=offset), memory.place("b", a + 100, written=written)
    launch(made, memory, [*addresses, n], grid=(grid, 1, 1), threads=(threads, 1, 1), **options)
    return memory.read("a", np.float32), memory.read("b", np.float32)
