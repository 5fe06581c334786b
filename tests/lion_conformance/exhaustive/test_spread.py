"""One certificate, whether it is judged here, in two processes, or by Dask's scheduler."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lion_ref
from lion_conformance.exhaustive import files
from lion_conformance.exhaustive.certificate import Certificate
from lion_conformance.exhaustive.certify import certify, question_of
from lion_conformance.exhaustive.judging import Found
from lion_conformance.exhaustive.machine import Machine
from lion_conformance.exhaustive.question import Question
from lion_conformance.exhaustive.spread import Blocks, here
from lion_conformance.ports.callable import from_callable
from lion_conformance.ports.protocol import PortError
from lion_ref.hyperparameters import Hyperparameters
from tests.lion_conformance.exhaustive.commands import PORTS, run

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning",  # Dask's own sockets, as its processes end
)


def certificate(port: str, out: Path, *more: object) -> Certificate:
    asked = ("--dtype", "float16", "--slice", "2/1024", "--out", out)  # in one group
    status = run("exhaustive", port, *asked, *more)
    found = files.load(out)
    assert status == found.differing.any()
    return found


TWO_PROCESSES = ("--jobs", 2)
DASK = (*TWO_PROCESSES, "--scheduler", "dask")


@pytest.mark.parametrize("way", [TWO_PROCESSES, DASK], ids=["two processes", "dask"])
def test_every_way_comes_to_one_certificate(way: tuple[object, ...], tmp_path: Path) -> None:
    if way is DASK:
        pytest.importorskip("distributed")
    expected = certificate(f"{PORTS}:ties_away", tmp_path / "x", "--jobs", 1)
    found = certificate(f"{PORTS}:ties_away", tmp_path / "y", *way)
    assert (found.hash, found.digests) == (expected.hash, expected.digests)
    assert (found.differing, found.examples) == (expected.differing, expected.examples)
    assert expected.differing.any()
    assert found.machines == expected.machines


def test_what_a_port_raises_in_another_process_is_said(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="the port raised RuntimeError: no kernel for you"):
        certificate(f"{PORTS}:raises", tmp_path / "x", *TWO_PROCESSES)


def test_a_port_that_ends_its_process_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="a process that judged the port died; legal: a port that"):
        certificate(f"{PORTS}:dies", tmp_path / "x", *TWO_PROCESSES)


def test_a_worker_of_other_versions_is_refused() -> None:
    port = from_callable(lion_ref.step)
    question = question_of(port, "float16", Hyperparameters(0.01, 0.9, 0.99, 0.7))

    def elsewhere(question: Question, wanted: Sequence[Blocks]) -> Iterator[Found]:
        for found in here(port)(question, wanted):
            yield replace(found, machine=Machine((("numpy", "1.0"),), "another"))

    words = f"a worker has numpy 1.0, but {np.__version__} judged before; legal: the same versions"
    with pytest.raises(ValueError, match=re.escape(words)):
        certify(port, question, range(1), elsewhere)


def test_another_scheduler_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"scheduler='ray' is not legal; legal: dask\[=ADDRESS\]"):
        certificate("lion_ref:step", tmp_path / "x", "--scheduler", "ray")


def test_without_distributed_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match="--scheduler dask needs Dask's scheduler: pip install d"):
        certificate("lion_ref:step", tmp_path / "x", "--scheduler", "dask")
