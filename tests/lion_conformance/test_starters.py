"""Starters as their pages say: each passes as it is written, and with a wrong line is told why."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import lion_ref
from lion_conformance import PortError, Verdict, starters, verify
from lion_conformance.cli import main
from lion_conformance.ports.pipe import Program
from tests.lion_conformance.installed import commands, environment, shell

NEEDS = {"c": "cc", "javascript": "node", "triton": "triton", "cuda": "nvcc"}
QUICK = "--max-examples 1 --dtype float32"
Begun = Callable[[str], tuple[Path, dict[str, str]]]


def has_gpu() -> bool:
    torch = pytest.importorskip("torch")
    return bool(torch.cuda.is_available())


@pytest.fixture
def begun(tmp_path: Path) -> Begun:
    """Writes a starter into an empty folder, and gives that folder and an environment."""

    def begin(language: str) -> tuple[Path, dict[str, str]]:
        needed = NEEDS.get(language)
        if needed == "triton":
            pytest.importorskip("triton", reason="pip install triton")
        elif needed is not None and shutil.which(needed) is None:
            pytest.skip(f"{needed} is not installed")
        env, folder = environment(tmp_path / "bin"), tmp_path / "mine"
        done = shell(f"lion-conformance init {language} --folder mine", tmp_path, env)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "how to go on: mine/LION.md"
        return folder, env

    return begin


def workflow(folder: Path) -> dict[str, Any]:
    """The job of a starter's workflow."""
    document = yaml.safe_load((folder / starters.WORKFLOW).read_text(encoding="utf-8"))
    (job,) = document["jobs"].values()
    return dict(job)


def judging(folder: Path) -> list[tuple[str, dict[str, str]]]:
    """The commands of the workflow and what they have in their environment; none installs."""
    steps = [x for x in workflow(folder)["steps"] if "run" in x]
    return [(x["run"], x.get("env", {})) for x in steps if not x["run"].startswith("pip install")]


def ran(folder: Path, env: dict[str, str], options: str = "") -> subprocess.CompletedProcess[str]:
    """The last command of the workflow, after those before it."""
    *before, (command, more) = judging(folder)
    for line, _ in before:
        assert shell(line, folder, env).returncode == 0
    return shell(f"{command} {options}", folder, env | more)


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


# As written


@pytest.mark.parametrize(
    "language",
    [
        "python",
        "c",
        pytest.param("javascript", marks=pytest.mark.slow),
        pytest.param("triton", marks=pytest.mark.slow),
    ],
)
def test_a_starter_passes_as_its_workflow_judges_it(language: str, begun: Begun) -> None:
    folder, env = begun(language)
    done = ran(folder, env, QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("bit-exact  ")
    assert "::" not in done.stdout, "there is nothing to annotate"


@pytest.mark.slow
@pytest.mark.parametrize("language", ["python", "c", "javascript", "triton"])
def test_a_starter_passes_with_each_command_of_its_page(language: str, begun: Begun) -> None:
    folder, env = begun(language)
    page = commands(folder / starters.READ_ME)
    test = next(name for name in starters.FILES[language] if name.startswith("test_"))
    for command in dict.fromkeys([*page, f"pytest {test}"]):
        more, options = {}, ""
        if language == "triton" and "my_lion:port" in command and not has_gpu():  # as the page says
            more, options = {"TRITON_INTERPRET": "1"}, " --max-examples 5"
        done = shell(f"{command}{options}", folder, env | more)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize(("language", "reason"), [("triton", "no GPU; TRI"), ("cuda", "no GPU: ")])
def test_without_a_gpu_a_kernel_is_not_run_and_says_why(
    language: str, reason: str, begun: Begun
) -> None:
    if has_gpu():
        pytest.skip("there is a GPU")
    folder, env = begun(language)
    *_, last = page = commands(folder / starters.READ_ME)
    assert all(shell(x, folder, env).returncode == 0 for x in page if "verify" not in x)
    done = shell(last, folder, env)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f" not run: {reason}" in done.stdout
    launched = {"triton": "TestMyLion", "cuda": "TestLionPort"}[language]
    tested = shell(f"pytest -rs -k {launched}", folder, env)
    assert tested.returncode == 0
    assert f"not run: {reason}" in tested.stdout


@pytest.mark.gpu
@pytest.mark.parametrize("language", ["triton", "cuda"])
def test_on_a_gpu_a_kernel_passes(language: str, begun: Begun) -> None:
    if not has_gpu():
        pytest.skip("needs a GPU")
    folder, env = begun(language)
    for command in commands(folder / starters.READ_ME):
        done = shell(command, folder, env)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


# The CUDA starter on a CPU: what its kernel and the program around it do, not what nvcc makes of it

STAND_IN = Path(__file__).with_name("stand_in")
LAUNCH = re.compile(r"(\w+)<<<(\w+), (\w+)>>>\(")


def on_a_cpu(source: str, folder: Path) -> list[str]:
    """A CUDA program, compiled for the CPU with a stand-in for CUDA's runtime."""
    if shutil.which("c++") is None:
        pytest.skip("c++ is not installed")
    program = folder / "on_a_cpu"
    program.with_suffix(".cpp").write_text(LAUNCH.sub(r"launch(\2, \3, \1, ", source))
    options = ["-std=c++17", "-O2", "-ffp-contract=off", f"-I{STAND_IN}", "-o", str(program)]
    subprocess.run(["c++", *options, f"{program}.cpp"], check=True)
    return [str(program)]


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        ("", "", None),
        ("if (i >= count) return;", "if (i + 1 >= count) return;", "nothing is updated in the la"),
        ("beta1 * m[i]", "beta2 * m[i]", "β2 is used for β1"),
        # In the program around the kernel: g is read where m lies.
        ("device + 2 * count,", "device + count,", ""),
    ],
)
def test_the_cuda_starter_is_lion_on_a_cpu(
    old: str, new: str, cause: str | None, tmp_path: Path
) -> None:
    source = (starters.HOME / "cuda" / "lion_port.cu").read_text(encoding="utf-8")
    assert old == "" or source.count(old) == 1
    with Program(on_a_cpu(source.replace(old, new) if old else source, tmp_path)) as program:
        report = verify(program.port, max_examples=1)
    assert report.verdict is (Verdict.BIT_EXACT if cause is None else Verdict.REJECTED)
    assert (report.cause.sentence if report.cause else "").startswith(cause or "")


@pytest.mark.parametrize(("options", "fused"), [(["--fmad=false"], False), ([], True)])
def test_nvcc_fuses_nothing_with_the_option_of_the_page(
    options: list[str], fused: bool, tmp_path: Path
) -> None:
    if shutil.which("nvcc") is None:
        pytest.skip("nvcc is not installed")
    starters.write("cuda", tmp_path)
    told = next(x for x in commands(tmp_path / starters.READ_ME) if x.startswith("nvcc"))
    assert "--fmad=false" in told
    command = ["nvcc", "-O2", *options, "-ptx", "lion_port.cu", "-o", "port.ptx"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert (" fma.rn.f32" in (tmp_path / "port.ptx").read_text().replace("\t", " ")) == fused


def test_a_gpu_that_fails_is_said(tmp_path: Path) -> None:
    source = (starters.HOME / "cuda" / "lion_port.cu").read_text(encoding="utf-8")
    many = np.ones(2_000_000, np.float32)
    with Program(on_a_cpu(source, tmp_path)) as program, pytest.raises(PortError) as raised:
        program.ask((many, many, many), (0.1, 0.9, 0.99, 0.0))
    assert "out of memory" in str(raised.value)


# With a wrong line

BREAKS = [
    ("python", "my_lion.py", "a = b1 * m", "a = b2 * m", "β2 is used for β1"),
    ("python", "my_lion.py", "u = np.sign(a + b)", "u = np.tanh(a + b)", "u is no sign"),
    ("c", "lion_port.c", "s = u + d;", "s = u;", "the decay is left out"),
    ("javascript", "lion_port.mjs", "round(beta2 * m)", "round(beta1 * m)", "β1 is used for β2"),
    ("triton", "my_lion.py", "tl.where(c > 0, 1.0", "tl.where(c >= 0, 1.0", "sign(0) is +1"),
]


@pytest.mark.parametrize(("language", "file", "old", "new", "cause"), BREAKS)
def test_a_wrong_line_is_told(
    language: str, file: str, old: str, new: str, cause: str, begun: Begun
) -> None:
    folder, env = begun(language)
    replaced(folder / file, old, new)
    done = ran(folder, env)
    assert done.returncode == 1, done.stdout + done.stderr
    assert cause in done.stdout.splitlines()[0]
    (annotation,) = (x for x in done.stdout.splitlines() if x.startswith("::error "))
    assert cause in annotation
    # What is judged of Triton's is not the file with the line, but what was compiled of it.
    assert ("file=my_lion.py,line=" in annotation) == (language == "python")


# Into a folder


@pytest.mark.parametrize("language", starters.FILES)
def test_a_starter_has_its_port_its_test_its_workflow_and_a_page(
    language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "folder"
    assert main(["init", language, "--folder", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert all(f"written: {folder / name}\n" in printed for name in starters.FILES[language])
    found = {x.relative_to(folder).as_posix() for x in folder.rglob("*") if x.is_file()}
    assert found == set(starters.FILES[language])
    page = (folder / starters.READ_ME).read_text(encoding="utf-8")
    assert all(name in page for name in starters.FILES[language] if name != starters.READ_ME)
    judged = next(x for x in commands(folder / starters.READ_ME) if "verify" in x)
    assert judging(folder)[-1][0].startswith(judged), "the workflow judges as the page does"
    steps = workflow(folder)["steps"]
    assert steps[0]["uses"].startswith("actions/checkout@v")
    assert "--github" in steps[-1]["run"]


@pytest.mark.parametrize("taken", ["my_lion.py", "LION.md", starters.WORKFLOW])
@pytest.mark.parametrize("as_link", [False, True])
def test_nothing_is_overwritten_and_nothing_half_written(
    taken: str, as_link: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / taken).parent.mkdir(parents=True, exist_ok=True)
    if as_link:
        (tmp_path / taken).symlink_to("nowhere")
    else:
        (tmp_path / taken).write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    assert main(["init", "python", "--folder", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"lion-conformance: folder={str(tmp_path)!r} is not legal: it has {taken}; legal: a folder "
        "without them, nothing is overwritten\n"
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_all_that_is_in_the_way_is_named(tmp_path: Path) -> None:
    starters.write("c", tmp_path)
    (tmp_path / "test_lion_port.py").unlink()
    with pytest.raises(ValueError, match=r"it has lion_port\.c, \.github/.*yml, LION\.md; legal"):
        starters.write("c", tmp_path)


def test_what_was_written_before_a_file_refuses_is_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".github").touch()  # a file where a folder has to be
    assert main(["init", "python", "--folder", str(tmp_path)]) == 2
    assert "Not a directory" in capsys.readouterr().err
    assert [x.name for x in tmp_path.iterdir()] == [".github"]


def test_the_starters_are_in_the_package_and_in_their_list() -> None:
    done = subprocess.run(
        ["git", "ls-files", "."], cwd=starters.HOME, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("no checkout")
    listed = {f"{language}/{name}" for language, names in starters.FILES.items() for name in names}
    assert set(done.stdout.split()) == listed


def checked(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What a checker says of a folder, to whose modules the packages are known."""
    checkout = [starters.HOME.parents[2], Path(lion_ref.__file__).parents[1]]
    return subprocess.run(
        [sys.executable, "-m", *words, "."],
        cwd=folder,
        env=os.environ | {"MYPYPATH": os.pathsep.join(map(str, checkout))},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("language", starters.FILES)
def test_a_starter_is_clean_in_its_folder(language: str, tmp_path: Path) -> None:
    starters.write(language, tmp_path)
    done = checked(
        tmp_path, "ruff", "check", "--isolated", "--select=E,F,I,B,D1", "--line-length=100"
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("language", ["python", "c", "javascript", "cuda"])
def test_a_starter_is_typed(language: str, tmp_path: Path) -> None:
    """All but Triton's, whose language has no types."""
    starters.write(language, tmp_path)
    done = checked(tmp_path, "mypy", "--strict", "--follow-imports=silent")
    assert done.returncode == 0, done.stdout
