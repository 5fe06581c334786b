"""A fuzzer that sees what `load` covers finds no bytes that it takes or refuses wrongly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WRONG = """
from lion_ref.run_state import layout
layout._check_gaps = lambda *_: None
from tests.lion_ref.run_state import fuzz_load
fuzz_load.main()
"""

pytestmark = [pytest.mark.clause("C34"), pytest.mark.slow]


def fuzzed(corpus: Path, runs: int, program: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("atheris", reason="atheris, which guides the fuzzer, is for Linux alone")
    corpus.mkdir()
    return subprocess.run(
        [sys.executable, *program, str(corpus), str(runs)],
        cwd=corpus.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_no_bytes_are_taken_or_refused_wrongly(tmp_path: Path) -> None:
    module = ("-m", "tests.lion_ref.run_state.fuzz_load")
    done = fuzzed(tmp_path / "corpus", 100_000, module)
    assert done.returncode == 0, done.stdout[-5000:]
    assert "100000 runs" in done.stdout
    assert len(list((tmp_path / "corpus").iterdir())) > 20, "it was not guided"


def test_the_fuzzer_finds_a_reader_that_looks_for_no_gaps(tmp_path: Path) -> None:
    done = fuzzed(tmp_path / "corpus", 100_000, ("-c", WRONG))
    assert done.returncode != 0
    assert "not fully covered" in done.stdout, done.stdout[-5000:]
