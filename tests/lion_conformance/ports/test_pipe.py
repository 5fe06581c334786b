"""A program in any language as a port: the format of docs/reference/pipe.md, and its faults."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lion_ref
from lion_conformance import PortError, verify
from lion_conformance.cli import main
from lion_conformance.ports.hexadecimal import MalformedLine, decode, encode
from lion_conformance.ports.pipe import Program, parse_semantics
from lion_conformance.ports.protocol import run_once
from lion_ref import CANONICAL, STORAGE_DTYPES, Semantics
from lion_ref.arithmetic import bits
from tests.lion_conformance.ports.piped import ANSWER, F32, SCALARS, TWO, program

pytestmark = pytest.mark.clause("C29")


# --- lines of bits -----------------------------------------------------------------------------


@given(st.sampled_from(list(STORAGE_DTYPES)), st.sampled_from(list(STORAGE_DTYPES)), st.binary())
def test_lines_carry_every_bit_pattern(first: str, second: str, data: bytes) -> None:
    dtypes = [STORAGE_DTYPES[first], STORAGE_DTYPES[second]]
    count = len(data) // 16
    arrays = [np.frombuffer(data, f"u{dtype.itemsize}", count).view(dtype) for dtype in dtypes]
    lines = encode(arrays)
    for text in (lines, lines.upper(), lines.replace(b"\n", b"\r\n")):
        for array, back in zip(arrays, decode(text, dtypes, count), strict=True):
            assert bits(array).tolist() == bits(back).tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            b"3f800000 3f800000\n3f80000 3f800000\n",
            ("line 2 is '3f80000 3f800000'; legal: <8 hexadecimal digits> <8 hexadecimal digits>"),
        ),
        (b"3f800000 3f80000g\n3f800000 3f800000\n", "line 1 is '3f800000 3f80000g'; legal:"),
        (b"3f800000,3f800000\n3f800000 3f800000\n", "line 1 is '3f800000,3f800000'; legal:"),
        (b"0x3f800000 3f800000\n" * 2, "line 1 is '0x3f800000 3f800000'; legal:"),
        (b"1.0 0.5\n" * 2, "line 1 is '1.0 0.5'; legal:"),
        (b"\xff\n" * 2, r"line 1 is '\xff'; legal:"),
        (b"", "0 lines; legal: 2, one an element"),
        (b"3f800000 3f800000\n", "1 lines; legal: 2, one an element"),
        (b"3f800000 3f800000\n" * 3, "3 lines; legal: 2, one an element"),
    ],
)
def test_a_malformed_line_is_quoted(text: bytes, message: str) -> None:
    with pytest.raises(ValueError, match="legal") as error:
        decode(text, [TWO.dtype, TWO.dtype], 2)
    assert message in str(error.value).replace(r"\\", "\\")
    assert isinstance(error.value, MalformedLine) == message.startswith("line ")


# --- programs ----------------------------------------------------------------------------------


def test_a_program_that_answers_while_it_is_asked_does_not_block() -> None:
    many = np.ones(200_000, np.float32)
    eager = ANSWER.replace("rows = [", "rows = (").replace("range(n)]", "range(n))")
    with Program(program(eager)) as running:
        got, _ = run_once(running.port, many, many, many, **SCALARS)
    assert np.array_equal(got, many)


def test_an_answer_may_end_its_lines_as_windows_does() -> None:
    windows = ANSWER.replace('sep="\\n"', 'sep="\\r\\n", end="\\r\\n"')
    with Program(program(windows, greeting=f"lion-pipe 1\r\n{F32}\r\nready")) as running:
        got, _ = run_once(running.port, TWO, TWO, TWO, **SCALARS)
    assert np.array_equal(got, TWO)


def test_a_line_s_end_may_come_in_two_parts() -> None:
    parts = """
    import time
    for line in sys.stdin:
        for _ in range(int(line.split()[4])):
            sys.stdin.readline()
        for part in ("3f800000 3f800000", "\\r", "\\n", "end", "\\r", "\\n"):
            print(part, end="", flush=True)
            time.sleep(0.1)
    """
    one = np.ones(1, np.float32)
    with Program(program(parts)) as running:
        got, _ = run_once(running.port, one, one, one, **SCALARS)
    assert np.array_equal(got, one)


def test_a_batch_of_one_axis_and_its_shape_come_back() -> None:
    for shape in ((2, 3), (), (0,)):
        array = np.ones(shape, np.float32)
        with Program(program(ANSWER)) as running:
            got = run_once(running.port, array, array, array, **SCALARS)
        assert got[0].shape == shape


def test_what_a_program_declares_is_held() -> None:
    greeting = f"lion-pipe 1\nname my port\n{F32}\nsemantics subnormals=flush\nready"
    with Program(program(ANSWER, greeting=greeting)) as running:
        port = running.port
    assert (port.name, port.declared) == ("my port", Semantics(subnormals="flush"))
    assert port.triples == (("float32",) * 3,)
    assert parse_semantics("canonical") == CANONICAL


def test_a_program_that_cannot_be_judged_here_is_not_run_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    greeting = f"lion-pipe 1\nname mine\n{F32}\nunavailable no GPU: driver 1 < 2\nready"
    (tmp_path / "mine.py").write_text(program("", greeting=greeting)[3], encoding="utf-8")
    assert main(["verify", "--exec", f"{sys.executable} -S {tmp_path / 'mine.py'}"]) == 2
    assert "mine (pipe) not run: no GPU: driver 1 < 2" in capsys.readouterr().out


@pytest.mark.parametrize("reason", ["", " ", " a\tb"])
def test_a_reason_that_says_nothing_is_refused(reason: str) -> None:
    greeting = f"lion-pipe 1\n{F32}\nunavailable{reason}\nready"
    with (
        pytest.raises(PortError, match="legal: the reason, in printable characters"),
        Program(program(ANSWER, greeting=greeting)),
    ):
        pass


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["", "1"], "command='' is not legal; legal: a program and arguments"),
        (["'./port", "1"], 'command="\'./port" is not legal: No closing quotation; legal: a'),
        (["./port", "0"], "timeout=0.0 is not legal; legal: a finite number > 0"),
        (["./port", "nan"], "timeout=nan is not legal; legal: a finite number > 0"),
        (["./no_such_port", "1"], "the program ./no_such_port cannot be started: "),
    ],
)
def test_what_cannot_be_started_exits_with_2_and_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "--exec", arguments[0], "--timeout", arguments[1]]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_fault_with_empty_arrays_alone_is_reported_with_them() -> None:
    def refuses_nothing(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        if not param.size:
            raise ValueError("nothing to do")
        return lion_ref.step(param, momentum, grad, **scalars)

    report = verify(refuses_nothing, dtypes=["float32"], max_examples=60, explain=False)
    found = report.counterexample
    assert found is not None
    assert found.shape == (0,)
    assert found.why == "the port raised ValueError: nothing to do"


def test_the_command_line_judges_a_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "still.py").write_text(program(ANSWER)[3], encoding="utf-8")
    still = f"{sys.executable} -S {tmp_path / 'still.py'}"
    assert main(["verify", "--exec", still, "--dtype", "float32", "--max-examples", "2"]) == 1
    assert "rejected" in capsys.readouterr().out
