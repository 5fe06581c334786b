"""What a run consists of beside its tensors: where it stands, its numbers, which bits it has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, NamedTuple

from lion_ref.hyperparameters import Hyperparameters, shown
from lion_ref.run_state.layout import check, is_text, json_value
from lion_ref.schedules import Schedule
from lion_ref.semantics import CANONICAL, Semantics

FORMAT: Final = "lion-ref run state 1"
_KEYS: Final = ("format", "spec_version", "step", "groups", "semantics", "versions")
_NUMBERS: Final = ("lr", "beta1", "beta2", "weight_decay")
_SCHEDULES: Final = ("lr_schedule", "weight_decay_schedule")
_LATEST: Final = 2**63 - 1

KINDS: Final = ("param", "momentum")
"""What a parameter has in the file: θ as `param.NAME`, m as `momentum.NAME`."""


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
        checked = Hyperparameters.checked(**{name: getattr(self, name) for name in _NUMBERS})
        for name in _NUMBERS:
            object.__setattr__(self, name, getattr(checked, name))
        if self.names is not None:
            object.__setattr__(self, "names", tuple(self.names))
        for name in _SCHEDULES:
            if not isinstance(getattr(self, name), Schedule | None):
                raise TypeError(
                    f"{name}={shown(getattr(self, name))} is not legal; legal: a "
                    "lion_ref.schedules.Schedule, None"
                )

    @property
    def hyperparameters(self) -> Hyperparameters:
        """η, β1, β2 and λ, as `lion_ref.step(..., **asdict(group.hyperparameters))` takes them."""
        return Hyperparameters(*(getattr(self, name) for name in _NUMBERS))


@dataclass(frozen=True, slots=True)
class Header:
    """A run without its tensors.

    Attributes:
        step: how many steps have been done.
        groups: of parameters, each parameter in one of them.
        semantics: which bits the steps had: what the adapter declares (SPEC C29, C33).
        versions: of lion_ref and of what made the run, by package.
    """

    step: int
    groups: tuple[Group, ...]
    semantics: Semantics = CANONICAL
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if type(self.step) is not int or not 0 <= self.step <= _LATEST:
            raise ValueError(
                f"step={shown(self.step)} is not legal; legal: an integer in [0, 2**63)"
            )

    def of(self, names: Iterable[str]) -> Header:
        """The same, every group with its names; ValueError unless each name is in one group."""
        every = tuple(names)
        groups = tuple(
            group if group.names is not None else _renamed(group, every) for group in self.groups
        )
        seen: set[str] = set()
        for group in groups:
            for name in group.names or ():
                if name in seen:
                    raise ValueError(f"{shown(name)} is in two groups; legal: in one")
                seen.add(name)
        for name in every:
            if name not in seen:
                raise ValueError(f"{shown(name)} is in no group; legal: in one")
        if len(seen) > len(every):
            other = next(iter(seen.difference(every)))
            raise ValueError(f"a group names {shown(other)}, which is no parameter; legal: those")
        return Header(self.step, groups, self.semantics, self.versions)

    def group_of(self, name: str) -> Group:
        """The group that a parameter is in."""
        return next(x for x in self.groups if x.names is None or name in x.names)


class Checkpoint(NamedTuple):
    """A run as a framework's own checkpoint has it, on its way to a run state or from one.

    What `save` takes, but for `semantics` and `versions`, of which such a file says nothing:
    `save(path, **checkpoint._asdict())`.

    Attributes:
        tensors: θ and m by name, as NumPy's arrays, each read when it is asked for.
        step: how many steps have been done.
        groups: with the names of their parameters.
    """

    tensors: Mapping[str, Tensors]
    step: int
    groups: tuple[Group, ...]


def _renamed(group: Group, names: tuple[str, ...]) -> Group:
    return Group(**{**{x.name: getattr(group, x.name) for x in fields(Group)}, "names": names})


def written(header: Header) -> dict[str, str]:
    """The text that stands for it in a file's metadata."""
    import lion_ref  # its version is defined after its modules are imported

    return {
        "format": FORMAT,
        "spec_version": str(lion_ref.SPEC_VERSION),
        "step": str(header.step),
        "groups": _json([_group_written(group) for group in header.groups]),
        "semantics": _json(header.semantics.differences()),
        "versions": _json({"lion_ref": lion_ref.__version__, **header.versions}),
    }


def read(text: Mapping[str, str]) -> Header:
    """The header that the text of a file's metadata stands for; ValueError in one line if none."""
    if text.get("format") != FORMAT:
        found = f"the format {shown(text['format'])}" if "format" in text else "no format"
        raise ValueError(f"it has {found}; legal: {FORMAT!r}, as lion_ref.run_state.save writes it")
    if set(text) != set(_KEYS):
        wrong = sorted(set(text) ^ set(_KEYS))
        raise ValueError(f"its metadata has, or lacks, {shown(wrong)}; legal: {', '.join(_KEYS)}")
    step = json_value("step", text["step"])
    groups = json_value("groups", text["groups"])
    check(isinstance(groups, list), "groups is no list", "a list of groups")
    versions = json_value("versions", text["versions"])
    check(is_text(versions), "versions is not text by package", "an object of strings")
    semantics = json_value("semantics", text["semantics"])
    return Header(step, tuple(map(_group_read, groups)), _semantics_read(semantics), versions)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _group_written(group: Group) -> dict[str, Any]:
    found: dict[str, Any] = {name: getattr(group, name) for name in _NUMBERS}
    for name in _SCHEDULES:
        if (schedule := getattr(group, name)) is not None:
            found[name] = asdict(schedule)
    return {**found, "names": list(group.names or ())}


def _group_read(value: Any) -> Group:
    legal = {*_NUMBERS, *_SCHEDULES, "names"}
    if not isinstance(value, dict) or not legal >= set(value) >= {*_NUMBERS, "names"}:
        raise ValueError(
            f"a group is {shown(value)}; legal: an object of {', '.join(sorted(legal))}"
        )
    names = value["names"]
    if not isinstance(names, list) or not all(isinstance(x, str) for x in names):
        raise ValueError("a group's names are no list of strings; legal: a list of strings")
    given = {**value, "names": tuple(names)}
    try:
        for name in _SCHEDULES:
            if name in given:
                given[name] = Schedule(**given[name])
        return Group(**given)
    except TypeError as error:
        raise ValueError(f"a group is not legal: {error}; legal: as Group takes it") from None


def _semantics_read(value: Any) -> Semantics:
    check(isinstance(value, dict), "semantics is no object", "the choices of SPEC C16 that differ")
    try:
        return Semantics(**value)
    except TypeError as error:
        raise ValueError(f"semantics: {error}; legal: the choices of SPEC C16") from None
