"""What the benchmarks share: the report in Markdown, its file, and times in interleaved rounds."""

from __future__ import annotations

import argparse
import math
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.chart import CHART, draw
from benchmarks.results import RESULTS, Report, add_save_option, command_line, in_rounds, ratio
from benchmarks.shapes import SETS


def save_option(*words: str) -> Path | None:
    parser = argparse.ArgumentParser()
    add_save_option(parser, "some_step")
    path: Path | None = parser.parse_args(words).save
    return path


def test_the_option_has_a_file_of_its_own() -> None:
    assert save_option() is None
    assert save_option("--save") == RESULTS / "some_step.md"
    assert str(save_option("--save", "other.md")) == "other.md"


@pytest.mark.parametrize("save", [[], ["--save"], ["--save", "a.md", "--figures", "b"]], ids=str)
def test_the_command_line_is_one_that_can_be_typed(
    save: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["/somewhere/some_step.py", "--sets", "300 of 10,000", *save, "--rounds", "3"]
    monkeypatch.setattr(sys, "argv", words)
    expected = "python benchmarks/some_step.py --sets '300 of 10,000' --rounds 3"
    assert command_line() == expected


def test_what_is_printed_is_what_is_saved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report("Speed", ["ml_dtypes"], "1 thread")
    report.section("16M")
    report.table(["", "ms"], [["lion", "1.25"], ["another", "10.00"]])
    report.save(None)
    report.save(tmp_path / "speed.md")
    printed = capsys.readouterr().out
    assert (tmp_path / "speed.md").read_text(encoding="utf-8") == printed
    title, _, setting, *_, heads, rule, lion, another = printed.splitlines()
    assert title == "# Speed"
    assert datetime.now(UTC).date().isoformat() in setting
    assert ", ml_dtypes " in setting
    assert setting.endswith(" cores, 1 thread.")
    assert heads == "|         |    ms |"
    assert rule == "| ------- | ----: |"
    assert [lion, another] == ["| lion    |  1.25 |", "| another | 10.00 |"]


def test_tasks_take_turns() -> None:
    turns: list[str] = []
    tasks = {name: lambda name=name: turns.append(name) for name in "ab"}
    times = in_rounds(tasks, rounds=3)
    assert turns == ["a", "b"] * 5  # two rounds are not counted
    assert {name: len(taken) for name, taken in times.items()} == {"a": 3, "b": 3}


def test_ratios_are_of_the_same_round() -> None:
    assert ratio([1.0, 20.0, 3.0], [2.0, 40.0, 3.0]) == 0.5


def test_the_large_set_is_gpt2s_small_model() -> None:
    shapes = SETS["124M, 148 tensors"]
    assert (len(shapes), sum(map(math.prod, shapes))) == (148, 124_439_808)


def test_the_chart_is_what_the_saved_results_give(tmp_path: Path) -> None:
    draw(tmp_path / "chart.svg")
    drawn = (tmp_path / "chart.svg").read_text(encoding="utf-8")
    assert drawn == CHART.read_text(encoding="utf-8"), "python benchmarks/chart.py"


def test_another_result_gives_another_chart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in RESULTS.glob("*_step.md"):
        text = file.read_text(encoding="utf-8")
        slower = re.sub(r"(\| lion_torch +\| +)[0-9.]+", r"\g<1>99.99", text)
        (tmp_path / file.name).write_text(slower, encoding="utf-8")
    monkeypatch.setattr("benchmarks.chart.RESULTS", tmp_path)
    draw(tmp_path / "chart.svg")
    drawn = (tmp_path / "chart.svg").read_text(encoding="utf-8")
    assert drawn != CHART.read_text(encoding="utf-8")
    assert "100 ms" in drawn
