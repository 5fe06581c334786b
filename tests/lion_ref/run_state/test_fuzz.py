"""A fuzzer that sees what `load` covers finds no bytes that it takes or refuses wrongly."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lion_ref.run_state.files import small

ROOT = Path(__file__).parents[3]
WRONG = """
from lion_ref.run_state import layout
layout._check_gaps = lambda *_: None
from tests.lion_ref.run_state import fuzz_load
fuzz_load.main()
"""

pytestmark = [pytest.mark.clause("C34"), pytest.mark.slow]


@pytest.fixture
def corpus() -> Iterator[Path]:
    """In memory, where there is such a folder: a disk takes longer than the reader does."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as scratch:
        found = Path(scratch, "corpus")
        found.mkdir()
        yield found


def fuzzed(corpus: Path, program: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("atheris", reason="atheris, which guides the fuzzer, is for Linux alone")
    return subprocess.run(
        [sys.executable, *program, str(corpus), "100000"],
        cwd=corpus.parent,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
            "TMPDIR": str(corpus.parent),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_no_bytes_are_taken_or_refused_wrongly(corpus: Path) -> None:
    done = fuzzed(corpus, ("-m", "tests.lion_ref.run_state.fuzz_load"))
    assert done.returncode == 0, done.stdout[-5000:]
    runs = re.search(r"Done (\d+) runs", done.stdout)
    assert runs, done.stdout[-5000:]
    assert int(runs[1]) > 1000
    assert len(list(corpus.iterdir())) > 10, "it was not guided"


def test_a_reader_that_looks_for_no_gaps_would_be_found(corpus: Path) -> None:
    (corpus / "gap").write_bytes(b"f" + small(corpus.with_name("run")).read_bytes() + bytes(8))
    done = fuzzed(corpus, ("-c", WRONG))
    assert done.returncode != 0
    assert "not fully covered" in done.stdout, done.stdout[-5000:]
