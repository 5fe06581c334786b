"""lion_cpu: the update as a compiled kernel, for adapters whose arrays lie in a CPU's memory.

It has SPEC.md's bits for all 43 triples of dtypes, in one pass over memory. The library is built
with the package (`hatch_build.py`), from `kernel/`: `lanes.h` are vectors of numbers and their
conversions, `update.cpp` the update of elements in a row, compiled for several sets of
instructions, `threads.h` who does it, `environment.h` with which instructions, which rounding and
which rule for subnormals, `flushing.h` that rule where the processor has another, `lion_cpu.cpp`
the door. `library` loads it, `memory` says which arrays it can take, `team` in which threads it may
work. Where there is none, adapters take their framework's operations, with the same bits.
"""

from lion_cpu.library import Table, in_order, missing, step
from lion_cpu.memory import lie_apart
from lion_cpu.team import team_of

__all__ = ["Table", "in_order", "lie_apart", "missing", "step", "team_of"]
