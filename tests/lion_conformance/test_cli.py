"""lion-conformance as a user meets it: exit status, messages, files, missing frameworks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import lion_conformance
import lion_ref
from lion_conformance import from_callable
from lion_conformance.cli import main, status
from lion_conformance.ports.by_name import find
from lion_conformance.runner import Options, judge_port
from lion_conformance.runs.tape import load

pytestmark = pytest.mark.clause("C29")

QUICK = ["--max-examples", "2", "--dtype", "float32"]
BRIEF = ["--max-examples", "1", "--dtype", "float16"]
THOROUGH = ["--thorough"]
"""Of `run`: in a time of their own the numbers of cases would differ."""


@pytest.mark.parametrize(
    ("budget", "recorded"),
    [
        pytest.param(BRIEF, None, id="float16"),
        # The oracle takes ten seconds for the recorded run.
        pytest.param(QUICK, "bit-exact", id="float32", marks=pytest.mark.slow),
    ],
)
def test_run_judges_the_reference_and_exits_with_0(
    budget: list[str], recorded: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = {
        name: tmp_path / "deep" / f"report.{name}" for name in ("json", "markdown", "html", "svg")
    }
    files = [text for name, path in paths.items() for text in (f"--{name}", str(path))]
    assert main(["run", "--backend", "numpy", *THOROUGH, *budget, *files]) == 0
    printed = capsys.readouterr()
    assert "lion_ref.oracle" in printed.out
    assert "million elements a second" in printed.out
    assert "lion_ref.oracle exact rationals, sampled, float" in printed.err
    document = json.loads(paths["json"].read_text())
    assert document["ok"] is True
    found = document["reports"][0]["real_gradients"]
    assert (found and found["verdict"]) == recorded
    assert document["reports"][0]["dtypes"][0]["verdict"] == "bit-exact"
    assert "- **bit-exact** lion_ref.oracle" in paths["markdown"].read_text()
    assert 'class="said exact"' in paths["html"].read_text()
    assert "✓ bit-exact" in paths["svg"].read_text()


def test_what_there_was_no_time_for_is_said_in_every_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = {name: tmp_path / f"report.{name}" for name in ("json", "markdown", "html", "svg")}
    files = [text for name, path in paths.items() for text in (f"--{name}", str(path))]
    brief = ["--seconds", "0.01", "--dtype", "float16"]
    assert main(["run", "--backend", "numpy", *brief, *files]) == 0
    said = "of all cases and runs"
    assert f"there was time for 1% {said}" in capsys.readouterr().out
    (found,) = json.loads(paths["json"].read_text())["reports"][0]["dtypes"]
    assert 0 < found["share"] < 0.02
    assert found["triples"][0] == "float16"
    assert f"there was time for 1% {said}" in paths["markdown"].read_text()
    assert f"; 1% {said}" in paths["html"].read_text()
    assert f"there was time for 1% {said}" in paths["svg"].read_text()


def test_verify_exits_with_1_and_shows_a_counterexample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "still_port.py").write_text(
        "def step(param, momentum, grad, **scalars):\n    return param.copy(), momentum.copy()\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["verify", "still_port:step", *QUICK]) == 1
    out = capsys.readouterr().out
    assert out.startswith("rejected  still_port.step, float32: ")
    assert "One counterexample, in float32:" in out
    assert "    m'  x + y     float32  0x" in out


@pytest.mark.parametrize(("step", "status"), [("lion_ref:step", 2), ("still_port:step", 1)])
def test_a_report_that_cannot_be_written_leaves_the_verdict_and_names_its_option(
    step: str,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "still_port.py").write_text(
        "def step(param, momentum, grad, **scalars):\n    return param.copy(), momentum.copy()\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    folder, page = tmp_path / "a folder", tmp_path / "page.html"
    folder.mkdir()
    files = ["--json", str(folder), "--html", str(page)]
    assert main(["verify", step, *QUICK, *files]) == status
    printed = capsys.readouterr()
    assert {2: "bit-exact", 1: "rejected  still_port.step, float32: "}[status] in printed.out
    assert f"written: {page}" in printed.out
    assert f"lion-conformance: --json {folder} was not written: Is a directory; " in printed.err


def test_verify_exits_with_0_for_a_right_port(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "lion_ref:step", *QUICK]) == 0
    said = "bit-exact  lion_ref.update.step, float32: equals the reference\n"
    assert capsys.readouterr().out.startswith(said)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["run", "--backend", "pytorch"],
            "backend='pytorch' is not legal; legal: numpy, torch, jax, tensorflow, array-api",
        ),
        (
            ["run", "--backend", "numpy", "--dtype", "float8"],
            "dtype='float8' is not legal; legal: float16, bfloat16, float32, float64",
        ),
        (["verify", "lion_ref.step"], "legal: MODULE:CALLABLE, as in my_lion:step"),
        (["verify", "lion_ref:stride"], "has no attribute 'stride'; legal: MODULE:CALLABLE"),
        (
            ["vectors", "check", "no.json", "--answers", "no.json"],
            "no.json is not legal: No such file or directory; legal: a file that can be read",
        ),
        (["vectors", "export", "/dev/null/x"], "folder='/dev/null/x' is not legal: Not a dir"),
        (
            ["verify", "no_such_module:step"],
            "importing no_such_module failed with ModuleNotFoundError",
        ),
        (
            ["verify", "lion_ref:__version__"],
            f"port={lion_ref.__version__!r} is not legal; legal: a callable step",
        ),
        (
            ["verify", "lion_ref:step", "--max-examples", "0"],
            "max_examples=0 is not legal; legal: an integer >= 1",
        ),
    ],
)
def test_what_cannot_be_run_exits_with_2_and_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_device_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--backend", "numpy", "--device", "cuda", *QUICK]) == 2
    assert "not run: numpy has no device 'cuda'; legal: cpu" in capsys.readouterr().out


def test_find_follows_attributes() -> None:
    assert find("lion_ref:update.step") is lion_ref.step


def run_with_only(packages: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in an interpreter that sees this checkout and `packages` alone.

    In float16: the reference is judged by exact rationals, and the tape, of float32, is most of it.
    """
    checkout = [Path(lion_ref.__file__).parents[1], Path(lion_conformance.__file__).parents[1]]
    path = os.pathsep.join(map(str, [packages, *checkout]))
    return subprocess.run(
        [sys.executable, "-S", "-m", "lion_conformance.cli", "run", *BRIEF, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def numpy_alone(tmp_path: Path) -> Path:
    """A folder of packages that holds NumPy and ml_dtypes, and nothing else."""
    for module in (np, ml_dtypes):
        package = Path(module.__file__).parent  # type: ignore[arg-type]  # both are packages
        (tmp_path / package.name).symlink_to(package)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            (tmp_path / libraries.name).symlink_to(libraries)
    return tmp_path


def not_installed(name: str, package: str, extra: str) -> str:
    return f"{name} (–) not run: {package} is not installed; pip install 'lion-ref[{extra}]'"


def test_a_framework_that_is_missing_says_what_to_install(numpy_alone: Path) -> None:
    done = run_with_only(numpy_alone, "--backend", "torch")
    assert done.returncode == 2, done.stderr
    assert not_installed("torch", "torch", "torch") in " ".join(done.stdout.split())


def test_a_framework_whose_import_fails_half_way_is_named(numpy_alone: Path) -> None:
    (numpy_alone / "torch").mkdir()
    (numpy_alone / "torch" / "__init__.py").write_text("raise RuntimeError('libcudart\\nis gone')")
    done = run_with_only(numpy_alone, "--backend", "torch")
    assert done.returncode == 2
    assert (
        "torch (–) not run: importing torch failed half-way with RuntimeError: libcudart is gone; "
        "repair its installation: pip install 'lion-ref[torch]'"
    ) in " ".join(done.stdout.split())


def test_the_reference_is_judged_beside_what_is_missing_and_what_kills_its_process(
    numpy_alone: Path,
) -> None:
    """With NumPy alone, and a torch that is there but ends the process."""
    (numpy_alone / "torch").mkdir()
    (numpy_alone / "torch" / "__init__.py").write_text("import os; os.abort()")
    done = run_with_only(numpy_alone)
    assert done.returncode == 2, done.stderr
    assert "torch (–) not run: its process died while it was judged" in " ".join(
        done.stdout.split()
    )
    assert "= bit-exact" in done.stdout, "the other backend is judged all the same"
    for name, package, extra in (
        ("jax", "jax", "jax"),
        ("tensorflow", "tensorflow", "tensorflow"),
        ("array-api", "array_api_compat", "array-api"),
    ):
        assert not_installed(name, package, extra) in " ".join(done.stdout.split())


def test_a_door_that_cannot_be_had_here_is_not_run_and_says_why() -> None:
    port = replace(from_callable(lion_ref.step), door="fused", unavailable="no C++ compiler")
    report = judge_port(port, ["float32"], Options(max_examples=1), load())
    assert report.words(report.verdict) == "not run: no C++ compiler"
    assert status([report]) == 2


def test_a_port_that_takes_none_of_the_dtypes_does_not_fall_short() -> None:
    narrow = replace(from_callable(lion_ref.step), triples=(("float32", "float32", "float32"),))
    report = judge_port(narrow, [], Options(max_examples=1), load())
    assert report.words(report.verdict) == "not run: it takes none of the dtypes asked for"
    judged = judge_port(narrow, ["float32"], Options(max_examples=1), load())
    assert status([judged, report]) == 0
    assert status([report]) == 2, "nothing at all was judged"


@pytest.mark.parametrize(
    ("source", "spec", "message"),
    [
        ("import sys\nsys.exit(0)\n", "gone:step", "importing gone failed with SystemExit: 0"),
        (
            "class B:\n    def __getattr__(self, _):\n        raise OSError('not here')\nb = B()\n",
            "gone:b.step",
            "port='gone:b.step' is not legal: not here",
        ),
    ],
)
def test_a_module_that_exits_or_raises_is_no_port_that_passed(
    source: str,
    spec: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "gone.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "gone", raising=False)
    assert main(["verify", spec, *QUICK]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--device", "tpu"], "device='tpu' is not legal; legal: cpu, cuda"),
        (["--jobs", "0"], "jobs=0 is not legal; legal: an integer >= 1"),
        (["--seed", "-1"], "seed=-1 is not legal; legal: an integer >= 0"),
        (["--seconds", "0"], "seconds=0.0 is not legal; legal: a number > 0"),
    ],
)
def test_a_run_that_cannot_be_is_refused_before_anything_starts(
    option: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--backend", "numpy", *option]) == 2
    assert capsys.readouterr().err == f"lion-conformance: {message}\n"


@pytest.mark.parametrize("arguments", [[], ["lion_ref:step", "--exec", "./port"]])
def test_there_is_one_port_to_judge(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", *arguments]) == 2
    assert "legal: either MODULE:CALLABLE, --exec PROGRAM or --ptx" in capsys.readouterr().err


def test_a_timeout_is_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "lion_ref:step", "--timeout", "-1"]) == 2
    assert "--timeout -1 is not legal without --exec PROGRAM" in capsys.readouterr().err
