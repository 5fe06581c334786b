"""benchmarks/gpu.sh without a GPU: a dry run in which one part is broken, one without time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch

from benchmarks import cuda, gpu_report

ROOT = Path(__file__).parents[2]


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return tmp_path / "gpu.md"


def ran(report: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "benchmarks" / "gpu.sh"), *words]
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    given = inherited | {"PY": sys.executable, "REPORT": str(report)} | environment
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False)


def ends(text: str) -> dict[str, str]:
    """How the parts ended, by name."""
    return dict(re.findall(r"^(?:- )?([^#:\n]+): ([a-z].*)$", text, flags=re.MULTILINE))


def test_a_broken_part_is_reported_and_the_others_run(tmp_path: Path, report: Path) -> None:
    broken, wheels = tmp_path / "broken", tmp_path / "wheels"
    wheels.mkdir()
    for name in ("tests", "benchmarks"):  # as other projects install them
        (broken / name).mkdir(parents=True)
        (broken / name / "__init__.py").touch()
    (broken / "optax.py").write_text("raise ImportError('optax is broken')\n")
    with ZipFile(wheels / "lion_pytorch-9.8-py3-none-any.whl", "w") as wheel:
        wheel.writestr("lion_pytorch/__init__.py", "from lion_torch import Lion\n")
        metadata = "Metadata-Version: 2.1\nName: lion-pytorch\nVersion: 9.8\n"
        wheel.writestr("lion_pytorch-9.8.dist-info/METADATA", metadata)
    done = ran(report, "--dry", str(wheels), PYTHONPATH=str(broken))
    text = report.read_text(encoding="utf-8")
    assert done.returncode == 1, done.stdout + done.stderr
    told = ends(done.stdout)
    assert told["tests of lion_torch"] == "skipped, as there is no GPU"
    assert told["benchmark of lion_torch, 1,000 of 100"].startswith("passed in ")
    for name in ("tests of lion_jax", "conformance", "benchmark of lion_jax"):
        assert told[name].startswith("failed in "), name
    assert list(ends(text.partition("##")[0])) == [
        "tests of lion_torch",
        "tests of lion_jax",
        "tests of PTX",
        "conformance",
        "benchmark of lion_torch, 1,000 of 100",
        "benchmark of lion_jax",
    ]
    assert "optax is broken" in text
    assert "| lion_torch | optimizer.step() | cpu |" in text
    assert "lion-pytorch 9.8" in text
    assert re.search(r"^\| lion-pytorch +\|", text, flags=re.MULTILINE)


def test_a_part_without_time_is_said_to_be_stopped(report: Path) -> None:
    done = ran(report, "--dry", LIMIT="1")
    assert done.returncode == 1
    told = ends(done.stdout)
    assert {told[x] for x in told if "benchmark" in x} == {"stopped at its limit of 1 s"}
    assert "## Targets" in done.stdout


@pytest.mark.slow
def test_a_whole_run_passes(report: Path) -> None:
    done = ran(report, "--dry")
    assert done.returncode == 0, done.stdout + done.stderr
    told = ends(done.stdout)
    assert told["conformance"].startswith("passed in ")
    assert told["benchmark of lion_jax"].startswith("passed in ")


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_run_that_is_not_dry_fails_without_a_gpu(report: Path) -> None:
    done = ran(report, LIMIT="60")
    assert done.returncode == 1
    told = ends(done.stdout)
    assert told["tests of lion_torch"] == "failed: every test was skipped"
    assert told["benchmark of lion_torch, 1G"].startswith("failed in ")
    assert "no card that nvidia-smi tells of" in report.read_text(encoding="utf-8")


@pytest.mark.parametrize("words", [["--wet"], ["here", "there"], ["no such folder"]], ids=str)
def test_words_that_are_not_legal_are_refused(report: Path, words: list[str]) -> None:
    done = ran(report, *words)
    assert done.returncode == 2
    assert "legal: [--dry] and then a folder of wheels" in done.stderr


FIGURES = [
    {"set": "1G", "dtype": "float32", "of a copy": 1.04, "of AdamW": 0.65},
    {"set": "1G", "dtype": "bfloat16", "of a copy": 0.91, "of AdamW": 0.76},
    {"set": "1,000 of 1,000", "dtype": "float32", "kernels": 2},
]


def test_targets_are_met_missed_or_not_measured() -> None:
    judged = [target.judged(FIGURES) for target in gpu_report.TARGETS]
    assert judged == [
        ["1.04", "met"],
        ["0.91", "missed"],
        ["0.65", "met"],
        ["0.76", "missed"],
        ["2", "missed"],
    ]
    assert {target.judged([])[1] for target in gpu_report.TARGETS} == {"not measured"}


def test_a_report_is_written_whatever_a_part_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A benchmark that ended early with its first table, and a part that left nothing at all."""
    monkeypatch.setattr(gpu_report, "graphics_driver", lambda: "a card, driver 1.2")
    (tmp_path / "parts").write_text("speed\nnothing\n")
    (tmp_path / "speed.how").write_text("stopped at its limit of 50 s\n")
    (tmp_path / "speed.out").write_text("# Speed\n\n## 1G\n\n| a | table |\n")
    (tmp_path / "speed.err").write_text("out of memory\n")
    (tmp_path / "figures").write_text(json.dumps(FIGURES[0]) + "\n")
    written = tmp_path / "gpu.md"
    monkeypatch.setattr(sys, "argv", ["gpu_report.py", str(tmp_path), str(written)])
    assert gpu_report.main() == 1
    capsys.readouterr()
    text = written.read_text(encoding="utf-8")
    assert "a card, driver 1.2" in text
    for line in ("- speed: stopped at its limit of 50 s", "### Speed", "#### 1G", "out of memory"):
        assert f"\n{line}\n" in text
    assert text.count("| a | table |") == 1
    assert text.count(" met |") == 2


class FakeGraph:
    """A capture in which nothing may wait; a replay does nothing."""

    capturing = False

    def replay(self) -> None:
        """Nothing to do."""


def test_what_cannot_be_captured_is_named_and_the_others_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Capture:
        def __init__(self, graph: FakeGraph | None = None, pool: object = None) -> None:
            self.graph = graph

        def __enter__(self) -> None:
            FakeGraph.capturing = self.graph is not None

        def __exit__(self, *_: object) -> None:
            FakeGraph.capturing = False

        def wait_stream(self, other: object) -> None:
            """Streams are in order."""

    def waits() -> None:
        if FakeGraph.capturing:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")

    for name, value in {
        "CUDAGraph": FakeGraph,
        "Stream": Capture,
        "current_stream": Capture,
        "stream": lambda _: Capture(),
        "graph": Capture,
        "graph_pool_handle": object,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    captured, refused = cuda.replays({"waits": waits, "goes": lambda: None})
    assert list(captured) == ["goes"]
    assert refused == {"waits": "operation not permitted when stream is capturing"}
