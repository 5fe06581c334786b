"""A header as the text that a file's metadata are, and back, with every bit of its numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Final

from lion_ref.checks import shown
from lion_ref.run_state.state import NUMBERS, SCHEDULES, Group, Header
from lion_ref.run_state.strict_json import check, is_text, json_value
from lion_ref.schedules import Schedule
from lion_ref.semantics import Semantics, choices

FORMAT: Final = "lion-ref run state 1"
_KEYS: Final = ("format", "spec_version", "step", "groups", "semantics", "versions")
_GROUP: Final = (*NUMBERS, "names")
_SCHEDULE: Final = tuple(field.name for field in fields(Schedule))


def written(header: Header) -> dict[str, str]:
    """The text that stands for a header whose groups have their names."""
    import lion_ref  # its version is defined after its modules are imported

    return {
        "format": FORMAT,
        "spec_version": str(lion_ref.SPEC_VERSION),
        "step": str(header.step),
        "groups": _json([_group_written(group) for group in header.groups]),
        "semantics": _json(header.semantics.differences()),
        "versions": _json({**header.versions, "lion_ref": lion_ref.__version__}),
    }


def read(text: Mapping[str, str]) -> Header:
    """The header that the text of a file's metadata stands for; ValueError in one line if none."""
    import lion_ref

    if text.get("format") != FORMAT:
        found = f"the format {shown(text['format'])}" if "format" in text else "no format"
        raise ValueError(f"it has {found}; legal: {FORMAT!r}, as lion_ref.run_state.save writes it")
    _check_keys("its metadata", text, _KEYS)
    found, newest = json_value("spec_version", text["spec_version"]), lion_ref.SPEC_VERSION
    check(
        type(found) is int and 1 <= found <= newest,
        f"it has spec_version {shown(text['spec_version'])}",
        f"1 to {newest}, or a newer lion_ref",
    )
    step = json_value("step", text["step"])
    groups = json_value("groups", text["groups"])
    check(isinstance(groups, list), "groups is no list", "a list of groups")
    versions = json_value("versions", text["versions"])
    check(is_text(versions), "versions is not text by package", "an object of strings")
    semantics = json_value("semantics", text["semantics"])
    _check_keys("semantics", semantics, (), tuple(choices()))
    return Header(step, tuple(map(_group_read, groups)), Semantics(**semantics), versions)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _check_keys(
    what: str, value: Any, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> None:
    legal = {*required, *optional}
    if not isinstance(value, dict) or not legal >= set(value) >= set(required):
        which = ", ".join([*required, *(f"{name} if need be" for name in optional)])
        raise ValueError(f"{what} is {shown(value)}; legal: an object of {which}")


def _group_written(group: Group) -> dict[str, Any]:
    found: dict[str, Any] = {name: getattr(group, name) for name in NUMBERS}
    for name in SCHEDULES:
        if (schedule := getattr(group, name)) is not None:
            found[name] = asdict(schedule)
    return {**found, "names": list(group.names or ())}


def _group_read(value: Any) -> Group:
    _check_keys("a group", value, _GROUP, SCHEDULES)
    names = value["names"]
    check(
        isinstance(names, list) and all(isinstance(x, str) for x in names),
        "a group's names are no list of strings",
        "a list of strings",
    )
    given = {**value, "names": tuple(names)}
    try:
        for name in SCHEDULES:
            if name in given:
                _check_keys(name, given[name], _SCHEDULE)
                given[name] = Schedule(**given[name])
        return Group(**given)
    except TypeError as error:
        raise ValueError(f"a group is not legal: {error}") from None
