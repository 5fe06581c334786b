"""lion_array_api: one Lion step for arrays of any array-API namespace (SPEC.md, arXiv 2302.06675).

NumPy, CuPy, Dask, array-api-strict, and eager PyTorch and JAX arrays, through array-api-compat.

Rooms: `function` is the public step; `kernel` its arithmetic; the numbers for it are lion_ref's;
`rounding` stores the results; `checks` refuses; `declared` finds out where subnormals are flushed.
Schedules, sharding and checkpoints are the caller's, as the arrays are.
"""

from lion_array_api.declared import declared_semantics
from lion_array_api.function import step

__all__ = ["declared_semantics", "step"]
