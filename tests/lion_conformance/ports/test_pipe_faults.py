"""Programs that break the format of docs/reference/pipe.md: what is said of each."""

from __future__ import annotations

import time

import pytest

from lion_conformance import PortError
from lion_conformance.ports.pipe import Program
from lion_conformance.ports.protocol import run_once
from lion_conformance.ports.transcript import ELSEWHERE
from tests.lion_conformance.ports.piped import ANSWER, F32, SCALARS, TWO, program, refusal

pytestmark = pytest.mark.clause("C29")

ASKED = "its answer to request 1, 'step float32 float32 float32 2'"
NUMBERS = "<8 hexadecimal digits> <8 hexadecimal digits>"


@pytest.mark.parametrize(
    ("greeting", "message"),
    [
        (
            "hello\nready",
            "the program began with 'hello'; legal: 'lion-pipe 1'; anything else belongs on stderr",
        ),
        ("lion-pipe 2\nready", "the program began with 'lion-pipe 2'; legal: 'lion-pipe 1'"),
        ("lion-pipe 1\nready", "the program named no dtypes; legal: a line 'dtypes θ m g'"),
        (
            "lion-pipe 1\ncolour red\nready",
            "with 'colour red': legal: name, dtypes, semantics, declines, unavailable, ready; ",
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
            "usage: my_port FILE",
            (
                "no line 'ready' after 1 other; it wrote 'usage: my_port FILE' as line 1 of "
                "its greeting; legal: 'lion-pipe 1'; anything"
            ),
        ),
        (
            "lion-pipe 1\nsemantics canonical\nsemantics subnormals=flush\nready",
            "greeted with 'semantics subnormals=flush': a second line 'semantics'; legal: one",
        ),
        (
            "lion-pipe 1\n" * 1002,
            "wrote 'lion-pipe 1' as line 1001 of its greeting; legal: 'ready'; anything else",
        ),
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
            f"wrote '0 0' as line 1 of {ASKED}; legal: {NUMBERS}; {ELSEWHERE}",
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
            "sys.stdin.readline()\nprint('00000000 00000000\\n' * 3 + 'end', flush=True)\ninput()",
            f"wrote '00000000 00000000' as line 3 of {ASKED}; legal: 'end'; anything else",
        ),
        (
            "sys.stdin.readline()\nprint('00000000 00000000\\n' * 2 + 'END', flush=True)\ninput()",
            f"wrote 'END' as line 3 of {ASKED}; legal: 'end'",
        ),
        (
            "sys.stdin.readline()\nprint('3f8\\r00000 0\\n' * 2 + 'end', flush=True)\ninput()",
            "wrote '3f8\\r00000 0' as line 1 of its answer to request 1, ",
        ),
        (
            "sys.stdin.readline()\nwhile True: sys.stdout.write('00000000 00000000\\n' * 1000)",
            f"wrote '00000000 00000000' as line 3 of {ASKED}; legal: 'end'",
        ),
        (
            "sys.stdin.readline()\nwhile True: sys.stdout.write('00000000' * 1000)",
            f"wrote more than 10000 characters as line 1 of {ASKED}: '00000000",
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


@pytest.mark.parametrize("end", ["", "\nraise EOFError"], ids=["silent", "complains of its input"])
def test_a_program_that_hangs_is_given_up(end: str) -> None:
    """What it says once its input is closed is no matter of the hang."""
    hangs = f"print('thinking', file=sys.stderr, flush=True)\nfor _ in sys.stdin: pass{end}"
    assert refusal(program(hangs)) == (
        "the program hung: 0 of 2 answers and no line 'end' within 0.5 s, nor when its input was "
        "closed; its stderr: thinking"
    )


UNFLUSHED = ANSWER.replace(", flush=True", "")
BUFFERED = (
    "the program wrote its line {0!r} only when its input was closed, after {1} s: most likely its "
    "output is buffered; legal: flushed after each line {0!r}, as with fflush(stdout), setvbuf or "
    "flush=True"
)


@pytest.mark.parametrize("ones", [2, 5000], ids=["nothing comes", "part of it comes"])
def test_an_answer_that_is_not_flushed_is_told_from_none(ones: int) -> None:
    told = refusal(program(UNFLUSHED), ones=ones, timeout=1.0)
    assert told == BUFFERED.format("end", 1)


def test_a_greeting_that_is_not_flushed_is_told_from_none() -> None:
    script = program(ANSWER)
    silent = [*script[:-1], script[-1].replace(", flush=True", "")]
    with pytest.raises(PortError) as error, Program(silent, timeout=1.0):
        pass
    assert str(error.value) == BUFFERED.format("ready", 2)


PRINTS = "print('lr is', 0.1)\n"
LR = "wrote 'lr is 0.1'"
STRAY = f"{LR} as line 1 of {ASKED}; legal: {NUMBERS}; {ELSEWHERE}"


@pytest.mark.parametrize(
    ("body", "after", "message"),
    [
        (ANSWER.replace("    print", f"    {PRINTS}    print"), 0, f"program {STRAY}"),
        (
            ANSWER.replace("    print", f"    if grown: {PRINTS}    grown = True\n    print"),
            1,
            f"program {STRAY.replace('request 1', 'request 2')}",
        ),
        (
            ANSWER.replace('"end"', "'lr is 0.1', 'end'"),
            0,
            f"program {LR} as line 3 of {ASKED}; legal: 'end'; {ELSEWHERE}",
        ),
        (
            ANSWER.replace(
                "    print", f"    {PRINTS}    sys.stdout.flush(); sys.exit(1)\n    print"
            ),
            0,
            f"status 1: 0 of 2 answers and no line 'end'; it {STRAY}",
        ),
        (
            ANSWER.replace('"end"', "'lr is 0.1'"),
            0,
            f"program {LR} as line 3 of {ASKED}; legal: 'end'; {ELSEWHERE}",
        ),
        (
            "import time\nsys.stdin.readline()\nprint('lr is 0.1', flush=True)\ntime.sleep(60)",
            0,
            (
                f"hung: 0 of 2 answers and no line 'end' within 0.5 s, nor when its input "
                f"was closed; it {STRAY}"
            ),
        ),
        (
            ANSWER.replace('"end"', "'end', 'lr is 0.1'"),
            1,
            (
                f"wrote 'lr is 0.1' after {ASKED}, unasked; legal: nothing until it is "
                f"asked; {ELSEWHERE}"
            ),
        ),
    ],
    ids=["before", "at the second", "behind", "then ends", "no end", "then hangs", "unasked"],
)
def test_a_stray_line_is_shown_and_where_it_came(body: str, after: int, message: str) -> None:
    assert message in refusal(program(f"grown = False\n{body}"), after=after)


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
    sleeps = program("import time\ntime.sleep(60)")
    assert refusal(sleeps, ones=100_000) == (
        "the program hung: 0 of 100000 answers and no line 'end' within 0.5 s; it has not read all "
        "its input"
    )


def test_words_that_nobody_asked_for_are_refused() -> None:
    chatty = program(ANSWER, greeting=f"lion-pipe 1\n{F32}\nready\nmore")
    assert refusal(chatty, timeout=10) == (
        "the program wrote 'more' after its greeting, unasked; legal: nothing until it is asked; "
        "anything else belongs on stderr"
    )
