"""What each PTX instruction means, written once: as operations, whatever they are done on.

Numbers and symbols run the same lines, through an `Algebra`. Nothing here knows registers, memory
or threads; it knows `operations`. As the PTX ISA says it, chapter 9.7.
"""

from lion_conformance.ptx.instructions.meaning import (
    Algebra,
    Approximate,
    Meaning,
    UnknownInstruction,
)
from lion_conformance.ptx.instructions.table import meaning

__all__ = ["Algebra", "Approximate", "Meaning", "UnknownInstruction", "meaning"]
