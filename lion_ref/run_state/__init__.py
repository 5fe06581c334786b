"""lion_ref.run_state: a run as a file that every framework goes on from, bit for bit (SPEC C34).

Rooms: `state` is what a run consists of beside its tensors, as values and as text; `layout` the
form of the file, a safetensors file's, and what is refused of it; `unfinished` a file until it is
whole, and `replacing` one of another form; `doors` are `save` and `load`; `mapping` finds a run's
tensors under the names and axes of another framework.
"""

from lion_ref.run_state.doors import RunState, load, save
from lion_ref.run_state.mapping import Here, Mapped, NameMap, matched
from lion_ref.run_state.state import Checkpoint, Group, Header, Tensors
from lion_ref.run_state.unfinished import Unfinished

__all__ = [
    "Checkpoint",
    "Group",
    "Header",
    "Here",
    "Mapped",
    "NameMap",
    "RunState",
    "Tensors",
    "Unfinished",
    "load",
    "matched",
    "save",
]
