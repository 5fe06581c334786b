"""A run that is killed goes on from what it kept, with the same arguments alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lion_conformance.exhaustive import files
from lion_conformance.exhaustive.certificate import Certificate
from lion_conformance.exhaustive.judging import FaultyTablesError, Found, judge
from lion_conformance.exhaustive.question import Question
from lion_conformance.ports.protocol import Port
from tests.lion_conformance.exhaustive.commands import PORTS, run
from tests.lion_conformance.exhaustive.ports import SLOW

SLICE = "3/128"
"""Blocks 64 to 95: two groups."""


def words(out: Path, *more: object) -> list[object]:
    asked = [f"{PORTS}:slow", "--dtype", "bfloat16", "--slice", SLICE, "--jobs", 1, "--out", out]
    return ["exhaustive", *asked, *more]


def unfinished(out: Path) -> Path:
    return out.with_name(f"{out.name}.unfinished")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run was killed in its second group."""
    out = tmp_path_factory.mktemp("killed") / "lion.json"
    command = [sys.executable, "-m", "tests.lion_conformance.exhaustive.commands"]
    process = subprocess.Popen(
        [*command, *map(str, words(out))], env={**os.environ, SLOW: "0.08"}, start_new_session=True
    )
    try:
        until = time.monotonic() + 60
        while not unfinished(out).exists() and time.monotonic() < until:
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not out.exists()
    return out


def test_what_was_judged_is_not_judged_again(
    killed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = files.load(unfinished(killed))
    assert kept.blocks == [*range(64, 80)]
    out = tmp_path / "lion.json"
    unfinished(out).write_bytes(unfinished(killed).read_bytes())
    judged: list[int] = []

    def watched(port: Port, question: Question, blocks: Sequence[int]) -> Found:
        judged.extend(blocks)
        return judge(port, question, blocks)

    monkeypatch.setattr("lion_conformance.exhaustive.spread.judge", watched)
    assert run(*words(out)) == 0
    assert judged == [*range(80, 96)]
    assert not unfinished(out).exists()
    found = files.load(out)
    assert found.seconds > kept.seconds

    judged.clear()
    whole = tmp_path / "whole.json"
    assert run(*words(whole)) == 0
    assert judged == [4096, *range(64, 96)]
    assert same(files.load(whole)) == same(found)


def same(certificate: Certificate) -> Certificate:
    """But for the time that it took."""
    return replace(certificate, seconds=0.0, date="")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--lr", "0.02"], "it is foreign to what is asked for: lr is 0.01 instead of 0.02"),
        (["--dtype", "float16"], "dtype is bfloat16 instead of float16"),
        (["--slice", "1/256"], "it has blocks 64-79, which were not asked for"),
        (["--slice", "10/512"], "it has blocks 64-71, which were not asked for"),
    ],
)
def test_other_arguments_are_refused(more: list[str], told: str, killed: Path) -> None:
    before = unfinished(killed).read_bytes()
    with pytest.raises(ValueError, match=r"lion\.json\.unfinished cannot be gone on with") as error:
        run(*words(killed, *more))
    assert told in str(error.value)
    assert str(error.value).endswith("; legal: the same arguments, or another --out")
    assert unfinished(killed).read_bytes() == before


def test_another_port_is_refused(killed: Path) -> None:
    asked = ["exhaustive", "lion_ref:step", *words(killed)[2:]]
    with pytest.raises(ValueError, match=r"port is tests.*slow instead of lion_ref\.update\.step"):
        run(*asked)


def test_what_is_kept_is_not_trusted_where_it_was_edited(killed: Path, tmp_path: Path) -> None:
    out = tmp_path / "lion.json"
    text = unfinished(killed).read_text(encoding="utf-8")
    unfinished(out).write_text(text.replace('"differing"', '"differed"'), encoding="utf-8")
    with pytest.raises(ValueError, match="its seal is that of another text"):
        run(*words(out))


def test_nothing_is_kept_that_false_tables_have_judged(
    killed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "lion.json"
    unfinished(out).write_bytes(unfinished(killed).read_bytes())

    def false(port: Port, question: Question, blocks: Sequence[int]) -> Found:
        raise FaultyTablesError

    monkeypatch.setattr("lion_conformance.exhaustive.spread.judge", false)
    with pytest.raises(FaultyTablesError):
        run(*words(out))
    assert not unfinished(out).exists()


def test_an_interrupt_loses_nothing(tmp_path: Path) -> None:
    port, out = f"{PORTS}:interrupted", tmp_path / "lion.json"
    asked = ["exhaustive", port, "--dtype", "bfloat16", "--slice", "1/128", "--jobs", 1]
    with pytest.raises(KeyboardInterrupt):
        run(*asked, "--out", out)
    assert files.load(unfinished(out)).blocks == [*range(16)]
    assert not out.exists()
