"""`lion-conformance handover`: every way by processes of its own, and the verdict first."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from lion_conformance.cli import main
from lion_conformance.handover import DIED, Part, judged, lines, status
from lion_conformance.ports.backends import BACKENDS, Backend
from lion_conformance.verdict.verdict import Verdict
from tests.lion_conformance.runs import handed, rich

pytestmark = pytest.mark.clause("C34")

NUMPY = BACKENDS["numpy"]
RIGHT = handed.backend(rich.Rich)

WRONG_FROM: dict[type[rich.Rich], str] = {
    handed.LosesTheSignOfZero: "is 0x0000 (0.0) instead of 0x8000 (-0.0)",
    handed.ExportsNoStep: "after the import the file has 0 steps instead of 8",
    handed.WritesNoFile: "the port raised ValueError: ",
}
WRONG_TO: dict[type[rich.Rich], str] = {
    handed.Transposes: "after the import θ of the weight of 64 × 8",
    handed.KeepsTheOldMomentumInside: "at the end θ of the weight of 64 × 8",
    handed.ImportsNoRate: "exported again after the import, the file has lr=0.5 instead of ",
    handed.ImportsNoStep: "after the import the file has 0 steps instead of 8",
}


def rejected(parts: list[Part]) -> list[Part]:
    return [x for x in parts if x.verdict is Verdict.REJECTED]


def test_every_way_between_those_that_are_right_is_bit_exact() -> None:
    parts = judged([NUMPY, RIGHT], [NUMPY, RIGHT], ["float32", "bfloat16"])
    assert {(x.begun_in, x.gone_on_in) for x in parts} == {
        (one, other) for one in ("numpy", "Rich") for other in ("numpy", "Rich")
    }
    assert {x.verdict for x in parts} == {Verdict.BIT_EXACT}
    assert "bfloat16/float32" in {x.dtypes for x in parts}
    assert status(parts) == 0


def test_who_loses_something_is_rejected() -> None:
    other = replace(RIGHT, name="torch")  # whose kernels have other axes
    for expected, out in ((WRONG_FROM, True), (WRONG_TO, False)):
        wrong = [handed.backend(x) for x in expected]
        ways = (wrong, [other]) if out else ([other], wrong)
        parts = judged(*ways, ["bfloat16"])
        assert status(parts) == 1
        for session, words in expected.items():
            names = {other.name, session.__name__}
            told = [x.why for x in rejected(parts) if {x.begun_in, x.gone_on_in} == names]
            assert any(words in why for why in told), (session, told)


def test_what_is_not_run_says_why_and_leaves_the_rest_alone() -> None:
    missing = Backend("missing", "nowhere", ("nowhere_to_be_found",), "nowhere")
    dying = handed.backend(handed.Dies)
    parts = judged([NUMPY, missing, dying], [NUMPY, missing], ["float32"])
    assert status(parts) == 2
    text = "\n".join(lines(parts))
    assert text.startswith("bit-exact: 1 of 1 ways end with the bits of one run of lion_ref\n")
    assert "not run  missing: nowhere_to_be_found is not installed; pip install nowhere" in text
    assert f"not run  Dies: {DIED}" in text


def part(one: str, other: str, dtypes: str, verdict: Verdict, why: str = "") -> Part:
    return Part(one, other, dtypes, verdict, why)


def test_it_is_told_with_the_verdict_first() -> None:
    parts = [
        part("a", "a", "float32", Verdict.BIT_EXACT),
        part("a", "a", "float16", Verdict.BIT_EXACT),
        part("a", "b", "float32", Verdict.REJECTED, "at the end m of the scalar is 0x1 instead"),
        part("a", "b", "float16", Verdict.NOT_TAKEN, "by b"),
        part("b", "a", "", Verdict.NOT_RUN, "b: not installed"),
        part("b", "b", "float16", Verdict.NOT_TAKEN, "by b"),
    ]
    verdict, _, *table = lines(parts)
    assert verdict == "rejected: 1 of 3 ways end with the bits of one run of lion_ref"
    assert [re.split(r"  +", x) for x in table[:3]] == [
        ["from \\ to", "a", "b"],
        ["a", "bit-exact 2", "rejected 1"],
        ["b", "not run", "not taken"],
    ]
    assert table[4:7] == [
        "rejected  a to b, float32: at the end m of the scalar is 0x1 instead",
        "not run  b: not installed",
        "not taken  by b: float16",
    ]


def test_the_command_writes_json_and_refuses_half_a_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "found.json"
    command = ["handover", "numpy", "numpy", "--dtype", "float64", "--json", str(path)]
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("bit-exact: 1 of 1 ways")
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["format"] == "lion-handover"
    assert [x["dtypes"] for x in found["parts"]][-1] == "float64"
    assert main(["handover", "numpy"]) == 2
    assert "'numpy' alone is not legal; legal: FROM and TO, or neither" in capsys.readouterr().err
    for wrong in ("int8", "float32/float32/float32"):  # θ's is named alone
        with pytest.raises(SystemExit, match="2"):
            main(["handover", "numpy", "numpy", "--dtype", wrong])
        assert f"argument --dtype: invalid choice: '{wrong}'" in capsys.readouterr().err
