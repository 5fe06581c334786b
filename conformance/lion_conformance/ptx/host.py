"""What a host does around a kernel in PTX: it places the arrays, launches, and reads them back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from lion_conformance.ports.protocol import check_unchanged
from lion_conformance.ptx import arguments as kernel_arguments
from lion_conformance.ptx.arguments import Argument
from lion_conformance.ptx.machine import launch
from lion_conformance.ptx.memory import Memory
from lion_conformance.ptx.syntax import Entry
from lion_ref.arithmetic import Array, bits

LARGEST_ALIGNMENT: Final = 256
"""Bytes: what cudaMalloc aligns to."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel with its host: called as lion_ref.step is, it launches once and returns new arrays."""

    entry: Entry
    arguments: tuple[Argument, ...]
    threads: tuple[int, int, int]
    elements_per_program: int
    aligned: int
    contraction: str = "none"

    def __call__(
        self,
        param: Array,
        momentum: Array,
        grad: Array,
        *,
        lr: float,
        beta1: float,
        beta2: float,
        weight_decay: float,
    ) -> tuple[Array, Array]:
        """(θ', m'); a Finding if the kernel does what no kernel may."""
        given = {"param": param, "momentum": momentum, "grad": grad}
        if not param.size:
            return param.copy(), momentum.copy()
        memory = Memory()
        known: dict[str, float] = {
            kernel_arguments.SIZE: param.size,
            **kernel_arguments.formed(lr, beta1, beta2, weight_decay),
        }
        for name, array in given.items():
            known[name] = memory.place(name, *self._laid_out(array))
        for name in self._new:
            known[name] = memory.place_unwritten(name, given[name.removeprefix("new_")])
        values = kernel_arguments.values(self.arguments, known, self.entry.params)
        programs = -(-param.size // self.elements_per_program)
        launch(
            self.entry,
            memory,
            values,
            grid=(programs, 1, 1),
            threads=self.threads,
            contraction=self.contraction,
        )
        results = []
        for name, array in given.items():
            result = memory.read(name)
            if name == "grad" or f"new_{name}" in self._new:
                check_unchanged(
                    name, result.reshape(array.shape), bits(np.ascontiguousarray(array))
                )
            if name != "grad":
                found = memory.read(f"new_{name}") if f"new_{name}" in self._new else result
                results.append(found.reshape(array.shape))
        return results[0], results[1]

    @property
    def _new(self) -> tuple[str, ...]:
        return tuple(x for x in ("new_param", "new_momentum") if x in self.arguments)

    def _laid_out(self, array: Array) -> tuple[Array, int]:
        """The elements in C's order, and where they begin behind an aligned address.

        What is in C's order already is handed over where it lies, if it is aligned as promised.
        """
        flat = np.ascontiguousarray(array).reshape(-1)
        whole: object = array
        while isinstance(whole, np.ndarray) and isinstance(whole.base, np.ndarray):
            whole = whole.base
        if not (array.flags.c_contiguous and isinstance(whole, np.ndarray)):
            return flat, 0
        begins = (array.ctypes.data - whole.ctypes.data) % LARGEST_ALIGNMENT
        return flat, 0 if begins % self.aligned else begins
