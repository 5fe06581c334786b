"""What a run shows while it runs: a table that fills on a terminal, lines elsewhere."""

from __future__ import annotations

import io
import re
import sys

import pytest

from lion_conformance.progress import showing
from lion_conformance.runner import Event, Found, Row
from lion_conformance.verdict.verdict import Verdict

HEADS = ("lion_torch", "step()", "cpu")
ROW = Row(*HEADS, ("float16", "float32"))
IMPORTED = Event("torch", "imported", rows=(ROW,))
FOUND = Event("torch", "judging", found=Found(*HEADS, "float32", Verdict.BIT_EXACT, "bit-exact"))


def test_elsewhere_each_finished_cell_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    with showing(["torch"]) as on_event:
        for event in (Event("torch", "importing"), IMPORTED, FOUND, Event("torch", "done")):
            on_event(event)
    lines = capsys.readouterr().err.splitlines()
    assert [re.sub(r"^ *[0-9.]+ s  ", "", line) for line in lines] == [
        "torch: imported",
        "lion_torch step(), float32: bit-exact",
    ]


def shown(*events: Event) -> list[str]:
    """The rows of the last table on a terminal, without what colours them."""
    rich = pytest.importorskip("rich.console")
    screen = io.StringIO()
    console = rich.Console(file=screen, force_terminal=True, width=140)
    with showing(["torch", "jax"], console) as on_event:
        for event in events:
            on_event(event)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    last = text.rpartition("port, door, device")[2]
    return [" ".join(row.split()) for row in last.splitlines() if row.strip(" ─")]


def test_on_a_terminal_the_table_stands_before_anything_is_imported() -> None:
    columns, torch, jax, _ = shown()
    assert columns == "float16 bfloat16 float32 float64 real gradients hand-over"
    assert (torch, jax) == ("torch waiting", "jax waiting")


def test_on_a_terminal_the_cells_fill_one_by_one() -> None:
    judging = Event("torch", "judging", judging=(*HEADS, "float16"))
    _, torch, jax, _ = shown(IMPORTED, judging, FOUND, Event("jax", "importing"))
    assert torch == "lion_torch, step(), cpu … – bit-exact – – –"
    assert jax == "jax importing"


def test_what_was_found_may_be_corrected() -> None:
    other = Found(*HEADS, "float32", Verdict.REJECTED, "rejected")
    _, torch, *_ = shown(IMPORTED, FOUND, Event("torch", "judging", found=other))
    assert torch == "lion_torch, step(), cpu – rejected – – –"
