"""The pytest plugin as its user meets it: in an empty folder, and in a suite of one's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import lion_ref
from lion_conformance.checks import BY_STAGE, Check
from lion_conformance.port_tests import PortTests
from tests.lion_conformance.plugged import PLUGIN, QUICK, prepared

OFFERED = (Check.DECLARED, Check.HAND_OVER)
"""Checks of ports that declare, or offer, what they are of."""

pytestmark = pytest.mark.clause("C29")
pytest_plugins = ["pytester"]


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    return prepared(pytester, monkeypatch)


def judged(project: pytest.Pytester, port: str, *arguments: str) -> pytest.RunResult:
    return project.runpytest_subprocess(
        *PLUGIN, "--lion-port", f"ports:{port}", *QUICK, "-v", *arguments, timeout=300
    )


def outcomes(result: pytest.RunResult) -> dict[str, str]:
    """What became of each check, by its name."""
    found = {}
    for line in result.outlines:
        for word in ("PASSED", "FAILED", "ERROR"):
            name, there, _ = line.partition(f" {word} ")
            if there and "::" in name:
                found[name.split("::")[-1]] = word
    return found


def test_a_right_port_passes_every_check_in_an_empty_folder(project: pytest.Pytester) -> None:
    result = judged(project, "right")
    assert result.ret == 0
    checks = [check.value for check in Check if check not in OFFERED]
    result.stdout.fnmatch_lines(
        [f"*collected {len(checks)} items*"]
        + [f"lion-port/ports:right::float32::{name} PASSED*" for name in checks]
    )
    assert not Path("build").exists()


FALLS = [
    ("unmoved_momentum", {Check.MOMENTUM_FIXED, Check.MOMENTUM_RANDOM}, {Check.PARAM_FIXED}),
    ("unmoved_param", {Check.PARAM_FIXED, Check.PARAM_RANDOM}, {Check.MOMENTUM_RANDOM}),
    ("writes", {Check.READS, Check.RUNS}, {Check.KEEPS}),
    ("shares", {Check.KEEPS}, {Check.READS, Check.PARAM_FIXED}),
    ("mute", {Check.ANSWERS, Check.PARAM_FIXED, Check.MOMENTUM_RANDOM}, {Check.READS}),
    ("unscaled", {Check.SEMANTICS, Check.PARAM_FIXED, Check.TAPE}, {Check.MOMENTUM_FIXED}),
    ("declared", {Check.DECLARED}, {Check.SEMANTICS, Check.PARAM_FIXED}),
    (
        "by_chance",
        {Check.REPEATS, Check.RUNS, Check.TAPE},
        {check for pair in BY_STAGE.values() for check in pair},
    ),
    (
        "by_chance_and_unmoved",
        {Check.REPEATS, Check.MOMENTUM_FIXED, Check.MOMENTUM_RANDOM},
        {Check.PARAM_FIXED, Check.PARAM_RANDOM},
    ),
    ("forgets", {Check.RUNS}, {Check.SEMANTICS, Check.MOMENTUM_RANDOM}),
]


QUICKLY_JUDGED = ("mute", "writes", "forgets")
"""Those whose judging takes a few seconds; of the others the wide run makes sure."""


@pytest.mark.parametrize(
    ("port", "fails", "passes"),
    [
        pytest.param(*fall, id=fall[0], marks=() if fall[0] in QUICKLY_JUDGED else pytest.mark.slow)
        for fall in FALLS
    ],
)
def test_each_fault_fails_its_own_checks(
    project: pytest.Pytester, port: str, fails: set[Check], passes: set[Check]
) -> None:
    result = judged(project, port)
    assert result.ret == 1
    found = outcomes(result)
    assert {check.value for check in fails} <= {n for n, word in found.items() if word == "FAILED"}
    assert {check.value for check in passes} <= {n for n, word in found.items() if word == "PASSED"}


def test_a_port_that_cannot_be_judged_here_is_skipped_with_its_reason(
    project: pytest.Pytester,
) -> None:
    ports = project.path / "ports.py"
    absent = "\nimport dataclasses\nabsent = dataclasses.replace(declared, unavailable='no GPU')\n"
    ports.write_text(ports.read_text() + absent)
    result = judged(project, "absent", "-rs")
    assert result.ret == 0
    assert result.parseoutcomes() == {"skipped": len(Check) - 1}
    result.stdout.fnmatch_lines([f"SKIPPED [[]{len(Check) - 1}] *: not run: no GPU"])


def check_junit(path: Path) -> None:
    cases = list(ET.parse(path).getroot().iter("testcase"))
    failed = {
        (case.get("classname"), case.get("name")): found.get("message", "")
        for case in cases
        if (found := case.find("failure")) is not None
    }
    where = "lion-port.ports:unmoved_momentum.float32"
    assert {case.get("classname") for case in cases} == {where}
    assert "0x3f800000" in failed[where, "momentum on the fixed cases"]
    assert (where, "param on the fixed cases") not in failed


def test_a_failure_is_the_counterexample_and_no_traceback_and_named_in_junit_s_file(
    project: pytest.Pytester,
) -> None:
    result = judged(project, "unmoved_momentum", "--junitxml", "junit.xml")
    check_junit(project.path / "junit.xml")
    result.stdout.fnmatch_lines(
        [
            "ports:unmoved_momentum: momentum on the fixed cases, float32",
            "rejected: the momentum is not updated: m' = m (SPEC C1)",
            "    more: lion-conformance explain not-updated",
            "m': 1 of 1 elements lie outside the accepted set",
            "*m'  x + y     float32  0x3f800000 *1.0  *0x00000000 *0.0 ≠",
            "found by: pytest --lion-port ports:unmoved_momentum --lion-dtype float32 *2 *0",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")
    begin = "to reproduce: python "
    # Where CI is set, pytest's summary says every failure in full once more.
    programs = {line.removeprefix(begin) for line in result.outlines if line.startswith(begin)}
    assert len(programs) == result.parseoutcomes()["failed"]
    ran = project.run(sys.executable, min(programs))
    assert ran.ret == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--lion-port", "ports.right"), "legal: MODULE:CALLABLE, as in my_lion:step"),
        (("--lion-port", "nowhere:step"), "importing nowhere failed with ModuleNotFoundError"),
        (
            ("--lion-port", "ports:right", "--lion-dtype", "float8"),
            "dtype='float8' is not legal; legal: float16, bfloat16, float32, float64",
        ),
        (
            ("--lion-port", "ports:right", "--lion-max-examples", "0"),
            "max_examples=0 is not legal; legal: an integer >= 1",
        ),
        (("--lion-port", "ports:PORTS"), "has no attribute 'PORTS'"),
    ],
)
def test_what_cannot_be_judged_is_an_error_of_one_line(
    project: pytest.Pytester, arguments: tuple[str, ...], message: str
) -> None:
    result = project.runpytest_inprocess(*PLUGIN, *arguments)
    assert result.ret == 2
    (line,) = {line for line in result.outlines if message in line and line[0] not in "E*"}
    assert line
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_suite_of_one_s_own_runs_beside_it(project: pytest.Pytester) -> None:
    project.makepyfile(test_own="def test_something():\n    pass\n")
    result = judged(project, "right", "-k", "something or (lion-port and answers)")
    others = {check for check in Check if check not in (Check.ANSWERS, *OFFERED)}
    assert result.parseoutcomes() == {"passed": 2, "deselected": len(others)}


SUITE = """
import lion_conformance
import ports

class TestMine(lion_conformance.PortTests):
    port = staticmethod(ports.{port})
    dtypes = ("float32",)
    max_examples = 2

class TestMade(TestMine):
    def port(self):
        return ports.declared
"""


def test_a_subclass_has_a_test_for_each_check(project: pytest.Pytester) -> None:
    project.makepyfile(test_mine=SUITE.format(port="unmoved_momentum"))
    result = project.runpytest_subprocess("-p", "no:cacheprovider", "-v", "-rs", timeout=300)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "test_mine.py::TestMine::test_answers_every_case?float32? PASSED*",
            "test_mine.py::TestMine::test_momentum_on_the_fixed_cases?float32? FAILED*",
            "test_mine.py::TestMine::test_the_same_bits_when_asked_again?float32? PASSED*",
            "test_mine.py::TestMine::test_bits_as_declared?float32? SKIPPED*",
            "test_mine.py::TestMade::test_momentum_on_the_fixed_cases?float32? PASSED*",
            "test_mine.py::TestMade::test_bits_as_declared?float32? FAILED*",
            "    more: lion-conformance explain not-updated",
            "m': 1 of 1 elements lie outside the accepted set",
            "the bits are not those declared: canonical",
            "*ports.unmoved_momentum declares no semantics*",
        ]
    )
    result.stdout.no_fnmatch_line("*port_tests.py:*: in *")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("pass", "TestMine has no port; legal: port = staticmethod(step), a Port, or a method"),
        ("port = 3", "TestMine: port=3 is not legal; legal: a callable step"),
        (
            "port = staticmethod(ports.right); dtypes = ['float8']",
            "TestMine: dtype='float8' is not legal",
        ),
    ],
)
def test_a_subclass_that_cannot_be_judged_says_why(
    project: pytest.Pytester, body: str, message: str
) -> None:
    project.makepyfile(
        test_mine="import lion_conformance, ports\n"
        f"class TestMine(lion_conformance.PortTests):\n    {body}\n"
    )
    result = project.runpytest_inprocess("-p", "no:cacheprovider")
    assert result.ret == 2
    assert message in result.stdout.str()
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_step_without_staticmethod_is_still_a_step() -> None:
    class Plain(PortTests):
        port = lion_ref.step
        dtypes = ("float32",)

    from lion_conformance.port_tests import _checklist

    assert _checklist(Plain).port.name == "lion_ref.update.step"
    assert _checklist(Plain) is _checklist(Plain)


def test_it_costs_nothing_where_it_is_not_used(project: pytest.Pytester) -> None:
    """Neither NumPy nor anything of the judge is imported without the option."""
    project.makeconftest(
        "import sys\n\ndef pytest_unconfigure():\n"
        "    print('loaded:', *sorted({'numpy', 'hypothesis', 'lion_ref', "
        "'lion_conformance.verify'} & set(sys.modules)))\n"
    )
    # Plugins of this environment may import what they like.
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for arguments, loaded in (
        ((), "loaded:"),
        (
            ("--lion-port", "ports:right", *QUICK),
            "loaded: lion_conformance.verify lion_ref numpy",
        ),
    ):
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", *PLUGIN, "--collect-only", "-q", *arguments],
            cwd=project.path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert loaded in ran.stdout.splitlines(), ran.stdout + ran.stderr


def test_public_names_are_imported_when_asked_for() -> None:
    program = (
        "import sys, lion_conformance as c\n"
        "assert 'numpy' not in sys.modules\n"
        "import lion_conformance.verify, lion_conformance.diagnosis.explain\n"
        "assert callable(c.verify) and callable(c.diagnosis), 'functions, not modules'\n"
        "from lion_conformance import verify\n"
        "assert verify is c.verify\n"
        "assert {'Port', 'diagnosis', 'PortTests'} <= set(dir(c))\n"
        "assert all(getattr(c, name) for name in c.__all__)\n"
        "try:\n    c.nothing\nexcept AttributeError as error:\n    print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ran.stdout == "module 'lion_conformance' has no attribute 'nothing'\n", ran.stderr
