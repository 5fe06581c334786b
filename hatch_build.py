"""Builds the CPU kernel, adapters/lion_cpu/kernel/, into the wheel.

A build hook of hatchling's, and a program: `python hatch_build.py` builds the library for this
machine beside its sources, for a checkout that is used through PYTHONPATH.

This machine's compiler is $CXX, else the first of c++, g++ and clang++ that there is; without one,
or with one that fails, the wheel is pure and lion_torch takes torch's own operations, with the same
bits. LION_REF_PLATFORM names another platform to build for, with the compiler that PyPI has as
`ziglang`: it brings each platform's C library, in the oldest version that is asked of it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

KERNEL = Path("adapters/lion_cpu/kernel")

# By the wheel's name, as zig calls them. The frameworks' wheels ask for no older a glibc or macOS.
PLATFORMS = {
    "manylinux_2_17_x86_64": "x86_64-linux-gnu.2.17",
    "manylinux_2_17_aarch64": "aarch64-linux-gnu.2.17",
    "macosx_11_0_arm64": "aarch64-macos.11.0",
    "macosx_11_0_x86_64": "x86_64-macos.11.0",
    "win_amd64": "x86_64-windows-gnu",
}

# The compiler may do nothing that changes bits: no fused multiply-add, no fast-math of any kind.
EXACT = ("-O3", "-fno-fast-math", "-fno-unsafe-math-optimizations")  # whatever CXX asks for
FLAGS = (
    *EXACT,
    *("-std=c++17", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off"),
    *("-fno-exceptions", "-fno-rtti"),  # nor does anything need the C++ library then
    "-g0",  # zig would add what debuggers read, and four times the size with it
)

# Elsewhere threads are the C library's, and a library's file name is all the name it has.
LINK_FLAGS = {
    "linux": ("-Wl,--as-needed", "-lpthread"),
    "macos": ("-Wl,-install_name,@rpath/lion_cpu.dylib",),
    "windows": (),
}

# update.cpp is compiled once for each set of instructions; lion_cpu.cpp chooses when it runs.
UPDATES: dict[str, dict[str, tuple[str, ...]]] = {
    "x86_64": {
        "updates_baseline": (),
        "updates_avx2": ("-mavx2", "-mf16c"),
        "updates_avx512": (
            *("-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl"),
            "-mf16c",
        ),
    },
    "aarch64": {"updates_baseline": ()},
}


class BuildError(Exception):
    """Why there is no library, in a line."""


class Target(NamedTuple):
    """What the library is built with, and for."""

    compiler: tuple[str, ...]
    processor: str
    system: str
    tag: str
    """The platform in the wheel's name."""


def asked_for(environment: Mapping[str, str]) -> str | None:
    """The platform that LION_REF_PLATFORM names, if it is set."""
    asked = environment.get("LION_REF_PLATFORM") or None
    if asked is not None and asked not in PLATFORMS:
        raise BuildError(f"LION_REF_PLATFORM is {asked!r}; legal: {', '.join(PLATFORMS)}")
    return asked


def another(tag: str) -> Target:
    """A platform that was asked for."""
    zig = PLATFORMS[tag]
    processor, system, *_ = zig.replace(".", "-").split("-")
    compiler = (sys.executable, "-m", "ziglang", "c++", "-nostdlib++", "-target", zig)
    return Target(compiler, processor, system, tag)


def this_machine(environment: Mapping[str, str]) -> Target:
    """The machine that builds. Its wheel needs its C library, so it is no manylinux wheel."""
    processor = {"amd64": "x86_64", "arm64": "aarch64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    if processor not in UPDATES:
        raise BuildError(f"it has no code for {processor}")
    system = {"darwin": "macos", "win32": "windows"}.get(sys.platform, "linux")
    try:
        given = shlex.split(environment.get("CXX", ""), posix=os.name != "nt")
    except ValueError as error:
        raise BuildError(f"CXX is {environment['CXX']!r}, which is no command: {error}") from error
    if given:
        compiler = tuple(given)
    else:
        # GCC on Windows does not align the stack for vectors of 256 bits.
        names = ("clang++",) if system == "windows" else ("c++", "g++", "clang++")
        found = next(
            filter(None, (shutil.which(x, path=environment.get("PATH")) for x in names)), None
        )
        if found is None:
            raise BuildError(f"there is no C++ compiler: CXX is not set, and no {', '.join(names)}")
        compiler = (found,)
    tags = {
        "linux": f"linux_{processor}",
        "macos": f"macosx_{platform.mac_ver()[0].partition('.')[0]}_0_{platform.machine()}",
        "windows": "win_amd64" if processor == "x86_64" else "win_arm64",
    }
    return Target(compiler, processor, system, tags[system])


def library_name(system: str) -> str:
    """The library's file name, which lion_cpu looks for."""
    return "lion_cpu" + {"macos": ".dylib", "windows": ".dll"}.get(system, ".so")


def sources_hash(kernel: Path) -> str:
    """What a library was built from: it answers lion_sources() with this."""
    found = hashlib.sha256(repr((FLAGS, UPDATES)).encode())
    for file in sorted([*kernel.glob("*.h"), *kernel.glob("*.cpp")]):
        found.update(file.name.encode() + b"\0" + file.read_bytes())
    return found.hexdigest()


def build(target: Target, kernel: Path, library: Path) -> None:
    """Compile and link the library."""
    try:
        _build(target, kernel, library)
    except OSError as error:
        raise BuildError(f"{error.filename} cannot be written: {error.strerror}") from error


def _build(target: Target, kernel: Path, library: Path) -> None:
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
        parts: dict[str, tuple[str | Path, ...]] = {
            "lion_cpu": (
                kernel / "lion_cpu.cpp",
                f'-DLION_SOURCES="{sources_hash(kernel)}"',
            )
        }
        for name, instructions in UPDATES[target.processor].items():
            parts[name] = (kernel / "update.cpp", f"-DUPDATES={name}", *instructions)
        objects = [f"{scratch}/{name}.o" for name in parts]
        with ThreadPoolExecutor() as pool:
            list(
                pool.map(
                    lambda part, to: _run(target.compiler, *FLAGS, "-c", *part, "-o", to),
                    parts.values(),
                    objects,
                )
            )
        linked = Path(scratch, library.name)
        _run(target.compiler, *EXACT, "-shared", *objects, *LINK_FLAGS[target.system], "-o", linked)
        linked.replace(library)  # at once: another process never reads half of it


def build_in_place(kernel: Path) -> Path:
    """Build for this machine beside the sources; what was there before, of any system, is gone."""
    for system in LINK_FLAGS:
        (kernel / library_name(system)).unlink(missing_ok=True)
    target = this_machine(os.environ)
    library = kernel / library_name(target.system)
    build(target, kernel, library)
    return library


def _run(compiler: tuple[str, ...], *arguments: str | Path) -> None:
    try:
        ran = subprocess.run(
            [*compiler, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            errors="replace",
        )
    except OSError as error:
        raise BuildError(f"{shlex.join(compiler)} cannot be run: {error.strerror}") from error
    if ran.returncode != 0:
        said = ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"]
        first = next((line for line in said if "error" in line), said[0])
        raise BuildError(f"{shlex.join(compiler)} failed: {first}")


def get_build_hook() -> type[BuildHookInterface[Any]]:
    """What hatchling asks for; without it, this file is a program that needs no hatchling."""
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    class KernelHook(BuildHookInterface[Any]):
        """Adds the library to a wheel, or builds it in place for an editable one."""

        def dependencies(self) -> list[str]:
            """What the build needs beside hatchling."""
            return ["ziglang>=0.14"] if os.environ.get("LION_REF_PLATFORM") else []

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Called before each build; `version` says of which kind."""
            kernel = Path(self.root, KERNEL)
            asked = asked_for(os.environ)
            try:
                if version == "editable":
                    build_in_place(kernel)
                    return
                target = another(asked) if asked else this_machine(os.environ)
                name = library_name(target.system)
                library = Path(self.root, "build", "kernel", target.tag, name)
                build(target, kernel, library)
            except BuildError as error:
                if asked:
                    raise
                self.app.display_warning(f"Without the CPU kernel, {without(error)}")
                return
            build_data["force_include"][str(library)] = f"lion_cpu/kernel/{name}"
            build_data["tag"] = f"py3-none-{target.tag}"
            build_data["pure_python"] = False

    return KernelHook


def without(error: BuildError) -> str:
    """What a missing library means to who wanted it."""
    return (
        f"since {error}. lion_torch works without it, with the same bits, and takes several times "
        "as long on a CPU."
    )


def main() -> None:
    """Build the library for this machine beside its sources."""
    try:
        library = build_in_place(Path(__file__).parent / KERNEL)
    except BuildError as error:
        sys.exit(f"No CPU kernel, {without(error)}")
    sys.stdout.write(f"built {library}\n")


if __name__ == "__main__":
    main()
