"""Imports run one way: the contracts of pyproject.toml, held by import-linter.

They count an import inside a function too, and one that only happens on a machine with another
framework installed. What `importlib` imports by a name is not theirs to see.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.repo.rooms import BLOCK, PAGE, picture

ROOT = Path(__file__).parents[2]
SHELVES = (".", "adapters", "conformance")
CONFIGURATION: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS: list[dict[str, Any]] = CONFIGURATION["tool"]["importlinter"]["contracts"]

BAD = {
    "packages": {
        "lion_ref/update.py": "import lion_torch.declared",
        "adapters/lion_cpu/library.py": "import lion_jax.kernel",
        "adapters/lion_jax/kernel.py": "import lion_tf.kernel",
        "adapters/lion_tf/kernel.py": "def f():\n    import lion_adapters.backends",
        "adapters/lion_torch/optimizer.py": "from lion_conformance import verify",
    },
    "adapters": {
        "conformance/lion_conformance/verdict/tally.py": "def f():\n    import lion_torch",
        "conformance/lion_conformance/runner.py": "import lion_adapters",
    },
    "kernel": {"conformance/lion_conformance/verdict/tally.py": "import lion_cpu"},
    "rooms": {
        "conformance/lion_conformance/ports/offers.py": "import lion_conformance.cases.case",
        "conformance/lion_conformance/vectors/pool.py": "import lion_conformance.verdict.verdict",
        "conformance/lion_conformance/new_room.py": "",
    },
    "values": {
        "conformance/lion_conformance/report/findings.py": "import lion_conformance.report.table"
    },
    "formats": {
        "conformance/lion_conformance/diagnosis/search.py": "import lion_conformance.report.table",
        "conformance/lion_conformance/diagnosis/probes.py": "import lion_conformance.report.plot",
    },
    "circles": {"lion_ref/dtypes.py": "import lion_ref.acceptance"},
    "torch": {
        "lion_ref/semantics.py": "def f():\n    import torch.nn as nn",
        "conformance/lion_conformance/ports/protocol.py": "import torch",
    },
    "jax": {"adapters/lion_torch/rounding.py": "from jax import numpy"},
    "tensorflow": {"adapters/lion_adapters/arrays.py": "import tensorflow"},
    "array-api": {"conformance/lion_conformance/checks.py": "import array_api_compat"},
    "namespaces": {"adapters/lion_array_api/kernel.py": "import dask.array"},
    "pytest": {"conformance/lion_conformance/cli.py": "import pytest"},
    "hypothesis": {"conformance/lion_conformance/runs/tape.py": "import hypothesis"},
    "jsonschema": {"conformance/lion_conformance/report/as_json.py": "import jsonschema"},
    "bitwuzla": {"conformance/lion_conformance/proof/cases.py": "import bitwuzla"},
    "rich": {"conformance/lion_conformance/report/as_json.py": "import rich"},
    "distributed": {"conformance/lion_conformance/exhaustive/spread.py": "import distributed"},
    "sklearn": {"conformance/lion_conformance/runs/script.py": "import sklearn.datasets"},
}
"""For each contract what breaks it: lines to be added to a file."""

PUBLISHED = "conformance/lion_conformance/ports/published/"
"""Whose files may name a module in a string: one that is imported without its packages."""

TOLD_SHORT = ("lion_ref/dtypes.py", "conformance/lion_conformance/new_room.py")


def lint(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What import-linter says of a tree."""
    path = os.pathsep.join(str(root / shelf) for shelf in SHELVES)
    return subprocess.run(
        [sys.executable, "-c", "import importlinter.cli as x; x.lint_imports_command()", *options],
        cwd=root,
        env=dict(os.environ, PYTHONPATH=path, COLUMNS="400", NO_COLOR="1"),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is said of each contract in a copy in which all are broken."""
    root = tmp_path_factory.mktemp("tree")
    for shelf in ("lion_ref", *SHELVES[1:]):
        shutil.copytree(ROOT / shelf, root / shelf, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    for files in BAD.values():
        for file, lines in files.items():
            with (root / file).open("a", encoding="utf-8") as sources:
                sources.write(f"\n{lines}\n")
    found = lint(root, "--no-cache")
    assert found.returncode == 1
    _, *parts = re.split(r"\n([^\n]+)\n-{20,}\n", found.stdout.partition("\nBroken contracts\n")[2])
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_imports_run_one_way() -> None:
    found = lint(ROOT, "--no-cache")
    assert found.returncode == 0, found.stdout
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in found.stdout


def test_every_package_that_is_shipped_is_under_the_contracts() -> None:
    shipped = CONFIGURATION["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    listed = CONFIGURATION["tool"]["importlinter"]["root_packages"]
    assert sorted(Path(x).name for x in shipped) == sorted(listed)


def test_every_contract_has_an_import_that_breaks_it() -> None:
    assert [contract["id"] for contract in CONTRACTS] == list(BAD)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda x: str(x["id"]))
def test_an_import_the_wrong_way_is_found(contract: dict[str, Any], broken: dict[str, str]) -> None:
    details = broken[contract["name"]]
    for file in BAD[contract["id"]]:
        module = file.removesuffix(".py").replace("/", ".")
        module = re.sub(r"^(adapters|conformance)\.", "", module)
        # A circle, and a room that no layer names, are told by the name within their package.
        shown = module.rpartition(".")[2] if file in TOLD_SHORT else module
        assert shown in details, details


def test_what_is_imported_from_elsewhere_has_a_contract() -> None:
    """All but NumPy and ml_dtypes; a published port may import the library that it drives."""
    import grimp

    packages = CONFIGURATION["tool"]["importlinter"]["root_packages"]
    graph = grimp.build_graph(*packages, include_external_packages=True, cache_dir=None)
    known = {"numpy", "ml_dtypes", *sys.stdlib_module_names}
    for contract in CONTRACTS:
        known |= set(contract.get("protected_modules", ()))
    unknown = {
        module: importers
        for module in graph.modules
        if graph.is_module_squashed(module) and module not in known
        for importers in [graph.find_modules_that_directly_import(module)]
        if not all(x.startswith("lion_conformance.ports.published.") for x in importers)
    }
    assert unknown == {}


def test_no_module_is_imported_by_a_name_that_is_written_out() -> None:
    """Such an import would be none to import-linter."""
    named = re.compile(r"(?:import_module|__import__|bare_import)\(\s*f?[\"'](?!\{__)")
    files = [p for shelf in ("lion_ref", *SHELVES[1:]) for p in (ROOT / shelf).rglob("*.py")]
    found = [x.relative_to(ROOT) for x in files if named.search(x.read_text(encoding="utf-8"))]
    assert [x for x in found if not x.as_posix().startswith(PUBLISHED)] == []
    assert found  # timm's, at least
    assert named.search('importlib.import_module("torch")')


def missing(page: str) -> list[str]:
    """The files and modules of lion_conformance that a page names and that there are not."""
    package = ROOT / "conformance" / "lion_conformance"
    rooms = "|".join(x.name for x in package.iterdir() if (x / "__init__.py").exists())
    files = re.findall(r"`((?:\w+/)*\w+\.(?:py|toml))`", page)
    files += [f"{room}/{x}.py" for room, x in re.findall(rf"`({rooms})\.(\w+)", page)]
    return [
        x
        for x in files
        if not any((root / x).exists() for root in (ROOT, ROOT / "adapters", package))
    ]


def test_the_architecture_names_what_there_is_and_shows_its_imports() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert missing(page) == []
    assert missing("`verdict.jury` and `runs/sprint.py`") == ["runs/sprint.py", "verdict/jury.py"]
    shown = BLOCK.search(page)
    assert shown is not None
    assert shown[0] == picture(), "python -m tests.repo.rooms"
