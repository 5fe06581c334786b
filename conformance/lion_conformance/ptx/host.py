"""What a host does around a kernel in PTX: it places the arrays, launches, and reads them back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from lion_conformance.ports.protocol import check_unchanged
from lion_conformance.ptx.answers import Answers, question
from lion_conformance.ptx.arguments import SIZE, Argument, formed, values
from lion_conformance.ptx.findings import Finding
from lion_conformance.ptx.machine import MOST_LANES, MOST_STEPS, launch
from lion_conformance.ptx.memory import Memory
from lion_conformance.ptx.syntax import Entry
from lion_ref.arithmetic import Array, bits

LARGEST_ALIGNMENT: Final = 256
"""Bytes: what cudaMalloc aligns to."""


_LAPS: Final = 2
_MORE_LAPS: Final = 64
"""So often a kernel may go through its code for each element, and once."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel and how it is launched, to be called as lion_ref.step is."""

    entry: Entry
    arguments: tuple[Argument, ...]
    threads: tuple[int, int, int]
    elements_per_program: int
    aligned: int
    """Bytes to which every array is aligned."""
    contraction: str = "none"
    _answers: Answers = field(default_factory=Answers, init=False, repr=False, compare=False)

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
        """(θ', m') of one launch, in new arrays; a Finding if it does what no kernel may."""
        if not param.size:  # a grid of no programs is no launch
            return param.copy(), momentum.copy()
        given = {"param": param, "momentum": momentum, "grad": grad}
        offsets = {name: self._offset(array) for name, array in given.items()}
        scalars = lr, beta1, beta2, weight_decay
        asked = question(list(given.values()), scalars, *offsets.values())
        answer = self._answers.find(asked)
        if answer is None:
            answer = self._launched(given, offsets, formed(*scalars))
            self._answers.keep(asked, answer)
        return answer

    def _launched(
        self, given: Mapping[str, Array], offsets: Mapping[str, int], scalars: Mapping[str, float]
    ) -> tuple[Array, Array]:
        """One launch."""
        memory = Memory()
        size = given["param"].size
        known: dict[str, float] = {SIZE: size, **scalars}
        for name, array in given.items():
            known[name] = memory.place(name, array, offset=offsets[name])
            if (new := f"new_{name}") in self.arguments:
                known[new] = memory.place(new, array, written=False)
        grid = self.grid(size)
        launch(
            self.entry,
            memory,
            values(self.arguments, known, self.entry.params),
            grid=grid,
            threads=self.threads,
            contraction=self.contraction,
            most_steps=self._most_steps(grid[0]),
        )
        results = {
            name: memory.read(name, array.dtype).reshape(array.shape)
            for name, array in given.items()
        }
        for name, array in given.items():
            if name == "grad" or f"new_{name}" in self.arguments:
                check_unchanged(name, results[name], bits(array))
        for name in ("param", "momentum"):
            if f"new_{name}" in self.arguments:
                results[name] = _written(memory, f"new_{name}", given[name])
        return results["param"], results["momentum"]

    def grid(self, size: int) -> tuple[int, int, int]:
        """The programs of a launch."""
        return -(-size // self.elements_per_program), 1, 1

    def _most_steps(self, programs: int) -> int:
        """Instructions after which a launch does not end, though one thread did all of a program's
        elements, one after the other, and did most of the kernel for each."""
        at_once = -(-programs * math.prod(self.threads) // MOST_LANES)
        for_each = len(self.entry.body) * (_LAPS * self.elements_per_program + _MORE_LAPS)
        return min(MOST_STEPS, for_each * at_once)

    def _offset(self, array: Array) -> int:
        """Bytes from an aligned address at which an array begins.

        What lies in the middle of another is handed over where it lies if it is aligned as
        promised there, and has no gaps; else the host makes a copy, which begins anew.
        """
        whole: object = array
        while isinstance(whole, np.ndarray) and isinstance(whole.base, np.ndarray):
            whole = whole.base
        if not (array.flags.c_contiguous and isinstance(whole, np.ndarray)):
            return 0
        offset = (array.ctypes.data - whole.ctypes.data) % LARGEST_ALIGNMENT
        return 0 if offset % self.aligned else offset


def _written(memory: Memory, name: str, like: Array) -> Array:
    """A result that the kernel has written elsewhere; a Finding unless all of it was written."""
    written = memory.named(name).is_written(np.arange(like.size), like.itemsize)
    if not written.all():
        index = int(np.argmin(written))
        words = f"element {index} of {name} is never written, of {like.size}"
        raise Finding("uninitialized", words)
    return memory.read(name, like.dtype).reshape(like.shape)
