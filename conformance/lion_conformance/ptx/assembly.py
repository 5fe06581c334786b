"""What an assembler made of a kernel, held against the PTX that it was made of."""

from __future__ import annotations

import re
from typing import Final

from lion_conformance.ptx.contraction import may_contract
from lion_conformance.ptx.sass import Assembly, Code, Kernel
from lion_conformance.ptx.syntax import Entry

_FUSED: Final = re.compile(r"(?:fma|mad)\.(?:\w+\.)*b?f\d+(?:x2)?$")
_SUM: Final = re.compile(r"(?:add|sub)\.(?:\w+\.)*b?f\d+(?:x2)?$")


def assembly(code: Code, entry: Entry) -> Assembly:
    """The kernel of that name, as it is for each GPU; ValueError if it's missing."""
    kernels = code.of(entry.name)
    opcodes = [x.opcode for x in entry.body]
    found = (line for x in kernels for line in x.beyond(opcodes, free=may_contract(entry)))
    return Assembly(
        lines=tuple(line for x in kernels for line in x.lines()),
        beyond=tuple(dict.fromkeys(found)),
        contracts=any(_contracts(x, opcodes) for x in kernels),
    )


def _contracts(kernel: Kernel, opcodes: list[str]) -> bool:
    """A contraction takes a sum away and puts a fused operation there."""
    fused = sum(bool(_FUSED.match(x)) for x in opcodes)
    sums = sum(bool(_SUM.match(x)) for x in opcodes)
    left = sum(x.role == "sum" for x in kernel.instructions)
    return len(kernel.fused()) > fused or left < sums
