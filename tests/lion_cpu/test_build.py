"""hatch_build.py: what it builds says what of, and a build that fails leaves nothing behind."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hatch_build
from hatch_build import (
    KERNEL,
    BuildError,
    Target,
    build,
    build_in_place,
    library_name,
    sources_hash,
    this_machine,
)
from tests.lion_cpu.kernels import TARGET, WITHOUT

ROOT = Path(__file__).parents[2]


def stale(library: Path, kernel: Path) -> str | None:
    """What is wrong with a library that was built from other sources."""
    loaded = ctypes.CDLL(str(library))
    loaded.lion_sources.restype = ctypes.c_char_p
    if loaded.lion_sources().decode() == sources_hash(kernel):
        return None
    return (
        f"{library.name} was built from other sources than those beside it: python hatch_build.py"
    )


@pytest.fixture(scope="module")
def target() -> Target:
    """This machine, if it has a compiler."""
    try:
        return this_machine(os.environ)
    except BuildError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which nothing is built."""
    root = tmp_path_factory.mktemp("tree")
    built = shutil.ignore_patterns("lion_cpu.so", "lion_cpu.dylib", "lion_cpu.dll")
    shutil.copytree(ROOT / KERNEL, root / KERNEL, ignore=built)
    return root


def test_the_library_beside_the_sources_was_built_from_them() -> None:
    found = [file for file in (ROOT / KERNEL).glob("lion_cpu.*") if file.suffix != ".cpp"]
    if not found:
        pytest.skip("not built: python hatch_build.py")
    assert [stale(file, ROOT / KERNEL) for file in found] == [None]


def initialize(root: Path, version: str) -> dict[str, Any]:
    """What the build hook adds to a wheel that hatchling builds."""
    data: dict[str, Any] = {"force_include": {}}
    hook = hatch_build.get_build_hook()(str(root), {}, None, None, "", "wheel")  # type: ignore[arg-type]
    hook.initialize(version, data)
    return data


def test_an_editable_install_builds_beside_the_sources_and_changed_ones_are_told(
    target: Target, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LION_REF_PLATFORM", raising=False)
    assert initialize(tree, "editable") == {"force_include": {}}
    kernel = tree / KERNEL
    library = kernel / library_name(target.system)
    assert stale(library, kernel) is None
    header = kernel / "update.h"
    header.write_text(header.read_text(encoding="utf-8") + "// changed\n", encoding="utf-8")
    said = stale(library, kernel)
    assert said is not None
    assert said.endswith("built from other sources than those beside it: python hatch_build.py")
    # A build that fails takes the stale library with it.
    header.write_text("#error no\n", encoding="utf-8")
    with pytest.raises(BuildError, match=r"failed: .*no$"):
        build_in_place(kernel)
    assert sorted(x.suffix for x in kernel.iterdir() if x.stem == "lion_cpu") == [".cpp"]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"PATH": ""}, "there is no C++ compiler: CXX is not set, and no c++, g++, clang++"),
        (
            {"PATH": "", "CXX": "no-such-compiler -m64"},
            "no-such-compiler -m64 cannot be run: No such",
        ),
        ({"CXX": "it's"}, """CXX is "it's", which is no command: No closing quotation"""),
    ],
)
def test_what_is_missing_is_said(
    tree: Path, tmp_path: Path, environment: dict[str, str], said: str
) -> None:
    with pytest.raises(BuildError) as error:
        build(this_machine(environment), tree / KERNEL, tmp_path / "lion_cpu.so")
    assert str(error.value).startswith(said)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_said(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BuildError, match="file cannot be written: "):
        build(Target(("c++",), "x86_64", "linux", ""), tree / KERNEL, tmp_path / "file" / "x.so")


def test_a_compiler_that_was_told_to_be_inexact(tmp_path: Path) -> None:
    """A library linked for fast math makes whoever loads it flush subnormals."""
    if TARGET is None:
        pytest.skip(f"not run: {WITHOUT}")
    library = tmp_path / "lion_cpu.so"
    build(TARGET._replace(compiler=(*TARGET.compiler, "-Ofast")), ROOT / KERNEL, library)
    program = (
        "import ctypes, sys, lion_ref.arithmetic; ctypes.CDLL(sys.argv[1]); "
        "lion_ref.arithmetic.require_default_environment()"
    )
    subprocess.run([sys.executable, "-c", program, str(library)], check=True)


def test_a_processor_without_code_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(BuildError, match="it has no code for riscv64"):
        this_machine(os.environ)


def test_the_program_says_what_it_means_that_nothing_was_built(
    monkeypatch: pytest.MonkeyPatch, tree: Path
) -> None:
    monkeypatch.setattr(hatch_build, "__file__", str(tree / "hatch_build.py"))
    old = tree / KERNEL / "lion_cpu.so"
    old.touch()
    monkeypatch.setenv("CXX", "")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit) as error:
        hatch_build.main()
    assert str(error.value.code) == (
        "No CPU kernel, since there is no C++ compiler: CXX is not set, and no c++, g++, clang++. "
        "lion_torch works without it, with the same bits, and takes several times as long on a CPU."
    )
    assert not old.exists()
