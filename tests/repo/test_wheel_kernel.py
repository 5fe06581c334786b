"""The CPU kernel in the wheel: its library, for the platform in the wheel's name, or none."""

from __future__ import annotations

import os
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

from hatch_build import KERNEL, BuildError, library_name, sources_hash, this_machine
from tests.repo.wheels import ROOT, read, run_isolated, run_python


def kernel_faults(wheel: Path) -> list[str]:
    """What the platform in the name, the library inside and the tags say against one another."""
    platform = wheel.stem.rpartition("-")[2]
    system = {"win": "windows", "macosx": "macos"}.get(platform.partition("_")[0], "linux")
    expected = set() if platform == "any" else {f"lion_cpu/kernel/{library_name(system)}"}
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if name.startswith("lion_cpu/kernel/")}
    said = message_from_string(read(wheel, "WHEEL"))
    pure = str(platform == "any").lower()
    return [
        *(f"{name} is missing" for name in sorted(expected - found)),
        *(f"{name} does not belong there" for name in sorted(found - expected)),
        *(
            f"{key} is {said[key]}, not {value}"
            for key, value in (("Tag", f"py3-none-{platform}"), ("Root-Is-Purelib", pure))
            if said[key] != value
        ),
    ]


LIBRARY = "lion_cpu/kernel/lion_cpu.so"


@pytest.mark.parametrize(
    ("platform", "files", "said", "expected"),
    [
        ("linux_x86_64", [LIBRARY], "linux_x86_64 false", []),
        ("win_amd64", ["lion_cpu/kernel/lion_cpu.dll"], "win_amd64 false", []),
        ("any", [], "any true", []),
        ("linux_x86_64", [], "linux_x86_64 false", [f"{LIBRARY} is missing"]),
        ("any", [LIBRARY], "any true", [f"{LIBRARY} does not belong there"]),
        (
            "win_amd64",
            [LIBRARY],
            "win_amd64 false",
            ["lion_cpu/kernel/lion_cpu.dll is missing", f"{LIBRARY} does not belong there"],
        ),
        (
            "linux_x86_64",
            [LIBRARY, "lion_cpu/kernel/update.cpp"],
            "linux_x86_64 false",
            ["lion_cpu/kernel/update.cpp does not belong there"],
        ),
        (
            "linux_x86_64",
            [LIBRARY],
            "any true",
            [
                "Tag is py3-none-any, not py3-none-linux_x86_64",
                "Root-Is-Purelib is true, not false",
            ],
        ),
    ],
)
def test_a_wheel_with_the_wrong_kernel_is_found(
    tmp_path: Path, platform: str, files: list[str], said: str, expected: list[str]
) -> None:
    path = tmp_path / f"lion_ref-0.1.0-py3-none-{platform}.whl"
    tag, pure = said.split()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "lion_ref-0.1.0.dist-info/WHEEL", f"Root-Is-Purelib: {pure}\nTag: py3-none-{tag}\n"
        )
        for file in files:
            archive.writestr(file, "")
    assert kernel_faults(path) == expected


def test_the_wheel_has_this_machines_kernel_which_loads(wheel: Path, installed: list[Path]) -> None:
    try:
        target = this_machine(os.environ)
    except BuildError as error:
        pytest.skip(str(error))
    assert kernel_faults(wheel) == []
    assert wheel.stem.endswith(f"-py3-none-{target.tag}")
    program = (
        "import ctypes, lion_cpu, pathlib\n"
        "folder = pathlib.Path(lion_cpu.__file__).parent / 'kernel'\n"
        f"library = ctypes.CDLL(str(folder / {library_name(target.system)!r}))\n"
        "library.lion_sources.restype = ctypes.c_char_p\n"
        "assert library.lion_step\n"
        "print(library.lion_sources().decode())\n"
    )
    ran = run_isolated(installed, program)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == sources_hash(ROOT / KERNEL)


def test_without_a_compiler_the_wheel_is_pure_and_says_so(tmp_path: Path) -> None:
    unset = ("CXX", "LION_REF_PLATFORM")
    env = {name: value for name, value in os.environ.items() if name not in unset}
    env["PATH"] = str(tmp_path)
    ran = run_python(
        "-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path, ROOT, env=env
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stem.endswith("-py3-none-any")
    assert kernel_faults(wheel) == []
    assert "Without the CPU kernel, since there is no C++ compiler" in ran.stdout + ran.stderr


def test_a_platform_that_is_asked_for_is_one_that_can_be_built(tmp_path: Path) -> None:
    env = dict(os.environ, LION_REF_PLATFORM="win32")
    arguments = ("-m", "build", "-x", "--no-isolation", "--wheel", "--outdir")
    ran = run_python(*arguments, tmp_path, ROOT, env=env, check=False)
    assert ran.returncode != 0
    assert not list(tmp_path.glob("*.whl"))
    said = "LION_REF_PLATFORM is 'win32'; legal: manylinux_2_17_x86_64, "
    assert said in ran.stdout + ran.stderr
