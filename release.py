"""The checklist of a release, as a program: `python release.py`; exit status 0 if all of it holds.

1. Nothing is uncommitted, and one version stands everywhere.
2. `make dist` builds and checks what is published.
3. Each extra is installed from that wheel into an empty environment, on each Python that is found,
   and the doctests of its packages run there.

What could not be had is said with its reason, and does not count as done. `--sums DIR` only holds
the files of a folder to the version, and writes their SHA256SUMS, as `make dist` ends.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PYTHONS = ("3.11", "3.12", "3.13")
SUMS = "SHA256SUMS"

ALWAYS = ("lion_ref", "lion_cpu", "lion_adapters", "lion_conformance")
EXTRAS: dict[str, tuple[str, ...]] = {
    "": (),
    "array-api": ("lion_array_api",),
    "conformance": (),
    "prove": (),
    "jax": ("lion_jax",),
    "torch": ("lion_torch",),
    "tensorflow": ("lion_tf",),
}
"""Each extra, "" for none of them, with the packages that it is for."""

HUGE = ("nvidia-", "cuda-")
"""What begins so comes with a framework's build for GPUs: gigabytes that no doctest needs."""


SHOWN = 8
"""So many faults of one kind are told."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one thing to check."""

    word: str
    """ok, failed, or not run."""
    why: str = ""


OK = Result("ok")


# --- versions ----------------------------------------------------------------------------------


def text(name: str, root: Path = ROOT) -> str:
    """A file of the repository; empty if there is none."""
    path = root / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


def found(pattern: str, where: str) -> str:
    """What the first group of a pattern matches in a text; empty if nothing does."""
    match = re.search(pattern, where, re.MULTILINE)
    return match[1] if match else ""


def package_version(root: Path = ROOT) -> str:
    """The version of the package, from where it is written."""
    return found(r'^__version__ = "([^"]+)"$', text("lion_ref/__init__.py", root))


def version_faults(root: Path = ROOT) -> Iterator[str]:
    """Where another version stands than the package's, or the specification's."""
    version = package_version(root)
    changes = text("CHANGELOG.md", root)
    heading = found(r"^## \[([^\]]+)\]", changes)
    if heading != version:
        yield f"CHANGELOG.md begins with [{heading}]; legal: [{version}], with its date"
    cited = found(r'^version: "?([^"\n]+)"?$', text("CITATION.cff", root))
    if cited != version:
        yield f"CITATION.cff has version {cited!r}; legal: {version!r}"
    dated = found(r'^date-released: "?([^"\n]+)"?$', text("CITATION.cff", root))
    date = found(r"^## \[[^\]]+\] - (\d{4}-\d\d-\d\d)$", changes)
    if heading == version and dated != date:
        yield f"CITATION.cff is dated {dated!r}, CHANGELOG.md {date!r}; legal: the same date"
    for page in sorted(root.glob("docs/how-to/*.md")):
        asked = re.findall(r"(?:lion-ref@|rev: )v(\S+)", page.read_text(encoding="utf-8"))
        yield from (f"{page.name} asks for v{x}; legal: v{version}" for x in asked if x != version)
    in_code = found(r"^SPEC_VERSION = (\d+)$", text("lion_ref/__init__.py", root))
    in_spec = found(r"\A# SPEC: .*\n\nVersion (\d+)\. ", text("SPEC.md", root))
    if in_code != in_spec or not in_code:
        yield f"SPEC.md has version {in_spec!r}, lion_ref.SPEC_VERSION is {in_code!r}"
    if f"version {in_spec} of SPEC.md" not in changes:
        yield f"CHANGELOG.md does not say 'version {in_spec} of SPEC.md'"


def file_faults(names: Iterable[str], version: str) -> Iterator[str]:
    """What is in a folder of distributions that is none of this version, and what is missing."""
    listed = [name for name in names if name != SUMS]
    for name in listed:
        if not re.match(rf"lion[_-](ref|vectors)-{re.escape(version)}(-|\.tar\.gz$|\.zip$)", name):
            yield f"{name} is not of version {version}"
    for suffix in (".tar.gz", ".whl", ".zip"):
        if not any(name.endswith(suffix) for name in listed):
            yield f"there is no {suffix} file"


def write_sums(folder: Path) -> None:
    """SHA256SUMS, as `sha256sum --check` reads it."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.name != SUMS
    ]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


# --- environments ------------------------------------------------------------------------------


def run(command: Sequence[str | Path], cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a program outside any environment that this one runs in."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env={name: value for name, value in os.environ.items() if name not in hidden},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def interpreters(asked: Sequence[str] = PYTHONS) -> dict[str, Path | None]:
    """For each minor version an interpreter that starts, of PATH or of pyenv, by its version."""
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    chosen: dict[str, Path | None] = {}
    for minor in asked:
        on_path = shutil.which(f"python{minor}")
        paths = [*([Path(on_path)] if on_path else []), *home.glob(f"{minor}.*/bin/python")]
        known = {version_of(path): path for path in reversed(paths)}
        fitting = [version for version in known if version.startswith(f"{minor}.")]
        chosen |= {fitting[-1]: known[fitting[-1]]} if fitting else {minor: None}
    return chosen


def version_of(python: Path) -> str:
    """The version of an interpreter; empty if it does not start, as a shim of pyenv's may not."""
    said = run([python, "-c", "import platform; print(platform.python_version())"])
    return said.stdout.strip() if said.returncode == 0 else ""


def too_large(report: str) -> list[str]:
    """Of what pip would install by its own report, what belongs to a build for GPUs."""
    names = [item["metadata"]["name"].lower() for item in json.loads(report)["install"]]
    return sorted(name for name in names if name.startswith(HUGE))


def last_line(output: str) -> str:
    """What a program said last, which is what went wrong, as a cell of a table can hold it."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["it said nothing"])[-1].replace("|", "/")[:160]


def judged(python: Path, wheel: Path, extra: str) -> Result:
    """Install an extra into an empty environment and run the doctests of its packages there."""
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        made = run([python, "-m", "venv", here / "venv"], here)
        if made.returncode != 0:
            return Result("not run", last_line(made.stderr))
        inside = here / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
        pip: list[str | Path] = [
            inside,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "-q",
            "install",
        ]
        what: list[str | Path] = [
            f"{wheel}[{extra}]" if extra else str(wheel),
            "pytest",
            "-c",
            ROOT / "constraints.txt",
        ]
        planned = run([*pip, "--dry-run", "--report", here / "plan.json", *what], here)
        if planned.returncode != 0:
            return Result("not run", last_line(planned.stderr))
        huge = too_large((here / "plan.json").read_text(encoding="utf-8"))
        if huge:
            return Result("not run", f"pip brings a build for GPUs ({huge[0]} and more)")
        installed = run([*pip, *what], here)
        if installed.returncode != 0:
            return Result("failed", last_line(installed.stderr))
        return doctests(inside, [*ALWAYS, *EXTRAS[extra]], here)


def doctests(python: Path, packages: Sequence[str], folder: Path) -> Result:
    """The doctests of installed packages; a module of a framework that is not there is left out."""
    options = [
        "-q",
        "--doctest-modules",
        "--doctest-ignore-import-errors",
        "-p",
        "no:cacheprovider",
    ]
    ran = run([python, "-m", "pytest", *options, "--pyargs", *packages], folder)
    said = found(r"^(\d+ passed)", ran.stdout)
    if ran.returncode != 0 or not said:
        return Result("failed", last_line(ran.stdout + ran.stderr))
    return Result("ok", said)


# --- the list ----------------------------------------------------------------------------------


def of_faults(faults: Iterable[str]) -> Result:
    """A failure for whatever was found."""
    listed = list(faults)
    more = f"; and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return Result("failed", "; ".join(listed[:SHOWN]) + more) if listed else OK


def built(variables: Sequence[str]) -> Result:
    """`make dist`, with variables such as PY=…."""
    ran = run(["make", "dist", *variables])
    return OK if ran.returncode == 0 else Result("failed", last_line(ran.stdout + ran.stderr))


def table(rows: dict[str, dict[str, Result]]) -> str:
    """Extras by Pythons as a table in Markdown, and below it why something was not done."""
    pythons = list(next(iter(rows.values()), {}))
    lines = [
        "| installed from the wheel | " + " | ".join(pythons) + " |",
        "|---" * (len(pythons) + 1) + "|",
    ]
    whys = []
    for extra, results in rows.items():
        name = f"`lion-ref[{extra}]`" if extra else "`lion-ref`"
        cells = [x.why if x.word == "ok" and x.why else x.word for x in results.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
        whys += [
            f"- {name} on {python}: {result.word}: {result.why}"
            for python, result in results.items()
            if result.word != "ok"
        ]
    return "\n".join([*lines, *([""] if whys else []), *whys])


def main(arguments: Sequence[str] | None = None) -> int:
    """Go through the list; 0: all of it holds, 1: something failed, 2: something was not run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sums", type=Path, metavar="DIR", help="only write SHA256SUMS")
    parser.add_argument("--built", type=Path, metavar="DIR", help="take what was built, of DIR")
    parser.add_argument("--make", nargs="*", default=[], metavar="X=Y", help="for make dist: PY=…")
    parser.add_argument("--python", action="append", metavar="3.X", help="repeatable")
    parser.add_argument("--extra", action="append", choices=list(EXTRAS), help="repeatable")
    parsed = parser.parse_args(arguments)
    if parsed.sums is not None:
        wrong = list(file_faults([x.name for x in parsed.sums.iterdir()], package_version()))
        if not wrong:
            write_sums(parsed.sums)
        return _print(wrong)
    return _checklist(parsed)


def _print(lines: Sequence[str]) -> int:
    for line in lines:
        print(line)
    return 1 if lines else 0


def status(results: Iterable[Result]) -> int:
    """The exit status; what was not run is not done."""
    words = {result.word for result in results}
    return 1 if "failed" in words else 2 if "not run" in words else 0


def _checklist(parsed: argparse.Namespace) -> int:
    changed = run(["git", "status", "--porcelain"])
    listed = changed.stdout.splitlines()
    results = {
        "nothing uncommitted": of_faults(listed if changed.returncode == 0 else ["no repository"]),
        "one version": of_faults(version_faults()),
        "`make dist`": built(parsed.make) if parsed.built is None else OK,
    }
    for name, result in results.items():
        print(f"{name}: {result.word}" + (f": {result.why}" if result.why else ""), flush=True)
    wheels = (
        sorted((parsed.built or ROOT / "dist").resolve().glob("*.whl"))
        if results["`make dist`"] is OK
        else []
    )
    pythons = interpreters(parsed.python or PYTHONS)
    rows: dict[str, dict[str, Result]] = {}
    for extra in parsed.extra or EXTRAS:
        rows[extra] = {}
        for version, python in pythons.items():
            if python is None or not wheels:
                result = Result("not run", "no such interpreter" if wheels else "there is no wheel")
            else:
                result = judged(python, wheels[0], extra)
            rows[extra][version] = result
            print(f"{extra or 'no extra'} on {version}: {result.word}: {result.why}", flush=True)
    print("\n" + table(rows))
    return status([*results.values(), *(x for row in rows.values() for x in row.values())])


if __name__ == "__main__":
    sys.exit(main())
