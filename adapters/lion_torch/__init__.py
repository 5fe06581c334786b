"""lion_torch: the Lion optimizer for PyTorch, bit for bit as SPEC.md defines it.

Rooms: `optimizer` is the public class; `kernel` the update, in several ways of equal bits;
`scalars` the numbers for it, of a group's options; `rounding` stores the results; `checks` refuses;
`declared` says what is flushed. `work` is what a step has to do, `layout` how its tensors lie in
memory; `state` is for state dicts, `amp` for a GradScaler, `threads` for the environment of the
caller and of torch's. `run_state` takes a run to a file and out of one, with `options` for the
groups' numbers, `shards` for runs of several processes and `arrays` for NumPy's side.
`checkpoints`, for who moves a file of torch's, is imported by name. torch schedules, shards and
saves.
"""

from lion_torch.declared import declared_semantics
from lion_torch.optimizer import Lion
from lion_torch.run_state import export_state, import_state

__all__ = ["Lion", "declared_semantics", "export_state", "import_state"]
