"""`verify --cubin`: machine code beside the verdict on its PTX, and what falls short of it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest

from lion_conformance.cli import main
from lion_conformance.ptx import assembly, sass
from lion_conformance.ptx.port import entry_of

ROOT = Path(__file__).parents[3]
KERNEL = ROOT / "examples" / "ports" / "cuda" / "kernel.toml"
SCHEMA = ROOT / "conformance" / "lion_conformance" / "data" / "lion-report.schema.json"
PTX = KERNEL.with_name("lion.ptx")
CALM = "lion for sm_80: products 6, sums 4, nothing contracted, nothing flushed"

pytestmark = pytest.mark.skipif(
    sass.disassembler("ptxas") is None or sass.disassembler() is None,
    reason="pip install triton",
)


def assembled(folder: Path, text: str, *options: str) -> Path:
    """What ptxas makes of PTX, whose version may be newer than it."""
    source, cubin = folder / "kernel.ptx", folder / "kernel.cubin"
    lines = text.splitlines()
    lines[next(i for i, x in enumerate(lines) if x.startswith(".version"))] = ".version 8.0"
    source.write_text("\n".join(lines) + "\n")
    program = sass.disassembler("ptxas")
    assert program is not None
    subprocess.run([program, "-arch=sm_80", *options, source, "-o", cubin], check=True)
    return cubin


@pytest.fixture
def free(tmp_path: Path) -> Path:
    """The example's PTX without .rn: whether it is contracted is left to the assembler."""
    path = tmp_path / "free.ptx"
    path.write_text(re.sub(r"\b(mul|add|sub)\.rn\.", r"\1.", PTX.read_text()))
    return path


def judged(capsys: pytest.CaptureFixture[str], ptx: Path, *more: str | Path) -> tuple[int, str]:
    arguments = ["verify", "--ptx", ptx, "--kernel", KERNEL, "--max-examples", "1", *more]
    status = main([str(x) for x in arguments])
    out, err = capsys.readouterr()
    return status, out + err


def words(text: str) -> str:
    """On one line, whatever the width of the terminal."""
    return " ".join(text.split())


def test_machine_code_that_does_what_its_ptx_says(tmp_path: Path) -> None:
    found = assembly.assembly(
        sass.read(assembled(tmp_path, PTX.read_text())), entry_of(PTX, "lion")
    )
    assert found.lines == (CALM,)
    assert (found.contracts, found.beyond) == (False, ())


def test_machine_code_that_contracts_against_its_ptx_falls_short(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], free: Path
) -> None:
    cubin = assembled(tmp_path, free.read_text())
    status, out = judged(capsys, PTX, "--cubin", cubin, "--json", tmp_path / "report.json")
    assert status == 1
    assert words(out).startswith(
        "falls short lion (PTX, no GPU: PTX interpreted), machine code: 4 FFMA: "
    )
    assert "bit-exact  lion " in out
    assert "to reproduce" not in out
    document = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(document, json.loads(SCHEMA.read_text()))
    assert document["ok"] is False
    (report,) = document["reports"]
    assert "contracted, where the PTX rounds twice" in report["machine_code"]["beyond"][0]


def test_machine_code_decides_what_its_ptx_leaves_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], free: Path
) -> None:
    entry = entry_of(free, "lion")
    kept = assembled(tmp_path, free.read_text(), "-fmad=false")
    assert assembly.assembly(sass.read(kept), entry).contracts is False
    status, out = judged(capsys, free, "--cubin", kept)
    assert status == 0
    assert "bit-exact  lion " in out
    assert f"machine code: {CALM}" in words(out)
    contracted = assembled(tmp_path, free.read_text())
    found = assembly.assembly(sass.read(contracted), entry)
    assert (found.contracts, found.beyond) == (True, ())


def test_a_cubin_that_cannot_be_held_against_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cubin = assembled(tmp_path, PTX.read_text().replace("lion(", "tiger("))
    status, out = judged(capsys, PTX, "--cubin", cubin)
    assert status == 2
    assert "no kernel lion in the machine code; there are: " in words(out)
    assert "tiger" in out
    assert main(["verify", "my_lion:step", "--cubin", str(cubin)]) == 2
    assert "--cubin " in (err := capsys.readouterr().err)
    assert "is not legal without --kernel TOML" in err
    monkeypatch.setattr(sass, "disassembler", lambda name="nvdisasm": None)
    status, out = judged(capsys, PTX, "--cubin", cubin)
    assert (status, out) == (2, f"lion-conformance: {sass.NO_DISASSEMBLER}\n")
