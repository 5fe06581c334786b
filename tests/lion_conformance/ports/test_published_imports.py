"""How published Lions are imported: in an environment of their own, or without their packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lion_conformance.ports.backends import Backend, NotRunnable, load
from lion_conformance.ports.published import family
from lion_conformance.ports.published.bare import bare_import
from lion_conformance.runner import Options, judge_backends


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_keras_steps_lion_on_another_backend_in_a_process_of_its_own(backend: str) -> None:
    program = f"""
import numpy as np
import lion_ref
from lion_conformance.ports.backends import load
from lion_conformance.ports.protocol import run_once
from lion_conformance.ports.published import family
for port in load(family("keras-{backend}")):
    arrays = [np.ones(5, "float32")] * 3
    scalars = dict(lr=0.5, beta1=0.5, beta2=0.5, weight_decay=0.25)
    expected = lion_ref.step(*arrays, **scalars)
    for got, wanted in zip(run_once(port, *arrays, **scalars), expected, strict=True):
        assert got.tolist() == wanted.tolist()
"""
    (setting,) = family(f"keras-{backend}").environment
    subprocess.run([sys.executable, "-c", program], env=os.environ | dict([setting]), check=True)


@pytest.mark.parametrize("name", ["keras-torch", "keras-jax"])
def test_keras_on_another_backend_than_asked_for_is_not_run(name: str) -> None:
    with pytest.raises(NotRunnable, match="Keras runs on tensorflow here; set KERAS_BACKEND="):
        load(family(name))


def test_a_family_is_judged_in_the_environment_that_it_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["import os", "from lion_conformance.ports.backends import NotRunnable"]
    lines += ["def ports(device):", "    raise NotRunnable(os.environ['READ_AT_IMPORT'])"]
    (tmp_path / "reading.py").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)  # processes that are spawned take it over
    asking = Backend("reading", "reading", (), "", environment=(("READ_AT_IMPORT", "this"),))
    (report,) = judge_backends([asking], Options(max_examples=1))
    assert report.not_run == "this"
    assert "READ_AT_IMPORT" not in os.environ


def test_a_module_is_imported_without_the_packages_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "breaking" / "inner"
    inner.mkdir(parents=True)
    for folder in (inner.parent, inner):
        (folder / "__init__.py").write_text("raise ImportError", encoding="utf-8")
    (inner / "wanted.py").write_text("value = 1", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert bare_import("breaking.inner.wanted").value == 1
    with pytest.raises(ModuleNotFoundError, match="No module named 'breaking"):
        bare_import("breaking.other.wanted")
