"""A value held to a JSON Schema: the keywords that the schemas of `data` use, and no others.

A user who checks a file of vectors need not have the package `jsonschema`; tests compare with it.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator
from typing import Any, Final

_TYPES: Final[dict[str, type]] = {"object": dict, "array": list, "string": str, "integer": int}
_SAYS_NOTHING: Final = {"$schema", "$defs", "title", "description"}


def fault(value: Any, schema: dict[str, Any]) -> str:
    """The first thing that the schema does not allow, and where; empty if it allows all.

    >>> fault({"step": [1, "x"]}, {"properties": {"step": {"items": {"type": "integer"}}}})
    "step[1] is 'x'; legal: type integer"
    """
    found = next(_faults(value, schema, schema, ""), None)
    return "" if found is None else "{} is {}; legal: {}".format(*found)


Fault = tuple[str, str, str]
"""Where it is, what is there, and what is legal."""


def _faults(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str) -> Iterator[Fault]:
    for keyword, wanted in schema.items():
        if keyword == "$ref":
            yield from _faults(value, root["$defs"][wanted.rpartition("/")[2]], root, at)
        elif keyword == "oneOf":
            yield from _of_branches(value, wanted, root, at)
        elif keyword in _PARTS:
            kind, parts = _PARTS[keyword]
            if isinstance(value, kind):
                yield from parts(value, schema, root, at)
        elif keyword not in _SAYS_NOTHING and not _holds(value, keyword, wanted):
            yield at or "the document", _shown(value, keyword, wanted), _legal(keyword, wanted)


def _of_branches(
    value: Any, branches: list[dict[str, Any]], root: dict[str, Any], at: str
) -> Iterator[Fault]:
    """Exactly one may allow it; else the fault of the branch that goes along farthest."""
    faults = [list(_faults(value, branch, root, at)) for branch in branches]
    if sum(not found for found in faults) != 1:
        yield min((found for found in faults if found), key=len)[0]


def _of_properties(value: Any, schema: dict[str, Any], root: Any, at: str) -> Iterator[Fault]:
    for name, part in schema["properties"].items():
        if name in value:
            yield from _faults(value[name], part, root, f"{at}.{name}" if at else name)


def _of_others(value: Any, schema: dict[str, Any], root: Any, at: str) -> Iterator[Fault]:
    known = schema.get("properties", {})
    for name, part in value.items():
        if name in known:
            continue
        if schema["additionalProperties"] is False:
            legal = f"a key of {', '.join(known)}"
            yield f"a key of {at or 'the document'}", reprlib.repr(name), legal
        else:
            where = reprlib.repr(name)
            yield from _faults(part, schema["additionalProperties"], root, f"{at}[{where}]")


def _of_items(value: Any, schema: dict[str, Any], root: Any, at: str) -> Iterator[Fault]:
    for index, part in enumerate(value):
        yield from _faults(part, schema["items"], root, f"{at}[{index}]")


_PARTS: Final[dict[str, Any]] = {
    "properties": (dict, _of_properties),
    "additionalProperties": (dict, _of_others),
    "items": (list, _of_items),
}


def _holds(value: Any, keyword: str, wanted: Any) -> bool:
    """Whether one keyword that looks at no part of the value allows it."""
    match keyword:
        case "type":
            return type(value) is _TYPES[wanted]
        case "const":
            return type(value) is type(wanted) and bool(value == wanted)
        case "enum":
            return isinstance(value, str) and value in wanted
        case "required":
            return not isinstance(value, dict) or all(name in value for name in wanted)
        case "pattern":
            # Python's $ would let a newline follow.
            whole = re.compile(wanted.removesuffix("$") + r"\Z")
            return not isinstance(value, str) or whole.search(value) is not None
        case "minimum":
            return not isinstance(value, int) or bool(value >= wanted)
        case "maximum":
            return not isinstance(value, int) or bool(value <= wanted)
        case "minLength" | "minItems" | "minProperties":
            return not isinstance(value, (str, list, dict)) or len(value) >= wanted
        case "maxItems":
            return not isinstance(value, list) or len(value) <= wanted
        case "uniqueItems":
            return not isinstance(value, list) or len({repr(x) for x in value}) == len(value)
    raise ValueError(f"keyword {keyword!r} is not known here")


def _shown(value: Any, keyword: str, wanted: Any) -> str:
    if keyword == "required":
        return f"without {', '.join(name for name in wanted if name not in value)}"
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    return reprlib.repr(value)


def _legal(keyword: str, wanted: Any) -> str:
    match keyword:
        case "enum":
            return f"one of {', '.join(wanted)}"
        case "required":
            return f"with {', '.join(wanted)}"
    return f"{keyword} {wanted}"
