"""The starters in C and in JavaScript, through the pipe; a wrong variant of each is told."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import lion_ref
from lion_conformance import Verdict, verify
from lion_conformance.cli import main
from lion_conformance.diagnosis import canaries, probes
from lion_conformance.ports.hexadecimal import decode, encode
from lion_conformance.ports.pipe import Program
from lion_conformance.ports.protocol import run_once
from lion_conformance.starters import HOME
from lion_ref.arithmetic import all_same_bits

pytestmark = pytest.mark.clause("C29")

QUICK = 1
"""The fixed cases tell these; lines of bits are slow to carry."""


def compiled(tmp_path: Path, source: str, *flags: str) -> list[str]:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: cc is not installed")
    (tmp_path / "lion_port.c").write_text(source, encoding="utf-8")
    target = tmp_path / "lion_port"
    files = [str(tmp_path / "lion_port.c"), "-o", str(target)]
    command = [compiler, "-std=c99", "-O2", *flags, *files]
    subprocess.run(command, check=True)
    return [str(target)]


def in_node(tmp_path: Path, source: str) -> list[str]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no JavaScript: node is not installed")
    (tmp_path / "lion_port.mjs").write_text(source, encoding="utf-8")
    return [node, str(tmp_path / "lion_port.mjs")]


C = (HOME / "c" / "lion_port.c").read_text(encoding="utf-8")
JAVASCRIPT = (HOME / "javascript" / "lion_port.mjs").read_text(encoding="utf-8")


def replaced(source: str, old: str, new: str) -> str:
    assert source.count(old) == 1
    return source.replace(old, new)


def judged(command: list[str], dtypes: list[str] | None = None) -> dict[str, Verdict]:
    """The verdicts; what another rounding is called is not the matter here, so not looked for."""
    with Program(command) as running:
        report = verify(running.port, dtypes=dtypes, max_examples=QUICK, explain=False)
    assert report.ok == (report.verdict is Verdict.BIT_EXACT)  # both examples declare "canonical"
    return report.verdicts


EXACT = {"float32": Verdict.BIT_EXACT, "float64": Verdict.BIT_EXACT}
ACCEPTED = {"float32": Verdict.ACCEPTED}
"""What takes a whole run to tell is told in one dtype."""


def test_the_command_line_judges_the_example_in_c_which_is_bit_exact(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = " ".join(compiled(tmp_path, C, "-ffp-contract=off"))
    report = tmp_path / "report.json"
    arguments = ["--max-examples", str(QUICK), "--json", str(report)]
    assert main(["verify", "--exec", command, *arguments]) == 0
    assert "lion_port.c" in capsys.readouterr().out
    (judged,) = json.loads(report.read_text(encoding="utf-8"))["reports"]
    found = {result["dtype"]: Verdict(result["verdict"]) for result in judged["dtypes"]}
    assert found == EXACT


def test_the_dialogue_in_the_documentation_is_what_is_said(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "pipe.md").read_text(
        encoding="utf-8"
    )
    said = {
        arrow: [line[6:] for line in page.splitlines() if line.startswith(f"    {arrow} ")]
        for arrow in "→←"
    }
    done = subprocess.run(
        compiled(tmp_path, C, "-ffp-contract=off"),
        input="".join(f"{line}\n" for line in said["→"]),
        capture_output=True,
        text=True,
        check=True,
    )
    answer = said["←"][said["←"].index("ready") :]
    assert done.stdout.splitlines()[-len(answer) :] == answer
    with Program(compiled(tmp_path, C, "-ffp-contract=off")) as running:
        head = said["→"][0].split()
        scalars = decode(" ".join(head[5:]).encode() + b"\n", [np.dtype(np.float64)] * 4, 1)
        lines = "".join(f"{line}\n" for line in said["→"][1:]).encode()
        arrays = decode(lines, [np.dtype(np.float32)] * 3, int(head[4]))
        assert encode(running.ask(arrays, [float(x[0]) for x in scalars])).decode().split("\n") == [
            *answer[1:-1],
            "",
        ]


def test_the_example_in_javascript_is_bit_exact(tmp_path: Path) -> None:
    """In float32 on all cases; in float64, whose lines take a minute, where each choice shows."""
    command = in_node(tmp_path, JAVASCRIPT)
    assert judged(command, ["float32"]) == {"float32": Verdict.BIT_EXACT}
    with Program(command) as running:
        for case in (*canaries.cases("float64"), *probes.cases(("float64",) * 3)):
            got = run_once(running.port, *case.arrays, **case.scalars)
            expected = lion_ref.step(*case.arrays, **case.scalars)
            assert all(all_same_bits(a, b) for a, b in zip(got, expected, strict=True))


@pytest.mark.slow
def test_the_example_in_javascript_is_bit_exact_in_both_dtypes(tmp_path: Path) -> None:
    assert judged(in_node(tmp_path, JAVASCRIPT)) == EXACT


def test_the_example_in_c_with_contraction_is_not_bit_exact(tmp_path: Path) -> None:
    flags = ["-ffp-contract=fast"]
    if platform.machine() == "x86_64":
        if " fma " not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
            pytest.skip("this processor has no fused multiply-add")
        flags.append("-mfma")
    elif platform.machine() != "aarch64":
        pytest.skip(f"no flag known that lets cc fuse on {platform.machine()}")
    assert judged(compiled(tmp_path, C, *flags), list(ACCEPTED)) == ACCEPTED


REJECTED = {"float32": Verdict.REJECTED, "float64": Verdict.REJECTED}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a = beta1 * *m", "a = beta2 * *m"),
        pytest.param("y = beta2_complement", "y = beta1_complement", marks=pytest.mark.slow),
        pytest.param("d = weight_decay * *theta", "d = 0 * *theta", marks=pytest.mark.slow),
        ("c == 0 ? 0 : c", "0"),
    ],
)
def test_the_example_in_c_with_a_slip_is_not_bit_exact(old: str, new: str, tmp_path: Path) -> None:
    # A NaN that is turned into no step is a choice that ports make (C22): accepted, not exact.
    expected = ACCEPTED if new == "0" else REJECTED
    command = compiled(tmp_path, replaced(C, old, new), "-ffp-contract=off")
    assert judged(command, list(expected)) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("round(beta1 * m)", "round(beta2 * m)", REJECTED),
        # All in double, rounded once.
        ("round: Math.fround", "round: (x) => x", {"float32": Verdict.REJECTED}),
        # As the slip of C that turns a NaN into no step.
        pytest.param(
            *("(c === 0 ? 0 : Math.sign(c))", "Math.sign(c)", ACCEPTED), marks=pytest.mark.slow
        ),
    ],
)
def test_the_example_in_javascript_with_a_slip_is_not_bit_exact(
    old: str, new: str, expected: dict[str, Verdict], tmp_path: Path
) -> None:
    command = in_node(tmp_path, replaced(JAVASCRIPT, old, new))
    assert judged(command, list(expected)) == expected
