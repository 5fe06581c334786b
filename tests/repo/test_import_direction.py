"""Imports run one way: conformance → adapters → lion_ref.

The sources are read, not run, so that an import inside a function counts too, and so does one
that only happens on a machine with another framework installed.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
ADAPTERS = frozenset({"lion_torch", "lion_jax", "lion_tf", "lion_array_api"})


@dataclass(frozen=True)
class Rule:
    """The top-level modules a package may import, besides itself and the standard library."""

    anywhere: frozenset[str]
    lazily: frozenset[str] = frozenset()
    """Inside functions or for type checkers only, so that importing the package imports none."""


def _adapter(*framework: str) -> Rule:
    return Rule(frozenset({"numpy", "ml_dtypes", "lion_ref", *framework}))


# The longest matching prefix decides. A name of `None` is a folder that may import anything.
RULES: Mapping[str, Rule | None] = {
    "lion_ref": Rule(frozenset({"numpy", "ml_dtypes"})),
    "lion_adapters": Rule(frozenset({"numpy", "ml_dtypes", "lion_ref"}), lazily=ADAPTERS),
    "lion_torch": _adapter("torch", "triton"),
    "lion_jax": _adapter("jax", "jaxlib", "optax"),
    "lion_tf": _adapter("tensorflow", "keras"),
    "lion_array_api": _adapter("array_api_compat"),
    "lion_conformance": Rule(
        frozenset({"numpy", "ml_dtypes", "lion_ref", "hypothesis", "rich"}),
        # The handwritten digits that the tape of real gradients is recorded from.
        lazily=frozenset({"sklearn"}),
    ),
    "lion_conformance.pytest_plugin": Rule(
        frozenset({"numpy", "ml_dtypes", "lion_ref", "hypothesis", "rich", "pytest"})
    ),
    "lion_conformance.port_tests": Rule(
        frozenset({"numpy", "ml_dtypes", "lion_ref", "hypothesis", "rich", "pytest"})
    ),
    "lion_conformance.ports": None,
}


@dataclass(frozen=True)
class Import:
    """One imported module, by its top-level name."""

    top: str
    line: int
    lazy: bool


class _Imports(ast.NodeVisitor):
    def __init__(self) -> None:
        self.found: list[Import] = []
        self._lazy = 0

    def _add(self, name: str, node: ast.AST) -> None:
        line = getattr(node, "lineno", 0)
        self.found.append(Import(name.partition(".")[0], line, self._lazy > 0))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level == 0 and node.module is not None:  # a relative import stays inside
            self._add(node.module, node)

    def visit_Call(self, node: ast.Call) -> None:
        """`importlib.import_module("torch")` and `__import__("torch")` are imports as well."""
        called = node.func.attr if isinstance(node.func, ast.Attribute) else None
        called = node.func.id if isinstance(node.func, ast.Name) else called
        if called in {"import_module", "__import__", "importorskip"} and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                self._add(name.value, node)
        self.generic_visit(node)

    def _visit_lazily(self, node: ast.AST) -> None:
        self._lazy += 1
        self.generic_visit(node)
        self._lazy -= 1

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_lazily(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_lazily(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_lazily(node)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) not in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            self.generic_visit(node)
            return
        self._lazy += 1
        for statement in node.body:
            self.visit(statement)
        self._lazy -= 1
        for statement in node.orelse:
            self.visit(statement)


def imports(source: str) -> list[Import]:
    """Everything `source` imports, relative imports aside."""
    visitor = _Imports()
    visitor.visit(ast.parse(source))
    return visitor.found


def packages(root: Path) -> Iterator[Path]:
    """The folders that are shipped as packages."""
    yield root / "lion_ref"
    for shelf in ("adapters", "conformance"):
        yield from sorted(p for p in (root / shelf).glob("*") if any(p.rglob("*.py")))


def _rule(module: str) -> tuple[bool, Rule | None]:
    """Whether there is a rule for `module`, and the rule."""
    while module:
        if module in RULES:
            return True, RULES[module]
        module = module.rpartition(".")[0]
    return False, None


def violations(root: Path) -> list[str]:
    """Every import below `root` that runs the wrong way, as `file:line: what is wrong`."""
    wrong = []
    for package in packages(root):
        for file in sorted(package.rglob("*.py")):
            where = file.relative_to(root).as_posix()
            parts = file.relative_to(package.parent).with_suffix("").parts
            known, rule = _rule(".".join(parts))
            if not known:
                wrong.append(f"{where}:1: no rule says what {package.name} may import")
            if rule is None:
                continue
            for found in imports(file.read_text(encoding="utf-8")):
                if found.top in {package.name, *sys.stdlib_module_names, *rule.anywhere}:
                    continue
                if found.top not in rule.lazily:
                    wrong.append(f"{where}:{found.line}: {package.name} imports {found.top}")
                elif not found.lazy:
                    wrong.append(
                        f"{where}:{found.line}: {package.name} imports {found.top} "
                        "outside a function"
                    )
    return wrong


def test_imports_run_one_way() -> None:
    assert violations(ROOT) == []


def test_there_are_sources_to_read() -> None:
    missing = {"lion_ref", "lion_adapters", "lion_conformance", *ADAPTERS} - {
        package.name for package in packages(ROOT) if any(package.rglob("*.py"))
    }
    assert missing == set()


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("lion_ref/update.py", "import lion_torch", "1: lion_ref imports lion_torch"),
        ("lion_ref/update.py", "import torch.nn as nn", "1: lion_ref imports torch"),
        ("lion_ref/update.py", "def f():\n    from jax import numpy", "2: lion_ref imports jax"),
        ("lion_ref/update.py", "import scipy", "1: lion_ref imports scipy"),
        ("lion_ref/update.py", "import lion_conformance", "1: lion_ref imports lion_conformance"),
        ("adapters/lion_jax/x.py", "import lion_torch", "1: lion_jax imports lion_torch"),
        ("adapters/lion_jax/x.py", "import torch", "1: lion_jax imports torch"),
        ("adapters/lion_tf/x.py", "__import__('jax.numpy')", "1: lion_tf imports jax"),
        ("adapters/lion_tf/x.py", "import lion_adapters", "1: lion_tf imports lion_adapters"),
        (
            "adapters/lion_torch/x.py",
            "from lion_conformance import verify",
            "1: lion_torch imports lion_conformance",
        ),
        (
            "adapters/lion_adapters/x.py",
            "import lion_torch",
            "1: lion_adapters imports lion_torch outside a function",
        ),
        (
            "adapters/lion_adapters/x.py",
            "if TYPE_CHECKING:\n    import lion_tf\nelse:\n    import lion_jax",
            "4: lion_adapters imports lion_jax outside a function",
        ),
        ("adapters/lion_adapters/x.py", "import torch", "1: lion_adapters imports torch"),
        ("adapters/lion_new/x.py", "import numpy", "1: no rule says what lion_new may import"),
        (
            "conformance/lion_conformance/judge.py",
            "def f():\n    import lion_torch",
            "2: lion_conformance imports lion_torch",
        ),
        (
            "conformance/lion_conformance/cases/real.py",
            "import importlib\nimportlib.import_module('torch')",
            "2: lion_conformance imports torch",
        ),
        (
            "conformance/lion_conformance/judge.py",
            "import pytest",
            "1: lion_conformance imports pytest",
        ),
    ],
)
def test_an_import_the_wrong_way_is_found(
    tmp_path: Path, file: str, source: str, complaint: str
) -> None:
    _write(tmp_path, file, source)
    assert violations(tmp_path) == [f"{file}:{complaint}"]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("lion_ref/update.py", "import numpy as np, ml_dtypes, math\nfrom . import state"),
        ("adapters/lion_torch/x.py", "import torch\nfrom lion_ref import step\nimport lion_torch"),
        ("adapters/lion_adapters/x.py", "def pick():\n    import lion_torch"),
        ("adapters/lion_adapters/x.py", "if TYPE_CHECKING:\n    import lion_torch"),
        ("conformance/lion_conformance/cases.py", "import hypothesis\nimport lion_ref"),
        ("conformance/lion_conformance/ports/torch.py", "import torch\nimport lion_torch"),
        ("conformance/lion_conformance/pytest_plugin.py", "import pytest"),
    ],
)
def test_an_import_the_right_way_is_not(tmp_path: Path, file: str, source: str) -> None:
    _write(tmp_path, file, source)
    assert violations(tmp_path) == []


def _write(root: Path, file: str, source: str) -> None:
    path = root / file
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
