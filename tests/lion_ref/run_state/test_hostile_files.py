"""A file that is no run state, damaged or hostile, ends in one line that says what is legal."""

from __future__ import annotations

import json
import os
import re
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lion_ref.run_state import layout, load
from tests.hostile import said
from tests.lion_ref.run_state.files import document, file_of, small
from tests.lion_ref.run_state.hostile_files import (
    described_as,
    group_changed,
    judged,
    renamed_to,
    tensor_changed,
    with_text,
)

pytestmark = pytest.mark.clause("C34")


def refused(octets: bytes) -> str:
    """What `load` says of these bytes, beginning with the file's name; it has to refuse them."""
    path = Path("hostile.safetensors")
    path.write_bytes(octets)
    words = judged(path)
    assert words.startswith("ValueError: 'hostile.safetensors': "), words or "it was taken"
    return words.removeprefix("ValueError: 'hostile.safetensors': ")


def test_a_file_that_is_cut_anywhere_is_refused(whole: bytes) -> None:
    for end in range(len(whole)):
        assert refused(whole[:end])


def test_bytes_after_the_end_are_refused(whole: bytes) -> None:
    assert refused(whole + b"\0") == "the last 1 bytes belong to no tensor; legal: none"


SCHEDULE = {"name": "linear", "first": 1, "last": 0, "steps": 1, "warmup": 0}
SHAPES: list[Any] = [
    *([-3], [2**64], [2**63, 0], [2**40, 2**40, 0], [True, 3], [3.0], ["3"], [[3]], None, "3", 3),
    *([10**300], [1] * 33, [2**62] * 32, {"0": 3}, [None]),
]
OFFSETS: list[Any] = [
    *([-6, 0], [0, 2**64], [2**63, 2**63 + 6], [10**300, 10**300], [0], [0, 3, 6], [6, 0]),
    *([False, 6], [0.0, 6.0], ["0", "6"], None, 0, {}, [10**9, 10**9 + 6]),
]
REFUSED: dict[str, tuple[Callable[[Any], object], str]] = {
    **{f"shape {x!r}"[:30]: (described_as(shape=x), r"has shape .*; legal: up") for x in SHAPES},
    **{
        f"offsets {x!r}"[:30]: (
            described_as(data_offsets=x),
            r"lies at .* of 64 bytes of data: has the file been cut short\? legal: \[begin, end\]",
        )
        for x in OFFSETS
    },
    "a shape of another size": (
        described_as(shape=[4]),
        r"'param.fc.bias', F16 of shape \[4\], takes 8 bytes, but lies at .*; legal: as many",
    ),
    "another dtype": (
        described_as(dtype="I8"),
        "'param.fc.bias' has dtype 'I8'; legal: F16, BF16, F32, F64",
    ),
    "no dtype": (described_as(dtype=["F16"]), r"has dtype \['F16'\]; legal: F16"),
    "a tensor that lacks its shape": (
        tensor_changed(lambda t: t.pop("shape")),
        "legal: these three",
    ),
    "a tensor that has more": (described_as(x=1), "legal: these three"),
    "two tensors on one memory": (
        lambda h: h["param.fc.bias"].update(
            data_offsets=h["momentum.fc.bias"]["data_offsets"],
        ),
        "share memory; legal: one after another",
    ),
    "a gap": (
        lambda h: (h.pop("param.fc.bias"), h.pop("momentum.fc.bias")),
        "(have a gap between them; legal: one after|belong to no tensor; legal: none)",
    ),
    "a momentum alone": (
        renamed_to("param.fc.b"),
        "'fc.b(ias)?' has a (param|momentum) alone; legal: both",
    ),
    "a tensor of another kind": (renamed_to("grad.fc.bias"), "legal: param.NAME, momentum.NAME"),
    "a tensor without a name": (renamed_to("param"), "the name '' is not legal; legal: 1 to 1000"),
    **{
        f"the name {name!a}": (renamed_to(f"param.{name}"), "the name .* is not legal; legal: 1 to")
        for name in (
            *("..", "/etc/passwd", "a/../b", "a//b", ".", "./a", "a\\b", "", "\n", "\x1b[2J"),
            *("a\0b", "\u202e", "x" * 1001),
        )
    },
    "a momentum wider than the compute dtype": (
        lambda h: (
            h["param.params/größe"].update(dtype="F32", shape=[2]),
            h["momentum.params/größe"].update(shape=[1]),
        ),
        "'params/größe': momentum has dtype float64, wider than float32.*; legal: float16",
    ),
    "another shape of the momentum": (
        lambda h: h["momentum.fc.weight"].update(shape=[3, 2]),
        r"'fc.weight': momentum has shape \(3, 2\), but param has shape \(2, 3\); legal",
    ),
    "no metadata": (lambda h: h.pop("__metadata__"), "it has no format; legal: 'lion-ref run"),
    "metadata that is no text": (lambda h: h["__metadata__"].update(step=7), "is not text by key"),
    "metadata that is none": (lambda h: h.update(__metadata__=None), "is not text by key; legal"),
    "another format": (
        with_text("format", "pt"),
        "it has the format 'pt'; legal: 'lion-ref run state",
    ),
    "a later format": (
        with_text("format", "lion-ref run state 2"),
        "run state 2'; legal: 'lion-ref r",
    ),
    "a later specification": (
        with_text("spec_version", "2"),
        "it has spec_version '2'; legal: 1 to 1, or a newer lion_ref",
    ),
    "no specification": (
        with_text("spec_version", "true"),
        "it has spec_version 'true'; legal: 1 to",
    ),
    "a key more": (
        with_text("author", "me"),
        "its metadata is .*; legal: an object of format, spec",
    ),
    "a key less": (lambda h: h["__metadata__"].pop("step"), "its metadata is .*; legal: an object"),
    **{
        f"step {x}": (with_text("step", x), r"step.* is (not legal|no JSON).*; legal: ")
        for x in ("-1", "1.0", "true", "null", "9223372036854775808", "[7]", "", "7 8", "1e3", "-0")
    },
    "groups that are none": (
        with_text("groups", "{}"),
        "groups is no list; legal: a list of groups",
    ),
    "a group that is none": (
        with_text("groups", "[3]"),
        "a group is 3; legal: an object of lr, beta1",
    ),
    "a group that lacks a number": (
        group_changed(lambda g: g.pop("lr")),
        "a group is .*; legal: an obj",
    ),
    "a number that is text": (
        group_changed(lambda g: g.update(lr="0.1")),
        "lr='0.1' is not legal.*legal",
    ),
    "a number that is true": (
        group_changed(lambda g: g.update(lr=True)),
        "lr=True is not legal.*legal",
    ),
    "a number that is null": (
        group_changed(lambda g: g.update(lr=None)),
        "lr=None is not legal.*legal",
    ),
    "a number beyond binary64": (
        with_text("groups", '[{"lr": 1e999}]'),
        "a group is .*inf.*; legal: an object",
    ),
    "NaN": (with_text("groups", "[NaN]"), "groups is no JSON: NaN is no number of JSON; legal"),
    "β beyond 1": (
        group_changed(lambda g: g.update(beta1=1)),
        r"beta1=1 is not legal; legal: a number in",
    ),
    "a schedule that is none": (
        group_changed(lambda g: g.update(lr_schedule=[])),
        r"lr_schedule is \[\]; legal: an object of name, first, last, steps, warmup",
    ),
    "a schedule of another name": (
        group_changed(lambda g: g.update(lr_schedule={**SCHEDULE, "name": "x"})),
        "name='x' is not legal; legal: 'constant'",
    ),
    "names that are text": (
        group_changed(lambda g: g.update(names="ab")),
        "legal: a list of strings",
    ),
    "a name that no tensor has": (
        group_changed(lambda g: g["names"].append("x")),
        "a group names 'x', which is no parameter; legal: parameters",
    ),
    "a parameter in no group": (
        group_changed(lambda g: g["names"].clear()),
        "'(fc.weight|params/größe)' is in no group; legal: in one",
    ),
    "a parameter in two groups": (
        group_changed(lambda g: g["names"].append("fc.bias")),
        "'fc.bias' is in two groups; legal: in one",
    ),
    "semantics that are none": (
        with_text("semantics", "[]"),
        r"semantics is \[\]; legal: an object of",
    ),
    "semantics unknown": (
        with_text("semantics", '{"x": 1}'),
        "semantics is {'x': 1}; legal: an object",
    ),
    "a choice unknown": (
        with_text("semantics", '{"subnormals": "' + "x" * 5000 + '"}'),
        "subnormals='x+…? is not legal; legal: 'keep', 'flush'",
    ),
    "versions that are none": (
        with_text("versions", '{"a": 1}'),
        "versions is not text by package",
    ),
    "versions beyond print": (
        with_text("versions", r'{"a": "\ud800"}'),
        "versions={'a': '.ud800'} is not legal; legal: printable text",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_header_with_one_thing_wrong_is_refused(whole: bytes, what: str) -> None:
    header, data = document(whole)
    change, words = REFUSED[what]
    change(header)
    found = refused(file_of(header, data))
    assert re.search(words, found), found


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"[]", "its header does not begin with '{'; legal: that of a safetensors file"),
        (b" {}", "its header does not begin with '{'; legal: that of a safetensors file"),
        (b"\xef\xbb\xbf{}", "its header does not begin with '{'"),
        ("{}".encode("utf-16"), "its header does not begin with '{'"),
        (b"", "its header does not begin with '{'"),
        (b'{"a\xff": 0}', "its header is no JSON: 'utf-8' codec can't decode byte 0xff"),
        (b'{"a": 0, "a": 0}', "its header is no JSON: 'a' is there twice"),
        (b'{"__metadata__": {"a": "", "a": ""}}', "its header is no JSON: 'a' is there twice"),
        (b'{"a":' * 100_000, "its header is no JSON: maximum recursion depth exceeded"),
        (b'{"a":' + b"[" * 100_000, "its header is no JSON: maximum recursion depth exceeded"),
        (b"{" + b"1" * 5000, "its header is no JSON: "),
        (b'{"a": ' + b"1" * 5000 + b"}", "its header is no JSON: a number has 5000 digits"),
        (b'{"a": -Infinity}', "its header is no JSON: -Infinity is no number of JSON"),
        (b'{"a": 1} //', "its header is no JSON: Extra data"),
        (
            b'{"param.\\ud800":{"dtype":"F16","shape":[0],"data_offsets":[0,0]}}',
            r"the name '\ud800' is not legal; legal: 1 to 1000 printable characters",
        ),
        (b"{}", "it has no format; legal: 'lion-ref run state 1'"),
    ],
)
def test_a_header_that_is_none_is_refused(header: bytes, words: str) -> None:
    padded = header + b" " * (-len(header) % 8)
    found = refused(len(padded).to_bytes(8, "little") + padded)
    assert found.startswith(words), found


def test_a_header_nested_to_any_depth_is_refused_in_words() -> None:
    """Deep enough to be read and too deep to be shown, there are depths between."""
    for depth in [*range(1, 1200, 7), 5000]:
        header = b'{"a":{"dtype":' + b"[" * depth + b"]" * depth
        refused(file_of(header + b',"shape":[],"data_offsets":[0,0]}}', b""))


def test_a_tensor_that_is_not_aligned_is_refused(whole: bytes) -> None:
    """A framework that shares its memory, rather than copies it, may read it wrongly."""
    header, data = document(whole)
    octets = json.dumps(header, ensure_ascii=False).encode()
    octets += b" " * (-len(octets) % 8 + 1)
    found = refused(len(octets).to_bytes(8, "little") + octets + data)
    assert re.search(r"begins at byte \d+ of the file; legal: a multiple of [248], the", found)


def test_minus_zero_is_the_number_that_it_is(whole: bytes) -> None:
    header, data = document(whole)
    group_changed(lambda g: g.update(lr=0))(header)
    text = header["__metadata__"]
    text["groups"] = text["groups"].replace('"lr": 0,', '"lr": -0,')
    path = Path("zero.safetensors")
    path.write_bytes(file_of(header, data))
    assert str(load(path).header.groups[0].lr) == "-0.0"


@pytest.mark.parametrize("announced", [2**30, 2**63, 2**64 - 1, layout.LONGEST_HEADER + 1])
def test_a_header_that_is_announced_takes_no_memory(announced: int) -> None:
    path = Path("hostile.safetensors")
    with path.open("wb") as file:
        file.write(announced.to_bytes(8, "little") + b"{")
        file.truncate(min(announced + 8, 2**31))  # sparse: it takes no room on the disk, either
    tracemalloc.start()
    try:
        words = judged(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert re.search(rf"announce a header of {announced} bytes, but .*; legal: a whole", words)
    assert peak < 1 << 20


@pytest.mark.slow
@pytest.mark.parametrize("piece", [b"[],", b"{},", b"1,", b"0.1,", b'"a",', b'{"a":1},'])
def test_the_longest_header_takes_seconds(piece: bytes) -> None:
    count = (layout.LONGEST_HEADER - 20) // len(piece)
    octets = b'{"a":[' + (piece * count)[:-1] + b"]}"
    begin = time.monotonic()
    refused(file_of(octets, b""))
    assert time.monotonic() - begin < 60


def test_a_header_beyond_the_longest_is_refused_at_once() -> None:
    octets = b'{"a":[' + b"1," * (layout.LONGEST_HEADER // 2) + b"1]}"
    begin = time.monotonic()
    assert "legal: a whole safetensors file" in refused(file_of(octets, b""))
    assert time.monotonic() - begin < 5


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo("pipe")
    Path("folder").mkdir()
    for path in ("pipe", "folder", "/dev/zero", "/dev/null", "."):
        words = said(lambda path=path: load(path), words=("legal",))  # type: ignore[misc]
        assert words.endswith("it is no regular file; legal: a run state"), words
    with pytest.raises(FileNotFoundError):
        load("nothing")
    Path("nowhere").symlink_to("nothing")
    with pytest.raises(FileNotFoundError):
        load("nowhere")
    Path("circle").symlink_to("circle")
    with pytest.raises(OSError, match="symbolic links"):
        load("circle")


def test_a_link_to_a_run_is_that_run(whole: bytes) -> None:
    Path("run").write_bytes(whole)
    Path("link").symlink_to("run")
    assert load("link").header == load("run").header


def test_a_name_of_several_lines_is_shown_in_one() -> None:
    path = Path("a\nb\x1b[2J")
    path.write_bytes(b"")
    assert judged(path) == (
        r"ValueError: 'a\nb\x1b[2J': it has 0 bytes, no safetensors file; legal: a run state"
    )


def test_a_file_that_is_cut_while_it_is_open_is_refused(whole: bytes) -> None:
    path = Path("run")
    path.write_bytes(whole)
    state = load(path)
    os.truncate(path, len(whole) - 60)
    with pytest.raises(ValueError, match=r"fewer than when it was opened; legal: one that nothing"):
        _ = state.tensors["fc.bias"]


def test_nothing_is_left_open() -> None:
    held = Path("/proc/self/fd")
    before = len(list(held.iterdir())) if held.exists() else None
    for name in ("a", "b"):
        small(Path(name))
        for _ in range(20):
            load(name)
            refused(Path(name).read_bytes()[:-1])
    if before is not None:
        assert len(list(held.iterdir())) == before
