"""The ids that pytest prints of a port's checks, given back to it."""

from __future__ import annotations

import pytest

from lion_conformance.checks import Check
from tests.lion_conformance.plugged import PLUGIN, prepared

pytestmark = pytest.mark.clause("C29")
pytest_plugins = ["pytester"]

RIGHT = "lion-port/ports:right"
ANY = ("--lion-port", "ports:right", "--lion-dtype", "float32")
FUSED = "lion-port/ports:fused::float32::real gradients"
OWN = "test_own.py::test_own"
ANSWERS, READS = (f"{RIGHT}::float32::{check.value}" for check in (Check.ANSWERS, Check.READS))
OFFERED = (Check.DECLARED, Check.HAND_OVER)
FLOAT32 = [f"{RIGHT}::float32::{check.value}" for check in Check if check not in OFFERED]
"""All that there is of float32, for a port that declares nothing."""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    made = prepared(pytester, monkeypatch)
    made.syspathinsert()
    made.makepyfile(test_own="def test_own():\n    pass\n")
    return made


def collected(project: pytest.Pytester, *arguments: str) -> list[str]:
    """The ids of what is collected, as pytest prints them."""
    result = project.runpytest_inprocess(*PLUGIN, "--collect-only", "-q", *arguments)
    assert result.ret == 0
    return result.outlines[: result.outlines.index("")]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([ANSWERS], [ANSWERS]),
        ([f"{RIGHT}::float32"], FLOAT32),
        ([RIGHT, "--lion-dtype", "float32"], FLOAT32),
        ([READS, ANSWERS, READS], [ANSWERS, READS]),
        ([ANSWERS, f"{RIGHT}::float32"], FLOAT32),
        ([ANSWERS, "--lion-port", "ports:right"], [ANSWERS]),
        ([FUSED, *ANY], [FUSED, *FLOAT32]),
        ([ANSWERS, "test_own.py"], [OWN, ANSWERS]),
        ([ANSWERS, OWN], [OWN, ANSWERS]),
        ([*ANY, "test_own.py"], [OWN, *FLOAT32]),
        ([f"{RIGHT}::float32", "--deselect", ANSWERS, "-k", "answers or writes"], [READS]),
    ],
    ids=lambda x: " ".join(x) if len(x) < 4 else "",
)
def test_an_id_selects_what_it_is_of(
    project: pytest.Pytester, arguments: list[str], found: list[str]
) -> None:
    assert collected(project, *arguments) == found


def test_an_id_may_be_given_from_a_folder_below_the_root(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.mkdir("below"))
    assert collected(project, f"../{ANSWERS}", READS) == [ANSWERS, READS]


def test_a_file_of_that_folder_is_still_a_file(project: pytest.Pytester) -> None:
    project.mkdir("lion-port").joinpath("test_a.py").write_text("def test_a(): pass\n")
    name = "lion-port/test_a.py::test_a"
    assert collected(project, name) == collected(project, "lion-port") == [name]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            f"{RIGHT}::float8",
            f"{RIGHT}::float8: there is none; legal: float16, bfloat16, float32, float64",
        ),
        (
            f"{RIGHT}::float32::answers",
            f"{RIGHT}::float32::answers: there is none; legal: answers every case, writes to no",
        ),
        ("lion-port/nowhere:step::float32", "importing nowhere failed with ModuleNotFoundError"),
        ("lion-port/ports.right", "file or directory not found: lion-port/ports.right"),
    ],
)
def test_an_id_of_nothing_is_an_error_of_one_line(
    project: pytest.Pytester, argument: str, message: str
) -> None:
    result = project.runpytest_inprocess(*PLUGIN, argument)
    assert result.ret in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR)
    assert message in result.stdout.str() + result.stderr.str()
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_worker_runs_what_the_id_names_and_it_is_remembered_as_failed(
    project: pytest.Pytester,
) -> None:
    failing = f"lion-port/ports:mute::float32::{Check.ANSWERS.value}"
    cached = (*PLUGIN[:-2], "--lion-max-examples", "1")
    ran = project.runpytest_subprocess(*cached, "-n", "1", failing, OWN, timeout=300)
    assert ran.parseoutcomes() == {"failed": 1, "passed": 1}
    again = project.runpytest_inprocess(
        *cached, "--lf", "--collect-only", "-q", "lion-port/ports:mute", OWN
    )
    assert [line for line in again.outlines if "::" in line] == [failing]
