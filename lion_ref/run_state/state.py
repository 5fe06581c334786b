"""What a run consists of beside its tensors: where it stands, its numbers, which bits it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from lion_ref.checks import integer, shown
from lion_ref.hyperparameters import Hyperparameters
from lion_ref.schedules import Schedule, check_schedule
from lion_ref.semantics import CANONICAL, Semantics

NUMBERS: Final = ("lr", "beta1", "beta2", "weight_decay")
SCHEDULES: Final = ("lr_schedule", "weight_decay_schedule")
KINDS: Final = ("param", "momentum")
"""What a parameter has in the file: θ as `param.NAME`, m as `momentum.NAME`."""

_LATEST: Final = 2**63 - 1
_LONGEST_NAME: Final = 1000


class Tensors(NamedTuple):
    """θ and m of one parameter."""

    param: Any
    momentum: Any


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters with one η, β1, β2 and λ, which are those of the step that comes next.

    Attributes:
        names: of the parameters; None for all of the run's.
        lr, beta1, beta2, weight_decay: η, β1, β2 and λ, checked as `lion_ref.step` checks them.
        lr_schedule, weight_decay_schedule: what makes η and λ of the number of steps done, if a
            framework elsewhere can make the same of it.

    Raises:
        TypeError, ValueError: a number that SPEC C13 refuses.

    >>> Group(lr=1e-4).beta2
    0.99
    >>> Group(lr=-1.0)
    Traceback (most recent call last):
        ...
    ValueError: lr=-1.0 is not legal; legal: a finite number >= 0
    """

    lr: float
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0
    names: tuple[str, ...] | None = None
    lr_schedule: Schedule | None = None
    weight_decay_schedule: Schedule | None = None

    def __post_init__(self) -> None:
        checked = Hyperparameters.checked(**{name: getattr(self, name) for name in NUMBERS})
        for name in NUMBERS:
            object.__setattr__(self, name, getattr(checked, name))
        names: object = self.names
        if isinstance(names, str):  # which is a sequence of strings, too
            raise TypeError(f"names={shown(names)} is not legal; legal: a sequence of names")
        if self.names is not None:
            object.__setattr__(self, "names", tuple(self.names))
        for name in SCHEDULES:
            check_schedule(name, getattr(self, name))

    @property
    def hyperparameters(self) -> Hyperparameters:
        """η, β1, β2 and λ, as `lion_ref.step(..., **asdict(group.hyperparameters))` takes them."""
        return Hyperparameters(*(getattr(self, name) for name in NUMBERS))


@dataclass(frozen=True, slots=True)
class Header:
    """A run without its tensors.

    Attributes:
        step: how many steps have been done.
        groups: of parameters, each parameter in one of them.
        semantics: which bits the steps had: what the adapter declares (SPEC C29, C33).
        versions: of lion_ref and of what made the run, by package.

    Raises:
        TypeError, ValueError: a step, group, semantics or version that is none.
    """

    step: int
    groups: tuple[Group, ...]
    semantics: Semantics = CANONICAL
    versions: Mapping[str, str] = field(default_factory=dict)
    _group_of: dict[str, Group] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", integer("step", self.step, 0, _LATEST))
        if not all(isinstance(group, Group) for group in self.groups):
            raise TypeError(f"groups={shown(self.groups)} is not legal; legal: Groups alone")
        if not isinstance(self.semantics, Semantics):
            raise TypeError(f"semantics={shown(self.semantics)} is not legal; legal: a Semantics")
        words: list[object] = [*self.versions, *self.versions.values()]
        if not all(isinstance(word, str) and word.isprintable() for word in words):
            raise ValueError(
                f"versions={shown(self.versions)} is not legal; legal: printable text by package"
            )
        self._group_of.update((name, group) for group in self.groups for name in group.names or ())

    def of(self, names: Iterable[str]) -> Header:
        """The same, every group with its names; ValueError unless each name is in one group."""
        every = tuple(names)
        groups = tuple(
            replace(group, names=every) if group.names is None else group for group in self.groups
        )
        seen: set[str] = set()
        for name in (name for group in groups for name in group.names or ()):
            if name in seen:
                raise ValueError(f"{shown(name)} is in two groups; legal: in one")
            seen.add(name)
        for name in every:
            if name not in seen:
                raise ValueError(f"{shown(name)} is in no group; legal: in one")
        if others := seen.difference(every):
            raise ValueError(
                f"a group names {shown(min(others))}, which is no parameter; legal: parameters"
            )
        return replace(self, groups=groups)

    def renamed(self, names: Mapping[str, str]) -> Header:
        """The same with other names, by the ones it has: those that parameters have here."""
        groups = tuple(
            replace(group, names=tuple(names[name] for name in group.names or ()))
            for group in self.groups
        )
        return replace(self, groups=groups)

    def group_of(self, name: str) -> Group:
        """The group that a parameter is in; KeyError if it is in none."""
        if name in self._group_of:
            return self._group_of[name]
        for group in self.groups:
            if group.names is None:
                return group
        raise KeyError(name)


class Checkpoint(NamedTuple):
    """A run as a framework's own checkpoint has it, on its way to a run state or from one.

    What `save` takes, but for `versions`, of which such a file says nothing:
    `save(path, **checkpoint._asdict())`.

    Attributes:
        tensors: θ and m by name, as NumPy's arrays, each read when it is asked for.
        step: how many steps have been done.
        groups: with the names of their parameters.
        semantics: which bits the steps had, as far as the file says.
    """

    tensors: Mapping[str, Tensors]
    step: int
    groups: tuple[Group, ...]
    semantics: Semantics = CANONICAL


def check_name(name: object) -> None:
    """ValueError unless a parameter can have it: a printable path of parts, none of which climbs.

    >>> check_name("layers.0/kernel")
    >>> check_name("../../etc/passwd")
    Traceback (most recent call last):
        ...
    ValueError: the name '../../etc/passwd' is not legal; legal: 1 to 1000 printable characters, \
without '\\\\', of parts between '/' that are not empty, '.' or '..'
    """
    if (
        isinstance(name, str)
        and 0 < len(name) <= _LONGEST_NAME
        and name.isprintable()
        and "\\" not in name
        and not {"", ".", ".."}.intersection(name.split("/"))
    ):
        return
    raise ValueError(
        f"the name {shown(name)} is not legal; legal: 1 to {_LONGEST_NAME} printable characters, "
        "without '\\\\', of parts between '/' that are not empty, '.' or '..'"
    )
