"""Where there is no library, or one that cannot be used, lion_cpu says so, and steps nothing."""

from __future__ import annotations

import os
import shutil
from array import array
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

import hatch_build
import lion_cpu
from lion_cpu import library
from lion_ref import STORAGE_DTYPES, legal_triples
from tests.lion_cpu.kernels import TARGET, taken

ABSENT = (
    "there is no lion_cpu.so in this installation of lion-ref; legal: a wheel for this platform, "
    "an installation from source with a C++ compiler (`pip -v` says why none was taken), in a "
    "checkout `python hatch_build.py`"
)


def stepped(dtypes: tuple[str, str, str] = ("float32",) * 3) -> list[list[float]]:
    """θ and m after a step by 0.5 of one element, which takes them to 0.5 and 1."""
    arrays = [np.ones(1, STORAGE_DTYPES[name]) for name in dtypes]
    tables = [array("q", [x.ctypes.data]) for x in arrays]
    lion_cpu.step(tables, array("q", [1]), dtypes, (0.5, 0.5, 0.5, 0.5, 0.5, 0.0))
    return [x.astype(float).tolist() for x in arrays[:2]]


def refused(dtypes: tuple[str, str, str] = ("float32",) * 3) -> str:
    """What a step that is refused says."""
    with pytest.raises(RuntimeError) as error:
        stepped(dtypes)
    return str(error.value)


def test_no_library(tmp_path: Path) -> None:
    with taken(tmp_path / "lion_cpu.so"):
        assert lion_cpu.missing() == ABSENT
        assert refused() == ABSENT
    assert lion_cpu.missing() != ABSENT  # and nothing of it stays


def test_a_file_that_is_no_library(tmp_path: Path) -> None:
    path = tmp_path / "lion_cpu.so"
    path.write_bytes(b"half of a download")
    with taken(path):
        said = lion_cpu.missing()
        assert said.startswith("lion_cpu.so cannot be loaded: ")
        assert said.endswith("; legal: lion-ref installed again")
        assert str(path) in said
        assert refused() == said


@pytest.mark.skipif(TARGET is None, reason="not run: no compiler")
def test_a_library_without_a_kernel(tmp_path: Path) -> None:
    """Another project's of that name, say."""
    assert TARGET is not None
    (tmp_path / "empty.cpp").write_text("", encoding="utf-8")
    path = tmp_path / hatch_build.library_name(TARGET.system)
    hatch_build._run(TARGET.compiler, "-shared", "-fPIC", tmp_path / "empty.cpp", "-o", path)
    with taken(path):
        said = lion_cpu.missing()
        assert said.startswith(f"{path.name} cannot be loaded: ")
        assert "lion_step" in said
        assert refused() == said


def test_it_is_looked_for_once(tmp_path: Path) -> None:
    """A step of many small tensors has no time for files."""
    with taken(tmp_path / "lion_cpu.so"), mock.patch.object(Path, "exists") as exists:
        exists.return_value = False
        for _ in range(3):
            lion_cpu.missing()
    assert exists.call_count == 1


def test_it_lies_beside_its_sources() -> None:
    """Where the build puts it, by the name that the build gives it."""
    system = {"darwin": "macos", "win32": "windows"}
    for platform in ("linux", "darwin", "win32", "freebsd14"):
        with mock.patch("sys.platform", platform):
            path = library.library_path()
        assert path.name == hatch_build.library_name(system.get(platform, "linux"))
        assert path.parent.parts[-3:] == hatch_build.KERNEL.parts


needs_kernel = pytest.mark.skipif(bool(lion_cpu.missing()), reason=f"not run: {lion_cpu.missing()}")


@needs_kernel
@pytest.mark.clause("C3", "C14")
def test_a_triple_that_is_not_legal_is_refused() -> None:
    """All 64 of them: 43 are."""
    for dtypes in (
        (p, m, g) for p in STORAGE_DTYPES for m in STORAGE_DTYPES for g in STORAGE_DTYPES
    ):
        if dtypes in legal_triples():
            assert stepped(dtypes) == [[0.5], [1.0]]
        else:
            assert refused(dtypes) == (f"dtypes={dtypes} is not legal; legal: a triple of SPEC C3")


@needs_kernel
def test_a_library_elsewhere_is_as_good(tmp_path: Path) -> None:
    """It needs nothing of where it was built."""
    path = tmp_path / "elsewhere"
    shutil.copy(library.library_path(), path)
    with taken(path), mock.patch.dict(os.environ, clear=True):
        assert stepped() == [[0.5], [1.0]]
