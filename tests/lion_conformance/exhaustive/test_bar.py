"""How far it is: on a terminal a bar that is gone in the end, elsewhere a line now and then."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from lion_conformance.exhaustive.bar import showing
from lion_conformance.exhaustive.judging import Differing
from tests.lion_conformance.exhaustive.test_merging import made

SOME = replace(made(range(1024)), differing=Differing(pairs=3, triples=1))


def test_a_line_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with showing("lion, step, bfloat16", 4096) as told:
        told(SOME)
        assert capsys.readouterr().err == ""  # not so soon
        monkeypatch.setattr("lion_conformance.exhaustive.bar.LINE_EVERY", 0.0)
        told(SOME)
        told(made(range(2048)))
    assert capsys.readouterr().err == (
        "lion, step, bfloat16: 1024 of 4096 blocks, 4 elements differ\n"
        "lion, step, bfloat16: 2048 of 4096 blocks\n"
    )


def test_a_bar_fills_on_a_terminal() -> None:
    console = pytest.importorskip("rich.console")
    screen = io.StringIO()
    terminal = console.Console(file=screen, force_terminal=True, width=120)
    with showing("lion [step], bfloat16", 4096, terminal) as told:
        told(SOME)
    shown = screen.getvalue()
    assert "lion [step], bfloat16: 1024 of 4096 blocks, 4 elements differ" in shown
