"""Stands in for the Triton kernel where there is no GPU: a launch runs PTX that Triton makes."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch

from lion_conformance.ptx.contraction import may_contract
from lion_conformance.ptx.machine import launch
from lion_conformance.ptx.memory import Memory
from lion_conformance.ptx.source import parse
from lion_conformance.ptx.syntax import Entry
from lion_torch.kernel.triton_kernel import WARPS
from tests.lion_torch.triton_ahead import ON_DEVICE, TYPES, Triple, ptx

Array = np.ndarray[Any, Any]
NAMES = {kind: name for name, kind in TYPES.items()}
ITEM_SIZES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


@cache
def entry(text: str) -> Entry:
    (found,) = parse(text).entries.values()
    return found


@dataclass
class Launcher:
    """`kernel[grid](...)`, as Triton's, on tensors of the CPU."""

    target: str = "sm_80"
    aligned: bool = True
    """False: as if no array began where sixteen bytes do."""
    options: dict[str, Any] = field(default_factory=dict)
    """Otherwise than the launch says."""
    launches: int = 0
    contractible: bool = False
    """Whether the assembler could make something else of a kernel that was launched."""

    def __getitem__(self, grid: tuple[int]) -> Any:
        def launched(*arguments: Any, enable_fp_fusion: bool, num_warps: int) -> None:
            assert (enable_fp_fusion, num_warps) == (False, WARPS)
            self.launch(grid[0], arguments)

        return launched

    def launch(self, programs: int, arguments: tuple[Any, ...]) -> None:
        tables, numbers, on_device = arguments[:5], arguments[5:11], arguments[11:14]
        *kinds, _, aligned, _, flush = arguments[14:]
        dtypes: Triple = tuple(NAMES[x] for x in kinds)  # type: ignore[assignment]
        given = {n: x for n, x in zip(ON_DEVICE, on_device, strict=True) if x is not None}
        asked = {"on_device": tuple(given), "aligned": aligned and self.aligned, "flush": flush}
        kernel = entry(ptx(self.target, dtypes, **asked | self.options))
        self.contractible |= may_contract(kernel)
        addresses, count, *others = tables
        memory = Memory()
        arrays = self.placed(memory, addresses.view(3, count), tables[2], dtypes)
        values: list[int | bytes] = [
            memory.place("addresses", np.array([x for x, _ in arrays], np.int64)),
            count,
            *(memory.place(f"table {i}", x.numpy()) for i, x in enumerate(others)),
            *(np.float64(x).tobytes() for x in numbers),
            *(memory.place(name, x.numpy()) for name, x in given.items()),
        ]
        values += [0] * (len(kernel.params) - len(values))  # Triton's own, which are not used
        launch(kernel, memory, values, grid=(programs, 1, 1), threads=(32 * WARPS, 1, 1))
        for i, (_, there) in enumerate(arrays):
            now = memory.read(f"array {i}")
            assert i < 2 * count or now.tobytes() == there.tobytes(), "a gradient was written"
            there[:] = now
        self.launches += 1

    def placed(
        self, memory: Memory, addresses: torch.Tensor, sizes: torch.Tensor, dtypes: Triple
    ) -> list[tuple[int, Array]]:
        """Each θ, then each m, then each g: its address in the GPU's memory, and its bytes here."""
        found: list[tuple[int, Array]] = []
        for row, dtype in zip(addresses.tolist(), dtypes, strict=True):
            for at, size in zip(row, sizes.tolist(), strict=True):
                item = ITEM_SIZES[dtype]
                raw = (ctypes.c_uint8 * (size * item)).from_address(at)
                there = np.frombuffer(raw, np.uint8)
                cells = there.view(f"u{item}")
                offset = 0 if self.aligned else item
                found.append((memory.place(f"array {len(found)}", cells, offset=offset), there))
        return found
