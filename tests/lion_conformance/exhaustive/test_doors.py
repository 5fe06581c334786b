"""All doors of all backends come to one hash, and those that flush to another; 1/4096 of each."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from lion_conformance.exhaustive import files
from lion_conformance.exhaustive.certificate import Certificate
from lion_conformance.exhaustive.question import DTYPES
from lion_conformance.ports.backends import BACKENDS
from lion_conformance.verdict.verdict import Verdict
from lion_ref import CANONICAL, Semantics
from tests.lion_conformance.exhaustive.commands import SLICE, run

pytestmark = [pytest.mark.clause("C5", "C6", "C18", "C33")]

FLUSH = Semantics(subnormals="flush")


def certificates(name: str, dtype: str, folder: Path) -> list[Certificate]:
    folder.mkdir()
    words = ("--dtype", dtype, "--slice", SLICE, "--jobs", 1, "--out", folder)
    assert run("exhaustive", "--backend", name, *words) == 0
    return [files.load(path) for path in sorted(folder.iterdir())]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, Semantics], str]:
    """The reference's own hashes."""
    folder, found = tmp_path_factory.mktemp("expected"), {}
    for dtype in DTYPES:
        for semantics, port in ((CANONICAL, "lion_ref:step"), (FLUSH, "declared")):
            name = port if ":" in port else f"tests.lion_conformance.exhaustive.ports:{port}"
            words = ("--dtype", dtype, "--slice", SLICE, "--jobs", 1, "--out", folder / "x.json")
            assert run("exhaustive", name, *words) == 0
            found[dtype, semantics] = files.load(folder / "x.json").hash
    return found


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        pytest.param(name, dtype, marks=pytest.mark.slow) if slow else (name, dtype)
        for name in BACKENDS
        for dtype in DTYPES
        # In bfloat16 the doors show more; what these compile anew for float16 takes longest.
        for slow in [dtype == "float16" and name in ("jax", "tensorflow")]
    ],
)
def test_all_doors_come_to_the_hash_of_their_semantics(
    name: str,
    dtype: str,
    expected: dict[tuple[str, Semantics], str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for package in BACKENDS[name].needs:
        pytest.importorskip(package)
    found = certificates(name, dtype, tmp_path / "doors")
    assert found
    for one in found:
        assert one.verdict in (Verdict.BIT_EXACT, Verdict.BIT_EXACT_AS)
        semantics = one.question.semantics
        if not semantics.step_stored:  # η·s rounded to θ's dtype: a hash of its own
            assert one.hash == expected[dtype, semantics], one.port
    said = capsys.readouterr().out
    strict = "not taken: lion_array_api, step, array-api-strict, does not take "
    assert (strict in said) == (name == "array-api")


def test_several_doors_have_files_in_a_folder(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    certificates("torch", "float16", tmp_path / "doors")
    assert sorted(x.name for x in (tmp_path / "doors").iterdir()) == [
        "lion_torch-optimizer-step-float16.json",
        "lion_torch-optimizer-step-foreach-false-float16.json",
        "lion_torch-optimizer-step-foreach-float16.json",
    ]


def test_a_dtype_that_the_only_door_does_not_take_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("array_api_strict")
    door = ("--backend", "array-api", "--door", "step, array-api-strict")
    with pytest.raises(ValueError, match=r"lion_array_api, step, array-api-strict, does not take"):
        run("exhaustive", *door, "--dtype", "float16", "--slice", SLICE, "--jobs", 1)


def test_in_bfloat16_alone_it_shows_who_flushes(
    expected: dict[tuple[str, Semantics], str],
) -> None:
    assert expected["float16", CANONICAL] == expected["float16", FLUSH]
    assert expected["bfloat16", CANONICAL] != expected["bfloat16", FLUSH]


def test_the_rule_for_subnormals_can_be_chosen(
    expected: dict[tuple[str, Semantics], str], tmp_path: Path
) -> None:
    words = ("--dtype", "bfloat16", "--slice", SLICE, "--jobs", 1, "--out", tmp_path)
    assert run("exhaustive", "--backend", "numpy", "--subnormals", "flush", *words) == 0
    (path,) = tmp_path.iterdir()
    assert path.name == "lion_ref-flushed-operation-by-operation-flush-bfloat16.json"
    assert files.load(path).hash == expected["bfloat16", FLUSH]


def test_a_program_comes_to_the_same_hash(
    expected: dict[tuple[str, Semantics], str], tmp_path: Path
) -> None:
    program = shlex.join([sys.executable, "-m", "tests.lion_conformance.exhaustive.piped"])
    words = ("--dtype", "bfloat16", "--slice", SLICE, "--jobs", 1, "--out", tmp_path / "x.json")
    assert run("exhaustive", "--exec", program, *words) == 0
    assert files.load(tmp_path / "x.json").hash == expected["bfloat16", CANONICAL]
