"""The wheel that users install, rather than the checkout that developers see.

In an editable install `import adapters` succeeds by accident, and a file that the wheel lacks is
still found. So the wheel is built (through the sdist, as a packager would), read, installed into
an empty folder and imported by an interpreter that sees that folder, NumPy and ml_dtypes alone.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hatch_build import KERNEL
from lion_conformance import starters
from tests.repo.wheels import ROOT, read, run_isolated

PACKAGES = frozenset(
    {
        "lion_adapters",
        "lion_array_api",
        "lion_conformance",
        "lion_cpu",
        "lion_jax",
        "lion_ref",
        "lion_tf",
        "lion_torch",
    }
)
EXTRAS = frozenset(
    {"torch", "jax", "tensorflow", "array-api", "conformance", "prove", "all", "dev"}
)
UNCONDITIONAL = frozenset({"numpy", "ml-dtypes"})


# What is in the files


def file_faults(wheel: Path) -> list[str]:
    """What should not be in the wheel, and what is missing from it."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    dist_info = {top for top in tops if top.endswith(".dist-info")}
    return [
        *(f"{top} is not a declared package" for top in sorted(tops - dist_info - PACKAGES)),
        *(f"{package} is missing" for package in sorted(PACKAGES - tops)),
        *(
            f"{package} has no py.typed"
            for package in sorted(PACKAGES & tops)
            if f"{package}/py.typed" not in names
        ),
        *(f"{name} is a leftover" for name in names if "__pycache__" in name),
        *(
            f"{file} is missing"
            for file in ("licenses/LICENSE", "entry_points.txt")
            if not any(f"{info}/{file}" in names for info in dist_info)
        ),
    ]


def _zip(path: Path, names: list[str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return path


GOOD_FILES = [
    *(f"{package}/{file}" for package in PACKAGES for file in ("__init__.py", "py.typed")),
    "lion_ref-0.1.0.dist-info/licenses/LICENSE",
    "lion_ref-0.1.0.dist-info/entry_points.txt",
]


def test_the_wheel_holds_the_declared_packages_and_nothing_else(wheel: Path) -> None:
    assert file_faults(wheel) == []


def starter_faults(names: list[str]) -> list[str]:
    """The files of starters that a wheel lacks, those in hidden folders too."""
    home = "lion_conformance/data/starters"
    wanted = [f"{home}/{x}/{name}" for x, files in starters.FILES.items() for name in files]
    return [name for name in wanted if name not in names]


def test_the_wheel_holds_every_starter(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert starter_faults(names) == []
    hidden = [name for name in names if "/.github/" in name]
    assert starter_faults([name for name in names if name not in hidden]) == [
        f"lion_conformance/data/starters/{x}/{starters.WORKFLOW}" for x in starters.FILES
    ]


def test_the_declared_packages_are_those_in_the_tree() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    declared = config["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    in_tree = {
        file.parent.relative_to(ROOT).as_posix()
        for pattern in ("lion_*", "adapters/*", "conformance/*")
        for file in ROOT.glob(f"{pattern}/__init__.py")
    }
    assert set(declared) == in_tree
    assert {Path(package).name for package in declared} == PACKAGES


@pytest.mark.parametrize(
    ("extra", "lacking", "expected"),
    [
        ([], [], []),
        (["adapters/lion_new/__init__.py"], [], ["adapters is not a declared package"]),
        (["conformance/__init__.py"], [], ["conformance is not a declared package"]),
        (["tests/test_x.py"], [], ["tests is not a declared package"]),
        (["setup.py"], [], ["setup.py is not a declared package"]),
        ([], ["lion_tf/py.typed"], ["lion_tf has no py.typed"]),
        ([], ["lion_tf/py.typed", "lion_tf/__init__.py"], ["lion_tf is missing"]),
        ([], ["lion_ref-0.1.0.dist-info/entry_points.txt"], ["entry_points.txt is missing"]),
        (["lion_ref/__pycache__/x.pyc"], [], ["lion_ref/__pycache__/x.pyc is a leftover"]),
    ],
)
def test_a_wheel_with_the_wrong_files_is_found(
    tmp_path: Path, extra: list[str], lacking: list[str], expected: list[str]
) -> None:
    names = [name for name in GOOD_FILES + extra if name not in lacking]
    assert file_faults(_zip(tmp_path / "x.whl", names)) == expected


def test_the_sdist_holds_what_a_packager_needs_and_no_leftovers(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tops = {name.partition("/")[0] for name in names}
    assert {"lion_ref", "adapters", "conformance", "tests"} <= tops
    assert {"pyproject.toml", "LICENSE", "README.md", "SPEC.md", "Makefile"} <= tops
    assert {"constraints.txt", "CHANGELOG.md", "CONTRIBUTING.md", "hatch_build.py"} <= tops
    kernel = {name for name in names if name.startswith(f"{KERNEL.as_posix()}/")}
    assert {Path(name).suffix for name in kernel} == {".cpp", ".h"}
    assert not tops & {".git", ".venv", "build", "dist", ".hypothesis", ".mypy_cache"}
    assert not [name for name in names if "__pycache__" in name]


# What is in the metadata


def metadata_faults(metadata: str) -> list[str]:
    """What the METADATA file asks of a user that it should not, or fails to offer."""
    message = message_from_string(metadata)
    requirements = [Requirement(text) for text in message.get_all("Requires-Dist", [])]
    unconditional = {
        re.sub(r"[-_.]+", "-", requirement.name).lower()
        for requirement in requirements
        if requirement.marker is None or "extra" not in str(requirement.marker)
    }
    extras = set(message.get_all("Provides-Extra", []))
    return [
        *(f"{name} is needed by everyone" for name in sorted(unconditional - UNCONDITIONAL)),
        *(f"{name} is not asked for" for name in sorted(UNCONDITIONAL - unconditional)),
        *(f"no extra {extra}" for extra in sorted(EXTRAS - extras)),
        *(f"unknown extra {extra}" for extra in sorted(extras - EXTRAS)),
        *(f"{r.name} comes from a URL" for r in requirements if r.url),
        *(
            f"{key} is {message[key]!r}, not {value!r}"
            for key, value in (
                ("Name", "lion-ref"),
                ("License-Expression", "Apache-2.0"),
                ("Requires-Python", ">=3.11"),
            )
            if message[key] != value
        ),
    ]


GOOD_METADATA = "\n".join(
    [
        "Metadata-Version: 2.4",
        "Name: lion-ref",
        "License-Expression: Apache-2.0",
        "Requires-Python: >=3.11",
        *(f"Provides-Extra: {extra}" for extra in EXTRAS),
        "Requires-Dist: ml_dtypes>=0.5",
        "Requires-Dist: numpy>=2.0",
        "Requires-Dist: torch; extra == 'torch'",
        "Requires-Dist: triton; (platform_system == 'Linux') and extra == 'dev'",
    ]
)


def test_the_metadata_asks_for_numpy_and_ml_dtypes_alone(wheel: Path) -> None:
    assert metadata_faults(read(wheel, "METADATA")) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", []),
        ("torch; extra == 'torch'", "torch", ["torch is needed by everyone"]),
        ("; extra == 'torch'", "; python_version < '4'", ["torch is needed by everyone"]),
        ("ml_dtypes>=0.5", "numpy", ["ml-dtypes is not asked for"]),
        ("Provides-Extra: jax", "X-Other: jax", ["no extra jax"]),
        ("Provides-Extra: jax", "Provides-Extra: cuda", ["no extra jax", "unknown extra cuda"]),
        ("torch;", "torch @ https://example.org/torch.whl ;", ["torch comes from a URL"]),
        ("Name: lion-ref", "Name: lion", ["Name is 'lion', not 'lion-ref'"]),
    ],
)
def test_wrong_metadata_is_found(old: str, new: str, expected: list[str]) -> None:
    assert metadata_faults(GOOD_METADATA.replace(old, new, 1)) == expected


def test_the_command_is_declared_and_leads_to_a_function(
    wheel: Path, installed: list[Path]
) -> None:
    points = configparser.ConfigParser()
    points.read_string(read(wheel, "entry_points.txt"))
    assert dict(points["console_scripts"]) == {
        "lion-conformance": "lion_conformance.guard:main",
        "lion-ref": "lion_adapters.command:main",
    }
    ran = run_isolated(installed, "from lion_conformance.guard import main\nassert callable(main)")
    assert ran.returncode == 0, ran.stderr


def test_pytest_finds_the_plugin_of_the_wheel(
    wheel: Path, installed: list[Path], tmp_path: Path
) -> None:
    points = configparser.ConfigParser()
    points.read_string(read(wheel, "entry_points.txt"))
    assert dict(points["pytest11"]) == {"lion-conformance": "lion_conformance.pytest_plugin"}
    (tmp_path / "my_lion.py").write_text("from lion_ref import step\n")
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v"),
            *("--lion-port", "my_lion:step", "--lion-dtype", "float32"),
            *("--lion-max-examples", "1", "-k", "writes"),
        ],
        cwd=tmp_path,
        env=dict(os.environ, PYTHONPATH=str(installed[0])),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "lion-port/my_lion:step::float32::writes to no input PASSED" in ran.stdout


# What it does once installed


@pytest.mark.parametrize("package", ["lion_ref", "lion_adapters", "lion_conformance"])
def test_it_imports_with_numpy_alone(installed: list[Path], package: str) -> None:
    ran = run_isolated(installed, f"import {package}\nprint({package}.__file__)")
    assert ran.returncode == 0, ran.stderr
    assert Path(ran.stdout.strip()).is_relative_to(installed[0])


def test_the_installed_judge_explains_every_cause(installed: list[Path]) -> None:
    """From pages of its own: there is no checkout beside it."""
    program = (
        "from lion_conformance.report.explanation import explanation, listed\n"
        "from lion_conformance.verdict.code import Code\n"
        "print(listed(), *map(explanation, Code), sep='\\n')\n"
    )
    ran = run_isolated(installed, program)
    assert ran.returncode == 0, ran.stderr
    pages = ROOT / "docs" / "reference" / "causes"
    titles = {x.read_text(encoding="utf-8").splitlines()[0] for x in pages.glob("*-*.md")}
    assert {title.removeprefix("# ") for title in titles} <= set(ran.stdout.splitlines())


def test_the_installed_reference_takes_a_step(installed: list[Path]) -> None:
    program = (
        "import numpy as np, lion_ref\n"
        "x = np.ones(3, np.float32)\n"
        "param, momentum = lion_ref.step(x, x, x, lr=0.5)\n"
        "print(param.tolist())\n"
    )
    ran = run_isolated(installed, program)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "[0.5, 0.5, 0.5]"


@pytest.mark.parametrize(
    "module", ["adapters", "conformance", "tests", "torch", "jax", "tensorflow", "hypothesis"]
)
def test_the_isolation_would_show_a_missing_module(installed: list[Path], module: str) -> None:
    """Neither the checkout nor the environment is in reach, so the tests above can fail."""
    ran = run_isolated(installed, f"import {module}")
    assert ran.returncode == 1
    assert f"No module named '{module}'" in ran.stderr
