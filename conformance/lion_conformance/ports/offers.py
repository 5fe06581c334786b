"""What a port may offer beyond steps: docs/reference/runs.md shows each with an example.

A port names what it offers in `Port.offers`, and its session has the methods of the protocol here.
What is not named is not judged, and the report says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Protocol

from lion_ref.arithmetic import Array
from lion_ref.run_state import Group, Header, NameMap


class Offer(Enum):
    """An event that a session can take part in."""

    NO_GRADIENT = "no gradient"
    FREEZE = "freeze and thaw"
    RESTORE = "save and restore"
    SCHEDULE = "schedule"
    SPLIT = "split and merge"
    MOMENTUM_DTYPE = "dtype of momentum"
    DEVICE = "another device"
    REFUSAL = "refusal of illegal arguments"
    SEVERAL_DTYPES = "several dtypes"
    HAND_OVER = "hand-over"


class StepsWithoutGradients(Protocol):
    """NO_GRADIENT: the parameter and momentum of a tensor without a gradient stay as they are."""

    def step(self, grads: Sequence[Array | None], *, lr: float, weight_decay: float) -> None:
        """As `Session.step`; None where a tensor has no gradient."""


class Freezes(Protocol):
    """FREEZE: a frozen tensor stays as it is; its gradient is None until it is thawed."""

    def freeze(self, tensor: int) -> None:
        """Exclude a tensor from the steps that follow."""

    def thaw(self, tensor: int) -> None:
        """Include it again."""


class Saves(Protocol):
    """RESTORE: `Port.restore` makes of these bytes a session that goes on where this one was."""

    def save(self) -> bytes:
        """All that the run needs: parameters, momenta, what is frozen, where a schedule stands."""


class Schedules(Protocol):
    """SCHEDULE: η and λ come from the port's own schedules, which count the steps."""

    def schedule(self, lr: Sequence[float], weight_decay: Sequence[float]) -> None:
        """From here on the k-th step takes the k-th of each, and the last ones for ever."""

    def step_as_scheduled(self, grads: Sequence[Array]) -> None:
        """One step; its η and λ are the schedules'."""


class Splits(Protocol):
    """SPLIT: tensors are cut and joined along their first axis, and their momenta with them."""

    def split(self, tensor: int, at: int) -> None:
        """Two tensors in the place of one: its first `at` rows, then the rest."""

    def merge(self, tensor: int) -> None:
        """One tensor in the place of this one and the next."""


class ChangesMomentumDtype(Protocol):
    """MOMENTUM_DTYPE: all momenta are rounded once, to nearest even, to another dtype."""

    def momentum_dtype(self, dtype: str) -> None:
        """Keep the momenta in this dtype from here on."""


class Refuses(Protocol):
    """REFUSAL: an η, λ or β that SPEC C13 refuses is refused, and nothing is half-updated."""

    def step(self, grads: Sequence[Array], *, lr: float, weight_decay: float) -> None:
        """As `Session.step`; raises for what is illegal, if `Port.open` has not for a β."""


class TakesSeveralDtypes(Protocol):
    """SEVERAL_DTYPES: each tensor has a triple of dtypes of its own, any of `Port.triples`."""

    def step(self, grads: Sequence[Array], *, lr: float, weight_decay: float) -> None:
        """As `Session.step`, with gradients of several dtypes."""


class HandsOver(Protocol):
    """HAND_OVER: a run goes on in another framework, and comes from one, by a file (SPEC C34)."""

    def names(self) -> Sequence[str]:
        """What the session's tensors are called in a file."""

    def export_state(self, path: Path, *, step: int, group: Group | None = None) -> None:
        """Write the run after so many steps; the next has the group's numbers, or those it has."""

    def import_state(self, path: Path, *, mapping: NameMap) -> Header:
        """Go on as a file says, whose tensors `mapping` finds among those that are here."""


class Moves(Protocol):
    """DEVICE: the run goes on on another of `Port.devices`."""

    def move(self, device: str) -> None:
        """Move the whole state there."""
