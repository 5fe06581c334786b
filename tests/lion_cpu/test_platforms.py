"""The kernels for other platforms: built, then run under an emulator and judged bit for bit.

`make wheels` judges those in its wheels, which `LION_DIST` then names; else they are built here. On
Debian, `apt-get install qemu-user libc6-arm64-cross wine` brings what runs them.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import hatch_build
from hatch_build import KERNEL, PLATFORMS, another, build, library_name
from lion_conformance import Report, Verdict, verify
from lion_conformance.ports.pipe import Program

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LINUX_X86, LINUX_ARM, WINDOWS = "manylinux_2_17_x86_64", "manylinux_2_17_aarch64", "win_amd64"

MACHINES = {
    "x86-64": (LINUX_X86, []),
    "x86-64 without AVX2": (LINUX_X86, ["qemu-x86_64", "-cpu", "Nehalem"]),
    "x86-64 without AVX-512": (LINUX_X86, ["qemu-x86_64", "-cpu", "Haswell"]),
    "aarch64": (LINUX_ARM, ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]),
    "Windows": (WINDOWS, ["wine"]),
}
"""The platform whose kernel runs there, and what runs it on Linux for x86-64."""

NEWEST_GLIBC = (2, 17)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where libraries and drivers are built."""
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("not run: no ziglang (pip install ziglang)")
    return tmp_path_factory.mktemp("platforms")


def library_for(tag: str, folder: Path) -> Path:
    """The library in the platform's wheel, else one that is built."""
    target = another(tag)
    library = folder / tag / library_name(target.system)
    if given := os.environ.get("LION_DIST"):
        (wheel,) = (ROOT / given).glob(f"*-{tag}.whl")
        with zipfile.ZipFile(wheel) as archive:
            library.parent.mkdir(exist_ok=True)
            library.write_bytes(archive.read(f"lion_cpu/kernel/{library.name}"))
    elif not library.exists():
        build(target, ROOT / KERNEL, library)
    return library


def judged(
    machine: str,
    library: Path,
    folder: Path,
    dtypes: list[str] | None = None,
    *,
    flush: bool = False,
) -> Report:
    """What the judge says of a library on a machine."""
    tag, emulator = MACHINES[machine]
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("not run: these emulators are those of Linux on x86-64")
    if emulator and shutil.which(emulator[0]) is None:
        pytest.skip(f"not run: no {emulator[0]}")
    if "-L" in emulator and not Path(emulator[-1]).exists():
        pytest.skip(f"not run: no C library in {emulator[-1]}")
    driver = folder / f"driver_{tag}.exe"
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", PLATFORMS[tag], "-std=c11", "-O2"]
    libraries = [] if tag == WINDOWS else ["-ldl"]
    source = str(Path(__file__).with_name("driver.c"))
    subprocess.run([*compiler, source, *libraries, "-o", str(driver)], check=True)
    command = [*emulator, str(driver), str(library), *(["flush"] if flush else [])]
    with Program(command, timeout=300) as program:
        return verify(program.port, dtypes=dtypes, max_examples=1, explain=False)


@pytest.mark.parametrize("machine", MACHINES)
def test_the_kernel_has_the_references_bits_there(machine: str, folder: Path) -> None:
    report = judged(machine, library_for(MACHINES[machine][0], folder), folder)
    formats = ("float16", "bfloat16", "float32", "float64")
    assert report.verdicts == dict.fromkeys(formats, Verdict.BIT_EXACT)


@pytest.mark.clause("C18", "C33")
@pytest.mark.parametrize("machine", [x for x in MACHINES if x != "x86-64 without AVX-512"])
def test_the_kernel_flushes_there_as_everywhere(machine: str, folder: Path) -> None:
    """Not where QEMU has AVX2: it flushes float16's subnormals, which processors keep."""
    library = library_for(MACHINES[machine][0], folder)
    verdicts = judged(machine, library, folder, flush=True).verdicts
    assert set(verdicts.values()) == {Verdict.BIT_EXACT_AS}


def test_a_kernel_that_fuses_is_found_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aarch64 always has a fused multiply-add; the flag is all that keeps compilers from it."""
    fused = tuple(x.replace("-ffp-contract=off", "-ffp-contract=fast") for x in hatch_build.FLAGS)
    monkeypatch.setattr(hatch_build, "FLAGS", fused)
    build(another(LINUX_ARM), ROOT / KERNEL, tmp_path / "lion_cpu.so")
    report = judged("aarch64", tmp_path / "lion_cpu.so", folder, ["float32"])
    assert report.verdicts["float32"] is not Verdict.BIT_EXACT


def needs(library: bytes) -> list[str]:
    """What the library asks of a system and not every system has."""
    versions = {tuple(map(int, x)) for x in re.findall(rb"GLIBC_(\d+)\.(\d+)", library)}
    return [
        *(
            f"glibc {major}.{minor}"
            for major, minor in sorted(versions)
            if (major, minor) > NEWEST_GLIBC
        ),
        *(x.decode() for x in sorted(set(re.findall(rb"lib(?:std)?c\+\+|libgcc_s", library)))),
    ]


@pytest.mark.parametrize("tag", PLATFORMS)
def test_the_library_links_and_needs_an_old_c_library_alone(tag: str, folder: Path) -> None:
    library = library_for(tag, folder).read_bytes()
    assert needs(library) == []
    assert b"lion_step\0" in library
    assert b"lion_sources\0" in library
    assert str(ROOT).encode() not in library


def test_a_library_that_needs_more_is_found() -> None:
    library = b"\0GLIBC_2.2.5\0GLIBC_2.34\0libstdc++.so.6\0GLIBC_2.17\0"
    assert needs(library) == ["glibc 2.34", "libstdc++"]
