"""lion_array_api: one Lion step for arrays of any array-API namespace (SPEC.md, arXiv 2302.06675).

NumPy, CuPy, Dask, array-api-strict, and eager PyTorch and JAX arrays, through array-api-compat.

Rooms: `function` is the public step; `kernel` its arithmetic, `native` the same for NumPy's arrays,
compiled; `rounding` stores the results; `checks` refuses; `declared` finds out where subnormals are
flushed; `run_state` writes a run to the file that every framework goes on from. The scalars are
lion_ref's. Schedules and sharding are the caller's, as the arrays are.
"""

from lion_array_api.declared import declared_semantics
from lion_array_api.function import step
from lion_array_api.run_state import export_state, import_state

__all__ = ["declared_semantics", "export_state", "import_state", "step"]
