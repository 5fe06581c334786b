"""A program in any language as a port: the format of docs/pipe.md, and its faults."""

from __future__ import annotations

import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lion_ref
from lion_conformance import PortError, verify
from lion_conformance.cli import main
from lion_conformance.hexlines import MalformedLine, decode, encode
from lion_conformance.port import run_once
from lion_conformance.ports.pipe import Program, parse_semantics
from lion_ref import CANONICAL, STORAGE_DTYPES, Semantics
from lion_ref.arithmetic import bits

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.clause("C29")

SCALARS = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.0}
F32 = "dtypes float32 float32 float32"
TWO = np.ones(2, np.float32)


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


# --- programs that break the format ------------------------------------------------------------


def program(body: str, *, greeting: str = f"lion-pipe 1\n{F32}\nready") -> list[str]:
    """A program that greets and then runs body."""
    script = f"import sys\nprint({greeting!r}, flush=True)\n" + textwrap.dedent(body)
    return [sys.executable, "-S", "-c", script]


ANSWER = """
for line in sys.stdin:
    n = int(line.split()[4])
    rows = [sys.stdin.readline().split() for _ in range(n)]
    print(*(f"{theta} {m}" for theta, m, g in rows), "end", sep="\\n", flush=True)
"""


@pytest.mark.parametrize(
    ("greeting", "message"),
    [
        ("hello\nready", "the program began with 'hello'; legal: 'lion-pipe 1'"),
        ("lion-pipe 2\nready", "the program began with 'lion-pipe 2'; legal: 'lion-pipe 1'"),
        ("lion-pipe 1\nready", "the program named no dtypes; legal: a line 'dtypes θ m g'"),
        (
            "lion-pipe 1\ncolour red\nready",
            "greeted with 'colour red': legal: name, dtypes, semantics, ready",
        ),
        (
            "lion-pipe 1\ndtypes float32\nready",
            "greeted with 'dtypes float32': legal: three dtypes, those of θ, m and g",
        ),
        (
            "lion-pipe 1\ndtypes f4 f4 f4\nready",
            "dtype 'f4' is not legal; legal: float16, bfloat16, float32, float64",
        ),
        (
            "lion-pipe 1\ndtypes float32 float64 float32\nready",
            "momentum has dtype float64, wider than float32, the compute dtype",
        ),
        (
            "lion-pipe 1\nsemantics flush\nready",
            "greeted with 'semantics flush': choice 'flush' is not legal; legal: sign_interp",
        ),
        (
            "lion-pipe 1\nsemantics subnormals=none\nready",
            "subnormals='none' is not legal; legal: 'keep', 'flush', 'flush-before-rounding'",
        ),
        (
            "lion-pipe 1",
            "the program ended with status 0: no line 'ready' after 1 other",
        ),
        (
            "lion-pipe 1\nsemantics canonical\nsemantics subnormals=flush\nready",
            "greeted with 'semantics subnormals=flush': a second line 'semantics'; legal: one",
        ),
        ("lion-pipe 1\n" * 1002, "the program wrote line 1001 as 'lion-pipe 1'; legal: 'ready'"),
    ],
)
def test_a_wrong_greeting_is_named(greeting: str, message: str) -> None:
    with pytest.raises(PortError) as error, Program(program("", greeting=greeting)):
        pass
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit(3)", "the program ended with status 3: 0 of 2 answers and no line 'end'"),
        (
            "print('no memory', file=sys.stderr)\nsys.exit(1)",
            "ended with status 1: 0 of 2 answers and no line 'end'; its stderr: no memory",
        ),
        (
            "sys.stdin.readline()\nprint('00000000 00000000', flush=True)\nsys.exit(1)",
            "ended with status 1: 1 of 2 answers and no line 'end'",
        ),
        (
            "sys.stdin.readline()\nprint('00000000 00000000\\nend', flush=True)\ninput()",
            "the program answered 1 lines; legal: 2, one an element",
        ),
        (
            "sys.stdin.readline()\nprint('0 0\\n' * 2 + 'end', flush=True)\ninput()",
            "answered line 1 is '0 0'; legal: <8 hexadecimal digits> <8 hexadecimal digits>",
        ),
        (
            "sys.stdin.readline()\nprint('error no float32\\there', flush=True)\ninput()",
            "the program refused: no float32 here",
        ),
        (
            "sys.stdin.readline()\nprint('error', flush=True)\ninput()",
            "the program refused: it does not say why",
        ),
        (
            "sys.stdin.readline()\nprint('0 0\\n' * 2 + 'END', flush=True)\ninput()",
            "the program wrote line 3 as 'END'; legal: 'end'",
        ),
        (
            "sys.stdin.readline()\nprint('0 0\\n' * 3 + 'end', flush=True)\ninput()",
            "the program wrote line 3 as '0 0'; legal: 'end'",
        ),
        (
            "sys.stdin.readline()\nprint('3f8\\r00000 0\\n' * 2 + 'end', flush=True)\ninput()",
            "answered line 1 is '3f8\\r00000 0'; legal: <8 hex",
        ),
        (
            "sys.stdin.readline()\nwhile True: sys.stdout.write('00000000 00000000\\n' * 1000)",
            "the program wrote line 3 as '00000000 00000000'; legal: 'end'",
        ),
        (
            "sys.stdin.readline()\nwhile True: sys.stdout.write('00000000' * 1000)",
            "the program wrote a line of more than 10000 characters",
        ),
        ("raise RuntimeError('lost')", "its stderr: Traceback"),
    ],
)
def test_a_program_that_breaks_off_or_answers_wrongly_is_named(body: str, message: str) -> None:
    with Program(program(body)) as running:
        port = running.port
        for _ in range(2):  # the second time with a program started anew
            with pytest.raises(PortError) as error:
                run_once(port, TWO, TWO, TWO, **SCALARS)
            assert message in str(error.value)
            assert "\n" not in str(error.value)


def test_a_program_that_hangs_is_given_up() -> None:
    hangs = "print('thinking', file=sys.stderr, flush=True)\nfor _ in sys.stdin: pass"
    with Program(program(hangs), timeout=0.5) as running, pytest.raises(PortError) as error:
        run_once(running.port, TWO, TWO, TWO, **SCALARS)
    assert str(error.value) == (
        "the program hung: 0 of 2 answers and no line 'end' within 0.5 s; its stderr: thinking"
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("os.close(1)\ntime.sleep(60)", "the program closed its output: 0 of 2 answers"),
        ("os.system('sleep 60')", "the program hung: 0 of 2 answers"),
        (
            "subprocess.Popen(['sleep', '60'])\nos._exit(3)",
            "the program ended with status 3: 0 of 2 answers",
        ),
    ],
    ids=["closes its output", "a child that hangs", "a child that outlives it"],
)
def test_what_a_program_leaves_behind_holds_nobody_up(body: str, message: str) -> None:
    """A shell that runs the program is such a parent: its child holds the pipe."""
    wrapped = program(f"import os, subprocess, time\nsys.stdin.readline()\n{body}")
    begin = time.monotonic()
    with Program(wrapped, timeout=0.5) as running, pytest.raises(PortError) as error:
        run_once(running.port, TWO, TWO, TWO, **SCALARS)
    assert str(error.value).startswith(message)
    assert time.monotonic() - begin < 20


def test_a_program_that_does_not_read_is_given_up() -> None:
    """The batch is larger than what a pipe holds, so that writing it blocks."""
    many = np.ones(100_000, np.float32)
    sleeps = program("import time\ntime.sleep(60)")
    with Program(sleeps, timeout=0.5) as running, pytest.raises(PortError) as error:
        run_once(running.port, many, many, many, **SCALARS)
    assert "the program hung: 0 of 100000 answers" in str(error.value)


def test_words_that_nobody_asked_for_are_refused() -> None:
    chatty = program(ANSWER, greeting=f"lion-pipe 1\n{F32}\nready\nmore")
    with Program(chatty) as running, pytest.raises(PortError) as error:
        run_once(running.port, TWO, TWO, TWO, **SCALARS)
    assert str(error.value) == "the program spoke without being asked: 'more'"


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
