"""lion_jax: Lion as an optax transformation whose bits survive jit (SPEC.md, arXiv 2302.06675).

Rooms: `transformation` is the public `lion`; `kernel` the update of one array, which `fence` keeps
XLA from rewriting, in `operations` with subnormals as the platform has them or flushed; `scalars`
the numbers for it, of numbers, schedules and traced values; `rounding` stores the results;
`checks` refuses; `declared` says where subnormals are flushed; `mask` and `state` take what optax
takes; `run_state` writes a run to the file that every framework goes on from, by `names` and
`shards`; `checkpoints` takes it from Orbax's and to them. optax schedules, wraps and chains; JAX
shards, batches and compiles; whatever keeps trees of arrays saves the state.
"""

from lion_jax.checks import UpdateDtype
from lion_jax.declared import declared_semantics, probe_subnormals
from lion_jax.run_state import export_state, from_header, import_state
from lion_jax.state import LionState, from_optax
from lion_jax.transformation import LionTransformation, lion

__all__ = [
    "LionState",
    "LionTransformation",
    "UpdateDtype",
    "declared_semantics",
    "export_state",
    "from_header",
    "from_optax",
    "import_state",
    "lion",
    "probe_subnormals",
]
