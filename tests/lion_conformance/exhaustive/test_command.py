"""What is asked for on the command line, and what cannot be asked."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

import lion_ref
from lion_conformance.exhaustive.asked import Asked
from lion_conformance.ports.callable import from_callable
from lion_conformance.ports.protocol import Port, Variant
from lion_conformance.ports_asked import add_port_options
from tests.lion_conformance.exhaustive.commands import SLICE, run

ASKED = ("exhaustive", "lion_ref:step", "--dtype", "float16", "--slice", SLICE, "--jobs", 1)


def test_without_a_file_the_verdict_is_said_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*ASKED) == 0
    said = capsys.readouterr().out
    assert said.startswith("bit-exact: lion_ref.update.step, step(...), cpu, float16\n")
    assert "    block 1 of 4096: a part of the certificate\n" in said
    assert "written" not in said
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--jobs", "0"], "jobs=0 is not legal; legal: an integer >= 1"),
        (["--lr", "0"], "lr=0.0 is not legal for float16: every u makes the same θ' of θ = -0"),
        (["--lr", "-1"], "lr=-1.0 is not legal; legal: a finite number >= 0"),
        (["--beta1", "1"], "beta1=1.0 is not legal; legal: a number in [0, 1)"),
        (["--slice", "0/2"], "slice='0/2' is not legal; legal: I/N with 1 <= I <= N <= 4096"),
        (["--door", "back"], "door='back' is not legal; legal: step(...)"),
        (["--backend", "numpy"], "a port to judge; legal: either MODULE:CALLABLE, --exec PROGRAM"),
        (["--subnormals", "keep"], "--subnormals keep is not legal without --backend NAME"),
        (["--device", "cuda"], "--device cuda is not legal without --backend NAME"),
    ],
)
def test_what_cannot_be_asked_is_refused(more: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        run(*ASKED, *more)
    assert words in str(refused.value)


def test_a_port_of_which_no_door_can_be_asked_has_not_passed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("--dtype", "float16", "--slice", SLICE, "--jobs", 1)
    with pytest.raises(ValueError, match=r"^no door could be judged in float16$"):
        run("exhaustive", f"{__name__}:in_bfloat16", *words)
    said = capsys.readouterr().out
    assert said.count("step(...), does not take float16 for θ, m and g; it takes bfloat16\n") == 1
    assert said.count("not taken: bfloat16 alone, step(...), contracted, does not take") == 1


def test_what_the_code_may_come_to_otherwise_is_a_door() -> None:
    parser = argparse.ArgumentParser()
    add_port_options(parser, backend=True)
    parser.add_argument("--door")
    name = f"{__name__}:contracted"
    with Asked.by(parser.parse_args([name])).opened() as ports:
        assert [port.door for port in ports] == ["step(...)", "step(...), contracted"]
    with Asked.by(parser.parse_args([name, "--door", ports[1].door])).opened() as chosen:
        assert chosen == [ports[1]]


def with_a_variant(port: Port) -> Port:
    variant = Variant("contracted", port, "the assembler", "mul.rn and add.rn decide it")
    return replace(port, variants=(variant,))


contracted = with_a_variant(from_callable(lion_ref.step))
in_bfloat16 = with_a_variant(
    from_callable(lion_ref.step, name="bfloat16 alone", triples=(("bfloat16",) * 3,))
)
