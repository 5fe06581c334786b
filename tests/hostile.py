"""Input that nobody meant well by, and what a parser may make of it: a value, or an error in words.

Doors that read data are put to it by tests in the folders of their packages.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

BETRAYED = "executed-by-a-parser"
"""The file that appears in the current folder if some input was run as code."""

CODE = (
    f"__import__('pathlib').Path('{BETRAYED}').touch()",
    f"!!python/object/apply:os.system ['touch {BETRAYED}']",
    f"$(touch {BETRAYED})",
    f"`touch {BETRAYED}`",
    f"cos\nsystem\n(S'touch {BETRAYED}'\ntR.",
    "{0.__class__.__mro__}",
    "%s%n",
)

WORDS = (
    *CODE,
    *("", " ", "\n", "\x00", "\x1b[2J", "\ud800", "\u202e", "İ", "0", "-0", "0x10", "1_0"),
    *("nan", "inf", "-inf", "1e999", "None", "__class__", "ffff", "FFFFFFFF", "7ff8000000000000"),
    "f" * 5000,
)

NUMBERS = (0, 1, -1, 2, 2**31, 2**63, 2**64, -(2**64), 10**400, 0.5, 1e308, -0.0, True, False)


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.sampled_from(NUMBERS),
    st.sampled_from(WORDS),
    st.sampled_from([[], {}, [[]], [None], {"": None}, {"__class__": "x"}, _nested(60)]),
    st.floats(),
    st.text(max_size=8),
)
"""What stands where something else belongs."""

FRAGMENTS = (
    *(b"", b"NaN", b"-Infinity", b"1" * 5000, b"1e999", b"[" * 100_000, b'{"a":' * 100_000),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\x00", b'"\\ud800"', b",", b"}", b"]]", b'"', b"//", b"null"),
    *(b'{"format": 1, "format": 1}', b"\r", b"\x1b[2J"),
)


@st.composite
def damaged(draw: st.DrawFn, document: Any, values: st.SearchStrategy[Any] = VALUES) -> Any:
    """A document in which something is missing, there twice, elsewhere or otherwise."""
    found = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(found))
        if not places:
            break
        owner, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(("replace", "replace", "remove", "move", "add"))):
            case "replace":
                owner[key] = copy.deepcopy(draw(values))  # the next change may be inside it
            case "remove":
                del owner[key]
            case "move":
                other, name = draw(st.sampled_from(places))
                owner[key] = copy.deepcopy(other[name])
            case "add" if isinstance(owner, list):
                owner.insert(key, copy.deepcopy(draw(values)))
            case "add":
                owner[draw(st.sampled_from(WORDS))] = copy.deepcopy(draw(values))
    return found


def _places(value: Any) -> Iterable[tuple[Any, Any]]:
    """Every (container, key) below a document; a few of a long list stand for it."""
    if isinstance(value, dict):
        keys: Iterable[Any] = list(value)
    elif isinstance(value, list):
        keys = range(len(value))[:3]
    else:
        return
    for key in keys:
        yield value, key
        yield from _places(value[key])


@st.composite
def damaged_bytes(draw: st.DrawFn, octets: bytes) -> bytes:
    """The bytes of a file, cut short, or with others in their place."""
    begin = draw(st.integers(0, len(octets)))
    end = draw(st.one_of(st.just(begin), st.just(len(octets)), st.integers(begin, len(octets))))
    return octets[:begin] + draw(st.sampled_from(FRAGMENTS)) + octets[end:]


def examples(count: int) -> settings:
    """So many of them; that files are written in one folder is no fault of a test here."""
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=count, suppress_health_check=quiet)


def as_json(document: Any) -> bytes:
    """A document as a file, NaN and lone surrogates included."""
    return json.dumps(document).encode()


def said(
    door: Callable[[], object],
    *,
    errors: tuple[type[Exception], ...] = (ValueError, TypeError),
    words: tuple[str, ...] = ("legal",),
    longest: int = 2_000,
) -> str:
    """What a door refused, which has to be one line of its own words; "" if it took what it got.

    Any other exception passes through, and an accident of one of these types, as of "'int' object
    is not iterable", has none of the words. So does input that was run.
    """
    text = ""
    try:
        door()
    except errors as error:
        text = f"{type(error).__name__}: {error}"
    assert not Path(BETRAYED).exists(), "input was run as code"
    assert not text or any(word in text for word in words), text
    assert "\n" not in text, text
    assert len(text) < longest, text[:200]
    return text
