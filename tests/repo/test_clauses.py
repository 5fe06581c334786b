"""Every clause of SPEC.md has tests that carry its number, and no test carries another.

The markers are read from the sources rather than collected by running pytest: a test that is
skipped here, for want of a framework or a GPU, still holds its clause elsewhere.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLAUSE = re.compile(r"^### (C\d+)\. ", re.MULTILINE)


@dataclass
class Carried:
    """Which clauses the tests below a folder carry, and where."""

    where: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    unreadable: list[str] = field(default_factory=list)
    """Markers whose clauses are not plain strings: nobody could find them by searching."""


def clauses(spec: str) -> list[str]:
    """The numbers of the clauses, in the specification's order."""
    return CLAUSE.findall(spec)


def carried(tests: Path) -> Carried:
    """Read the `pytest.mark.clause(...)` of every test file below `tests`."""
    result = Carried()
    for file in sorted(tests.rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and _is_marker(node.func)):
                continue
            where = f"{file.relative_to(tests).as_posix()}:{node.lineno}"
            for argument in node.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    result.where[argument.value].append(where)
                else:
                    result.unreadable.append(f"{where}: {ast.unparse(argument)}")
            if not node.args:
                result.unreadable.append(f"{where}: no clause")
    return result


def _is_marker(node: ast.expr) -> bool:
    return ast.unparse(node) in {"pytest.mark.clause", "mark.clause"}


def faults(spec: str, tests: Path) -> list[str]:
    """What does not fit between the specification and the tests."""
    numbers = clauses(spec)
    found = carried(tests)
    return [
        *(f"{n}: numbered twice" for n in sorted({n for n in numbers if numbers.count(n) > 1})),
        *(f"{n}: no test carries it" for n in dict.fromkeys(numbers) if n not in found.where),
        *(
            f"{n}: no such clause, but {where} carries it"
            for n, places in sorted(found.where.items())
            if n not in numbers
            for where in places
        ),
        *(f"{marker}: a marker names clauses as strings" for marker in found.unreadable),
    ]


def test_every_clause_has_tests() -> None:
    assert faults((ROOT / "SPEC.md").read_text(encoding="utf-8"), ROOT / "tests") == []


def test_the_specification_has_clauses() -> None:
    """Without this, a change to the headings would leave nothing to look for."""
    numbers = clauses((ROOT / "SPEC.md").read_text(encoding="utf-8"))
    assert len(numbers) > 10
    assert numbers == [f"C{i}" for i in range(1, len(numbers) + 1)]


SPEC = "# Spec\n\n### C1. Equations\n\n### C2. Dtypes\n\nText: ### C9. no heading\n"


@pytest.mark.parametrize(
    ("spec", "test", "expected"),
    [
        (SPEC, "@pytest.mark.clause('C1', 'C2')\ndef test_x(): ...", []),
        (SPEC, "pytestmark = [pytest.mark.clause('C1'), pytest.mark.clause('C2')]", []),
        (SPEC, "@pytest.mark.clause('C1')\ndef test_x(): ...", ["C2: no test carries it"]),
        (SPEC, "# pytest.mark.clause('C2')\npytest.mark.clause('C1')", ["C2: no test carries it"]),
        (
            SPEC,
            "pytest.mark.clause('C1')\n\npytest.mark.clause('C2', 'C3')",
            ["C3: no such clause, but lion_ref/test_x.py:3 carries it"],
        ),
        (
            SPEC,
            "pytest.mark.clause('C1', 'C2', number)",
            ["lion_ref/test_x.py:1: number: a marker names clauses as strings"],
        ),
        (
            SPEC,
            "pytest.mark.clause('C1', 'C2')\npytest.mark.clause()",
            ["lion_ref/test_x.py:2: no clause: a marker names clauses as strings"],
        ),
        (SPEC + "\n### C2. Again\n", "pytest.mark.clause('C1', 'C2')", ["C2: numbered twice"]),
    ],
)
def test_a_clause_and_its_tests_that_do_not_fit_are_found(
    tmp_path: Path, spec: str, test: str, expected: list[str]
) -> None:
    file = tmp_path / "lion_ref" / "test_x.py"
    file.parent.mkdir()
    file.write_text(test, encoding="utf-8")
    assert faults(spec, tmp_path) == expected
