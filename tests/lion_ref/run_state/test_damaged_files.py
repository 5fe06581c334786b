"""Damaged files are taken or refused in words; a reader that believes too much is found (C34)."""

from __future__ import annotations

import copy
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion_ref.run_state import doors, layout
from tests.hostile import BETRAYED, VALUES, damaged, damaged_bytes, examples
from tests.lion_ref.run_state.files import document, file_of
from tests.lion_ref.run_state.hostile_files import (
    judged,
)

pytestmark = pytest.mark.clause("C34")


# Deliberately wrong readers: what the tests above and below are for.


def _believes(header: dict[str, Any], data: bytes) -> None:
    path = Path("believed.safetensors")
    path.write_bytes(file_of(header, data))
    judged(path)


def test_a_reader_that_looks_for_no_gaps_would_be_found(
    whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "_check_gaps", lambda *_: None)
    header, data = document(whole)
    with pytest.raises(Exception, match="file not fully covered"):  # safetensors' own refusal
        _believes(header, data + bytes(8))


def test_a_reader_that_takes_any_name_would_be_found(
    whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "check_name", lambda _: None)
    header, data = document(whole)
    for kind in ("param", "momentum"):
        header[f"{kind}..."] = header.pop(f"{kind}.fc.bias")
    groups = header["__metadata__"]["groups"]
    header["__metadata__"]["groups"] = groups.replace("fc.bias", "..")
    with pytest.raises(ValueError, match=r"the name '\.\.' is not legal"):
        _believes(header, data)


@given(st.data())
@examples(300)
def test_a_damaged_header_is_taken_or_refused_in_words(whole: bytes, data: st.DataObject) -> None:
    header, octets = document(whole)
    text = header["__metadata__"]
    for key in ("groups", "semantics", "versions", "step"):
        text[key] = json.loads(text[key])
    found = data.draw(damaged(copy.deepcopy(header), VALUES))
    inner = found.get("__metadata__") if isinstance(found, dict) else None
    if isinstance(inner, dict):
        for key in ("groups", "semantics", "versions", "step"):
            if key in inner:
                inner[key] = json.dumps(inner[key])
    path = Path("damaged.safetensors")
    path.write_bytes(file_of(found, octets))
    judged(path)


@given(st.data())
@examples(300)
def test_damaged_bytes_are_taken_or_refused_in_words(whole: bytes, data: st.DataObject) -> None:
    path = Path("damaged.safetensors")
    path.write_bytes(data.draw(damaged_bytes(whole)))
    judged(path)
    assert not Path(BETRAYED).exists()
    assert stat.S_ISREG(path.stat().st_mode)
