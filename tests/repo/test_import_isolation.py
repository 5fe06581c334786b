"""Importing one package imports no framework that it is not about.

Each import runs in a process of its own, which then says what it has loaded. A framework may
load others on its own account (TensorFlow imports JAX where there is one), so what counts is
what a package adds to the import of its own framework, and that it can do without the rest.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

import pytest

OWN = {
    "lion_ref": (),
    "lion_adapters": (),
    "lion_conformance": (),
    "lion_torch": ("torch",),
    "lion_jax": ("jax", "jaxlib", "optax"),
    "lion_tf": ("tensorflow", "keras"),
    "lion_array_api": ("array_api_compat",),
    "lion_cpu": (),
}
FRAMEWORKS = frozenset(
    {
        "array_api_strict",
        "cupy",
        "dask",
        "triton",
        # Not frameworks, but only some commands need them
        "hypothesis",
        "orbax",
        "pytest",
        "rich",
        "sklearn",
        *(framework for own in OWN.values() for framework in own),
    }
)
ADAPTERS = frozenset(OWN) - {"lion_ref", "lion_adapters", "lion_conformance", "lion_cpu"}


PROGRAM = """
import json, sys
from importlib.machinery import PathFinder

asked_for = set()

class Without:
    @staticmethod
    def find_spec(name, path=None, target=None):
        root = name.partition(".")[0]
        if root not in {absent!r}:
            return PathFinder.find_spec(name, path, target)
        asked_for.add(root)
        return None

def names():
    return {{name.partition(".")[0] for name in sys.modules}} | asked_for

sys.meta_path = [Without if finder is PathFinder else finder for finder in sys.meta_path]
for module in {first!r}:
    __import__(module)
before = names()
__import__({module!r})
print(json.dumps(sorted(names() - before)))
"""


def loaded(
    module: str, *, first: Collection[str] = (), absent: Collection[str] = (), path: str = ""
) -> set[str]:
    """The frameworks and adapters that importing `module` loads, once `first` are imported.

    Fails if an import does, for want of one of `absent`, say; who asks for one and does without
    would have loaded it.
    """
    program = PROGRAM.format(absent=sorted(absent), first=list(first), module=module)
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow")
    if path:
        environment["PYTHONPATH"] = os.pathsep.join([path, os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert ran.returncode == 0, ran.stderr
    names = set(json.loads(ran.stdout.splitlines()[-1]))
    return (names & (FRAMEWORKS | ADAPTERS)) - {*first, module}


def _need(frameworks: Iterable[str]) -> None:
    for framework in frameworks:
        if importlib.util.find_spec(framework) is None:
            pytest.skip(f"{framework} is not installed")


@pytest.mark.parametrize("package", sorted(OWN))
def test_a_package_neither_needs_nor_loads_another_framework(package: str) -> None:
    own = OWN[package]
    _need(own)
    others = {framework for frameworks in OWN.values() for framework in frameworks}
    absent = (others - set(own)) | (ADAPTERS - {package})
    assert loaded(package, first=own, absent=absent) == set()


@pytest.mark.parametrize("absent", [[], ["array_api_strict"]])
def test_a_module_that_imports_a_second_framework_is_found(
    tmp_path: Path, absent: list[str]
) -> None:
    """array-api-strict stands for the second framework: it is quick to import."""
    _need(["array_api_compat", "array_api_strict"])
    (tmp_path / "greedy.py").write_text(
        "import array_api_compat\n"
        "try:\n"
        "    import array_api_strict\n"
        "except ImportError:\n"
        "    pass\n",
        encoding="utf-8",
    )
    found = loaded("greedy", first=["array_api_compat"], absent=absent, path=str(tmp_path))
    assert found == {"array_api_strict"}


def test_a_module_that_needs_a_second_framework_is_found(tmp_path: Path) -> None:
    (tmp_path / "needy.py").write_text("import array_api_strict\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="No module named 'array_api_strict'"):
        loaded("needy", absent=["array_api_strict"], path=str(tmp_path))
