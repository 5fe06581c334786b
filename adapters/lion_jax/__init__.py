"""lion_jax: Lion as an optax transformation whose bits survive jit (SPEC.md, arXiv 2302.06675)."""

from lion_jax.semantics import UpdateDtype, declared_semantics, probe_subnormals
from lion_jax.state import LionState, from_optax
from lion_jax.transformation import LionTransformation, lion

__all__ = [
    "LionState",
    "LionTransformation",
    "UpdateDtype",
    "declared_semantics",
    "from_optax",
    "lion",
    "probe_subnormals",
]
