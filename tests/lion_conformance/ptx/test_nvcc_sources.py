"""The PTX that is committed belongs to the CUDA beside it."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CUDA = ROOT / "examples" / "ports" / "cuda"
WRONG = Path(__file__).with_name("wrong")
MADE = {
    CUDA / "lion.ptx": CUDA / "lion.cu",
    WRONG / "wrong.ptx": WRONG / "wrong.cu",
    WRONG / "contracted.ptx": CUDA / "lion.cu",
    WRONG / "fast_math.ptx": CUDA / "lion.cu",
}
RELEASE = re.compile(r"Cuda compilation tools, release [\d.]+, V([\d.]+)")


def head(ptx: Path) -> tuple[str, str]:
    """The command and the digest of the source that a file says it was made by and of."""
    command, digest, *_ = ptx.read_text(encoding="utf-8").splitlines()
    return command.removeprefix("// "), digest.rpartition(" ")[2]


def outdated(ptx: Path, source: Path) -> bool:
    return head(ptx)[1] != hashlib.sha256(source.read_bytes()).hexdigest()


@pytest.mark.parametrize("ptx", MADE, ids=lambda x: x.stem)
def test_ptx_was_made_of_its_source_as_it_is_now(ptx: Path) -> None:
    again = "run compile.sh in its folder"
    assert not outdated(ptx, MADE[ptx]), f"{MADE[ptx].name} has changed since: {again}"


def test_ptx_of_another_source_is_found(tmp_path: Path) -> None:
    source = tmp_path / "lion.cu"
    source.write_text((CUDA / "lion.cu").read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert outdated(CUDA / "lion.ptx", source)


@pytest.mark.slow
@pytest.mark.parametrize("ptx", MADE, ids=lambda x: x.stem)
def test_ptx_is_what_nvcc_makes_of_the_source(ptx: Path, tmp_path: Path) -> None:
    if shutil.which("nvcc") is None:
        pytest.skip("not run: no nvcc")
    committed = ptx.read_text(encoding="utf-8")
    told = RELEASE.search(
        subprocess.run(["nvcc", "--version"], capture_output=True, text=True, check=True).stdout
    )
    made = RELEASE.search(committed)
    assert told is not None
    assert made is not None
    if told[1] != made[1]:
        pytest.skip(f"not run: this nvcc is {told[1]}, that of the file {made[1]}")
    *options, _ = head(ptx)[0].removeprefix("nvcc -ptx -arch=sm_80 ").split()
    script = ["sh", str(CUDA / "compile.sh"), str(MADE[ptx]), str(tmp_path / ptx.name), *options]
    subprocess.run(script, check=True)
    assert (tmp_path / ptx.name).read_text(encoding="utf-8") == committed
