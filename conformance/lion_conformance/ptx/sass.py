"""SASS, what an assembler has made of PTX: which operations a GPU rounds, and how.

NVIDIA's own disassembler reads it from a cubin. Nothing is run: these are instructions, no results.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lion_conformance.ptx.sass_instruction import DIRECTED, Instruction

NO_DISASSEMBLER: Final = "not run: no nvdisasm: pip install triton"

_WIDTHS: Final = {"F": ("f32",), "D": ("f64",), "H": ("f16", "f16x2", "bf16", "bf16x2")}

_FUNCTION: Final = re.compile(r"\s*Function : (\S+)|\.text\.(\S+):$")
_TARGET: Final = re.compile(r"\s*(?:code for|\.target)\s+sm_(\w+)")
_OLD_TARGET: Final = re.compile(r"\s*\.headerflags.*EF_CUDA_SM(\w+)")
_INSTRUCTION: Final = re.compile(r"\s*/\*([0-9a-f]{4,})\*/\s+(?:@!?\w+\s+)?([^;]+?)\s*;")

_ELF, _CUDA = b"\x7fELF", 190
"""What a cubin begins with, and its machine at byte 18; an object for a host has another."""


class NoDisassemblerError(OSError):
    """There is nothing at hand that reads SASS."""

    def __init__(self) -> None:
        super().__init__(NO_DISASSEMBLER)


@dataclass(frozen=True, slots=True)
class Kernel:
    """The instructions of one function, for one architecture."""

    name: str
    target: str
    """As "sm_80"."""
    instructions: tuple[Instruction, ...]

    def fused(self, kind: str = "") -> list[Instruction]:
        """What rounds a product and a sum once; of one type, "F", "D" or "H", if asked."""
        both = [x for x in self.instructions if x.role == "both"]
        return [x for x in both if not kind or x.name.lstrip("U").startswith(kind)]

    @property
    def flushing(self) -> list[Instruction]:
        """What takes, or gives, zeros for subnormals."""
        return [x for x in self.instructions if x.flushes]

    def lines(self) -> list[str]:
        """What it rounds, then what is out of the ordinary; the first instruction of each kind."""
        fused, flushing = self.fused(), self.flushing
        approximate = [x for x in self.instructions if x.approximates]
        divides = ", or what a division is made of" if approximate else ""
        calm = [] if fused else ["nothing contracted"]
        calm += [] if flushing else ["nothing flushed"]
        found = [f"{self.name} for {self.target}: {', '.join([*self._counts(), *calm])}"]
        found += _told(fused, f"a product and a sum rounded once (contraction{divides})")
        found += _told(flushing, "subnormals flushed")
        for words in DIRECTED.values():
            directed = [x for x in self.instructions if x.directed == words]
            found += _told(directed, f"rounded {words}")
        found += _told([x for x in self.instructions if x.saturates], "cut to [0, 1]")
        found += _told(approximate, "approximated")
        return found

    def _counts(self) -> list[str]:
        roles = Counter(x.role for x in self.instructions)
        words = {"product": "products", "sum": "sums", "conversion": "conversions"}
        return [f"{many} {roles[role]}" for role, many in words.items() if roles[role]]

    def beyond(self, opcodes: Iterable[str], *, free: bool = False) -> list[str]:
        """What it rounds otherwise than its PTX says, given that PTX's opcodes; a line for each.

        An unrolled loop has more of everything, and a division is made of fused operations:
        where either may be why, nothing is said. free: the PTX leaves contraction open.
        """
        ptx = list(opcodes)
        if any(re.match(r"(?:div|sqrt|rcp|rsqrt)\.(?:\w+\.)*f(?:32|64)\b", x) for x in ptx):
            return []
        found = []
        for kind, types in _WIDTHS.items():
            fused = self.fused(kind)
            if not free and not any(_is_fused(x, types) for x in ptx):
                found += _told(fused, "contracted, where the PTX rounds twice")
        if not any(".ftz" in x for x in ptx):
            found += _told(self.flushing, "subnormals flushed, where the PTX keeps them")
        return found


def _is_fused(opcode: str, types: tuple[str, ...]) -> bool:
    return opcode.startswith(("fma.", "mad.")) and opcode.rsplit(".", 1)[1] in types


def _told(instructions: list[Instruction], what: str) -> list[str]:
    if not instructions:
        return []
    names = Counter(x.short for x in instructions)
    counts = ", ".join(f"{count} {name}" for name, count in names.items())
    first = instructions[0]
    return [f"{counts}: {what}; the first at {first.address:#06x}: {first}"]


@dataclass(frozen=True, slots=True)
class Assembly:
    """A kernel's machine code: what it rounds, and where that is not what the PTX says."""

    lines: tuple[str, ...]
    beyond: tuple[str, ...]
    """What the PTX forbids; a line each."""
    contracts: bool
    """Whether it has more fused operations, or fewer sums, than the PTX: the PTX left it open."""


@dataclass(frozen=True, slots=True)
class Code:
    """The functions of a file; one that is for several architectures is there once for each."""

    kernels: tuple[Kernel, ...]

    def of(self, name: str) -> tuple[Kernel, ...]:
        """Those of that name; ValueError if there is none."""
        found = tuple(x for x in self.kernels if x.name == name)
        if not found:
            names = ", ".join(sorted({x.name for x in self.kernels}))
            raise ValueError(f"no kernel {name} in the machine code; there are: {names}")
        return found

    def lines(self) -> list[str]:
        """Every function's, one after the other."""
        return [line for kernel in self.kernels for line in kernel.lines()]


def read(path: str | Path) -> Code:
    """The machine code of a cubin, or of what holds some: a fatbin, an object, a program.

    NoDisassemblerError where nothing reads it; ValueError where there is none in the file.
    """
    content = Path(path).read_bytes()[:20]
    cubin = content[:4] == _ELF and int.from_bytes(content[18:20], "little") == _CUDA
    program = disassembler("nvdisasm" if cubin else "cuobjdump")
    if program is None:
        raise NoDisassemblerError
    command = [program, "-c" if cubin else "-sass", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    code = parse(done.stdout)
    if done.returncode or not code.kernels:
        words = " ".join((done.stderr or done.stdout).split()) or "nothing to disassemble"
        raise ValueError(f"no machine code for a GPU in {path}: {words}")
    return code


def disassembler(name: str = "nvdisasm") -> str | None:
    """Where it is: on the PATH, in the CUDA toolkit, or in Triton's wheel, which isn't imported."""
    folders = [Path(os.environ[x], "bin") for x in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(x)]
    triton = importlib.util.find_spec("triton")
    places = (triton and triton.submodule_search_locations) or ()
    folders += [Path(x, "backends", "nvidia", "bin") for x in places]
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, folders)))


def parse(text: str) -> Code:
    """What nvdisasm or cuobjdump has printed."""
    target = ""
    functions: list[tuple[str, str, list[Instruction]]] = []
    for line in text.splitlines():
        if found := _TARGET.match(line) or (not target and _OLD_TARGET.match(line)):
            target = f"sm_{found[1]}"
        elif found := _FUNCTION.match(line):
            functions.append((found[1] or found[2], target, []))
        elif functions and (found := _INSTRUCTION.match(line)):
            functions[-1][2].append(_instruction(int(found[1], 16), found[2]))
    return Code(tuple(Kernel(name, of, tuple(its)) for name, of, its in functions))


def _instruction(address: int, text: str) -> Instruction:
    opcode, _, operands = text.replace(".reuse", "").partition(" ")
    return Instruction(address, opcode, tuple(x.strip() for x in operands.split(",") if x.strip()))
