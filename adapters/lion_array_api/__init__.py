"""lion_array_api: one Lion step for arrays of any array-API namespace (SPEC.md, arXiv 2302.06675).

NumPy, CuPy, Dask, array-api-strict, and eager PyTorch and JAX arrays, through array-api-compat.
"""

from lion_array_api.declared import declared_semantics
from lion_array_api.update import step

__all__ = ["declared_semantics", "step"]
