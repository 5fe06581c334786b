"""The fuzz of parsers can fail: it does for each kind of parser that it is there to find."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from tests.hostile import as_json, damaged, damaged_bytes, examples, said

DOCUMENT = {"format": "x", "rows": [{"lr": "0.5", "beta": 1}], "count": 1}


def _evaluates(text: str) -> Any:
    return [eval(str(row["lr"])) for row in json.loads(text)["rows"]]  # noqa: S307  (what is wrong with it)


def _takes_keys_for_granted(text: str) -> Any:
    document: Any = json.loads(text)
    return document["rows"][0]["lr"] if isinstance(document, dict) else None


def _lets_types_happen(text: str) -> Any:
    document: Any = json.loads(text)
    return len(document["count"] + 1) if isinstance(document, dict) else None


def _careful(text: str) -> Any:
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("not legal; legal: JSON") from error
    if document != DOCUMENT:
        raise ValueError("not legal; legal: one document")
    return document


def fuzzed(parser: Callable[[str], Any]) -> None:
    @examples(200)
    @given(damaged(DOCUMENT).map(as_json) | damaged_bytes(as_json(DOCUMENT)))
    def run(octets: bytes) -> None:
        said(lambda: parser(octets.decode("latin-1")))

    run()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("parser", [_evaluates, _takes_keys_for_granted, _lets_types_happen])
def test_a_careless_parser_is_found(parser: Callable[[str], Any]) -> None:
    with pytest.raises((Exception, ExceptionGroup)):
        fuzzed(parser)


def test_a_parser_that_runs_its_input_is_found() -> None:
    with pytest.raises(AssertionError, match="input was run as code"):
        said(lambda: eval("__import__('pathlib').Path('executed-by-a-parser').touch()"))  # noqa: S307  (the same)


def test_a_careful_one_is_not() -> None:
    fuzzed(_careful)
